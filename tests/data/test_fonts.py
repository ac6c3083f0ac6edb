"""Emoji and letters: what is bundled, how it is split, and what the fonts draw."""

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest

from tinygen import data
from tinygen.data import datasets, fonts

EMOJI = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
needs_fonts = pytest.mark.skipif(not EMOJI.exists(), reason="fonts-noto-color-emoji is missing")


def alike(a, b):
    """Root mean square difference over the ink of the fainter of two pictures."""
    a, b = (v.reshape(-1).astype(float) / 255 for v in (a, b))
    ink = min(np.sqrt(((1 - a) ** 2).mean()), np.sqrt(((1 - b) ** 2).mean()))
    return np.sqrt(((a - b) ** 2).mean()) / ink


def test_emoji_have_captions_groups_and_drawings():
    whole, train, test = (data.load("emoji", split) for split in ("all", "train", "test"))
    assert whole.images.shape == (1377, 3, 32, 32) and len(whole.captions) == 1377
    assert len(train) + len(test) == 1377 and 200 < len(test) < 260
    assert len(whole.classes) == 8 and set(whole.labels.tolist()) == set(range(8))
    apple = whole.captions.index("red apple")
    assert whole.classes[whole.labels[apple].item()] == "Food & Drink"
    assert chr(whole.details["codes"][apple]) == "\N{RED APPLE}"
    red, green, blue = whole.images.numpy()[apple, :, 16, 16].astype(int)
    assert red > green + 50 and red > blue + 50
    drawn = whole.details["drawn"].numpy()
    assert whole.details["line"].shape == (1377, 1, 32, 32) and drawn.sum() == 1140
    assert whole.details["symbola"].shape == (1140, 1, 32, 32)
    assert (whole.images.numpy()[:, :, 0, 0] > 200).mean() > 0.9, "not on white"


def test_a_line_drawing_lies_where_its_picture_has_edges():
    whole = data.load("emoji", "all")
    grey = whole.images.numpy().mean(1)
    slope = abs(np.diff(grey, axis=2, append=255)) + abs(np.diff(grey, axis=1, append=255))
    ink = 255.0 - whole.details["line"].numpy()[:, 0]
    own = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(slope[::7], ink[::7])]
    other = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(slope[::7], ink[7::7])]
    assert np.median(own) > 0.4 and np.median(own) > np.median(other) + 0.25


@pytest.mark.parametrize(
    "series", ["o’clock", "thirty", "moon", "arrow", "heart", " circle", "cat"]
)
def test_a_series_is_on_one_side_of_the_split(series):
    sides = [{name for name in data.load("emoji", split).captions if series in name}
             for split in ("train", "test")]  # fmt: skip
    whole = data.load("emoji", "all")
    where = dict(zip(whole.captions, whole.details["subgroups"]))
    kinds = [{where[name] for name in side} for side in sides]
    crossing = {"moon": {"place-other", "event"}, "arrow": {"arrow", "emotion", "mail", "phone"},
                "cat": {"animal-mammal", "warning", "transport-ground"}}  # fmt: skip
    assert not (kinds[0] & kinds[1]) - crossing.get(series, set()) - {"face-affection", "person"}


def test_no_test_emoji_looks_like_a_training_one_of_its_group():
    train, test = data.load("emoji"), data.load("emoji", "test")
    x, y = (part.images.numpy().reshape(len(part), -1) / 255 for part in (train, test))
    squares = (x**2).sum(1) + (y**2).sum(1)[:, None] - 2 * y @ x.T
    apart = np.sqrt(np.maximum(squares, 0) / x.shape[1])
    ink = [np.sqrt(((1 - v) ** 2).mean(1)) for v in (x, y)]
    same = train.labels.numpy() == test.labels.numpy()[:, None]
    close = (apart < 0.095 * np.minimum(ink[0], ink[1][:, None])) & same
    pairs = [(test.captions[i], train.captions[j]) for i, j in np.argwhere(close)]
    assert not pairs


def test_letters_are_every_character_in_every_style():
    whole, test = data.load("letters", "all"), data.load("letters", "test")
    styles = len(whole.details["fonts"])
    assert styles >= 60 and whole.images.shape == (62 * styles, 1, 32, 32)
    assert len(set(whole.details["fonts"])) == styles
    families = {name.split()[0] for name in whole.details["fonts"]}
    train = {name.split()[0] for name in data.load("letters").details["fonts"]}
    assert not train & {name.split()[0] for name in test.details["fonts"]} and len(families) > 20
    assert whole.captions[1] == f"B in {whole.details['fonts'][0]}"
    pictures = whole.images.numpy().reshape(styles, 62, -1).astype(float)
    middle = np.median(pictures, 0)
    near = np.argmin(((pictures[:, :, None] - middle) ** 2).sum(-1), -1)
    folded = np.array([fonts.CHARACTERS.lower().index(c) for c in fonts.CHARACTERS.lower()])
    assert ((folded[near] == folded).mean(1) > 0.5).mean() > 0.8, "styles that draw other things"


@pytest.mark.parametrize("name", ["emoji", "letters"])
def test_a_damaged_file_is_named(name, tmp_path, monkeypatch):
    content = (datasets.PACKAGE_FOLDER / f"{name}.npz").read_bytes()
    (tmp_path / f"{name}.npz").write_bytes(content[: len(content) // 2])
    monkeypatch.setattr(datasets, "PACKAGE_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=rf"{name}.npz: a damaged .npz .*install tinygen again"):
        data.load(name)


def test_the_fonts_are_named_with_their_licences():
    folder = datasets.PACKAGE_FOLDER / "licences"
    listed = (folder / "fonts.txt").read_text()
    for name in data.load("letters", "all").details["fonts"]:
        assert (
            name.split()[0].split("-")[0][:7] in listed.replace(" ", "")
            or name.split()[0] in listed
        )
    assert "OPEN FONT LICENSE" in (folder / "OFL-1.1.txt").read_text()
    assert "Apache License" in (folder / "Apache-2.0.txt").read_text()


# --- with the fonts ---------------------------------------------------------------------------


@needs_fonts
def test_the_bundled_emoji_are_what_the_script_draws():
    whole = data.load("emoji", "all")
    glyphs = fonts.glyphs()
    assert tuple(glyph.name for glyph in glyphs) == whole.captions
    for i in (0, 400, 900):
        drawn = fonts.draw_emoji(glyphs[i].text).transpose(2, 0, 1).astype(int)
        assert abs(drawn - whole.images.numpy()[i]).max() <= 2, "64 levels are at most 2 apart"


@needs_fonts
def test_the_script_makes_the_same_bytes():
    path = Path(__file__).parents[2] / "benchmarks" / "data" / "emoji.py"
    spec = importlib.util.spec_from_file_location("emoji_script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    arrays = {"a": np.arange(5), "b": np.ones((2, 3), np.uint8)}
    assert script.packed(arrays) == script.packed(arrays)
    with np.load(io.BytesIO(script.packed(arrays))) as file:
        assert (file["a"] == arrays["a"]).all() and file["b"].dtype == np.uint8


@needs_fonts
def test_larger_emoji_and_skin_tones():
    large = fonts.draw_emoji("\N{RED APPLE}", 64)
    small = large.reshape(32, 2, 32, 2, 3).mean((1, 3))
    assert abs(small - fonts.draw_emoji("\N{RED APPLE}", 32)).mean() < 6
    tones = fonts.toned()
    assert len(tones) % 6 == 0 and tones[0].name == "waving hand" and "light skin" in tones[1].name
    assert alike(fonts.draw_emoji(tones[0].text), fonts.draw_emoji(tones[5].text)) > 0.1
    with pytest.raises(ValueError, match="drawn at 8 to 128 pixels, got size 4"):
        fonts.draw_emoji("\N{RED APPLE}", 4)


def test_a_missing_font_names_its_package(monkeypatch):
    monkeypatch.setitem(fonts.FILES, "NotoColorEmoji.ttf", ("/nowhere", "fonts-noto-color-emoji"))
    fonts._file.cache_clear()
    fonts._font.cache_clear()
    with pytest.raises(FileNotFoundError, match="apt install fonts-noto-color-emoji"):
        fonts.draw_emoji("\N{RED APPLE}")
    fonts._file.cache_clear()
    with pytest.raises(FileNotFoundError, match="no text font below .*apt install fonts-dejavu"):
        fonts.text_fonts(["/nowhere"])


def test_letters_of_matplotlibs_fonts_and_no_signs():
    matplotlib = pytest.importorskip("matplotlib")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    assert fonts.is_text_font(folder / "DejaVuSansMono.ttf")
    assert fonts.is_text_font(folder / "cmr10.ttf")
    for signs in ("cmsy10.ttf", "cmex10.ttf", "STIXSizOneSymReg.ttf"):
        assert not fonts.is_text_font(folder / signs), signs
    two = fonts.letters(16, [folder / "DejaVuSans.ttf", folder / "cmr10.ttf"])
    assert two.images.shape == (124, 1, 16, 16) and two.details["font"].tolist()[61:63] == [0, 1]
    with pytest.raises(ValueError, match="16 to 64 pixels, got size 8"):
        fonts.letters(8)

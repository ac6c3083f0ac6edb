"""Pictures of the lessons: one palette, an alternative text each, films and sliders that fit."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import numpy as np
import pytest

from tinygen.lessons import figures

matplotlib = pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def squares(n: int, side: int = 40) -> list[Any]:
    """A white square that wanders over black, three colours."""
    found = np.zeros((n, side, side, 3), np.uint8)
    for k in range(n):
        found[k, 5:15, k : k + 10] = (255, 200 - 40 * k, 0)
    return list(found)


def image(shown: figures.Shown, output: int = 0) -> Any:
    data, _ = shown.outputs[output]
    return Image.open(io.BytesIO(base64.b64decode(data["image/png"])))


def rgb(picture: Any) -> Any:
    return np.asarray(picture.convert("RGB"))


def test_the_palette_is_okabe_and_itos() -> None:
    assert len(set(figures.PALETTE.values())) == 8
    assert figures.PALETTE["blue"] == "#0072B2" and figures.PALETTE["vermillion"] == "#D55E00"


def test_lines_of_the_style_differ_in_colour_and_in_dashes() -> None:
    with matplotlib.rc_context():
        figures.style()
        cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()
        assert cycle["color"] == list(figures.PALETTE.values())
        assert len(set(map(str, cycle["linestyle"]))) == 8
        assert matplotlib.rcParams["figure.dpi"] >= 120


def test_a_film_moves_and_its_still_stands_first() -> None:
    frames = squares(6)
    shown = figures.film(frames, alt="a square wanders", fps=5, pause=2)
    (_, metadata) = shown.outputs[0]
    assert metadata == {"image/png": {"alt": "a square wanders"}}
    film = image(shown)
    assert film.is_animated and film.n_frames == 6 and film.info["loop"] == 0
    seen, times = [], []
    for k in range(film.n_frames):
        film.seek(k)
        seen.append(rgb(film))
        times.append(film.info["duration"])
    assert np.array_equal(seen, [frames[k] for k in (5, 0, 1, 2, 3, 4)])
    assert times == [2000, 200, 200, 200, 200, 200]
    first = image(figures.film(frames, alt="a square", still=2))
    assert np.array_equal(rgb(first), frames[2]) and first.n_frames == 7


def test_white_and_other_flat_colours_stay_as_they_are() -> None:
    flat = np.array([[255, 255, 255], [0, 114, 178], [213, 94, 0]], np.uint8)
    near = np.random.default_rng(0).integers(-6, 6, (3, 60, 60, 3))  # as at the edges of lines
    bands = np.repeat(flat, 20, axis=0)[:, None].astype(int) * np.ones((3, 1, 60, 1), int)
    pictures = np.where(np.arange(60)[:, None] % 3 == 0, bands, bands + near).clip(0, 255)
    pictures = pictures.astype(np.uint8)
    for shown in (
        figures.film(pictures, alt="bands", colors=16),
        figures.slider(pictures, "abc", "k", alt="bands", colors=16),
    ):
        seen = {tuple(color) for color in rgb(image(shown)).reshape(-1, 3).tolist()}
        assert seen >= {tuple(color) for color in flat.tolist()}


def test_a_film_too_large_says_how_to_shrink_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 200, 300, 3)).astype(np.uint8)
    with pytest.raises(ValueError, match=r"film: \d+ kB, allowed 400: take fewer frames than 12"):
        figures.film(noise, alt="noise")
    with pytest.raises(ValueError, match=r"slider: \d+ kB, allowed 600: take fewer pictures"):
        figures.slider(list(noise) * 2, range(24), "k", alt="noise")


def test_bad_pictures_are_named() -> None:
    for frames, says in (
        (squares(1), "two or more pictures of one size, got 1"),
        ([*squares(2), *squares(1, 50)], r"\[\(40, 40\), \(50, 50\)\]"),
        (np.zeros((3, 9, 9)), "uint8 arrays .* got float64"),
    ):
        with pytest.raises(ValueError, match=says):
            figures.film(frames, alt="a square")
    with pytest.raises(ValueError, match="film: alt is empty"):
        figures.film(squares(2), alt=" ")
    with pytest.raises(ValueError, match="3 pictures, but 2 labels"):
        figures.slider(squares(3), "ab", "k", alt="a square")


def test_a_slider_holds_every_picture_and_a_strip_beside_it() -> None:
    frames = squares(5)
    shown = figures.slider(frames, [f"{k / 10}" for k in range(5)], "beta", "a <square>", start=-1)
    (still, metadata), (page, _) = shown.outputs
    assert metadata["image/png"]["alt"] == "a <square> (beta: 0.0, 0.1, 0.2, 0.3, 0.4)"
    text = page["text/html"]
    files = json.loads(re.search(r"const files = (\[.*?\]),", text)[1])  # type: ignore[index]
    pictures = [rgb(Image.open(io.BytesIO(base64.b64decode(file)))) for file in files]
    assert np.array_equal(pictures, frames)
    assert 'labels = ["0.0", "0.1", "0.2", "0.3", "0.4"]' in text and "value: 4}" in text
    assert still["image/png"][-80:] in text  # by which the script finds the strip and hides it
    assert "http" not in text and not re.search(r"\b(?:ID|FILES|LABELS|STRIP|START)\b", text)
    wide, high = image(shown).size
    assert wide == 4 * 40 and high == 2 * (40 + 16)


def test_a_text_cannot_end_the_script() -> None:
    shown = figures.slider(squares(2), ["</script>", "b"], "k", alt="</script>")
    assert shown.outputs[1][0]["text/html"].count("</script>") == 1


def test_figures_become_frames_and_are_closed(capsys: pytest.CaptureFixture[str]) -> None:
    from matplotlib import pyplot

    def drawn() -> Any:
        for k in range(3):
            figure, axes = pyplot.subplots(figsize=(2, 1))
            axes.plot([0, k])
            yield figure

    assert image(figures.film(drawn(), alt="a line rises", dpi=50)).size == (100, 50)
    figure, _ = pyplot.subplots(figsize=(2, 1))
    figures.show(figure, alt="an empty plot")
    assert capsys.readouterr().out == "[an empty plot]\n"  # here is no notebook
    assert not pyplot.get_fignums()
    with pytest.raises(ValueError, match="show: alt is empty"):
        figures.show(figure, alt="")


def test_a_notebook_gets_data_and_alternative_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    published = []

    class Shell:
        class display_pub:  # noqa: N801  IPython's name
            @staticmethod
            def publish(data: Any, metadata: Any) -> None:
                published.append((sorted(data), metadata))

    monkeypatch.setattr(figures, "_shell", Shell)
    figures.slider(squares(2), "ab", "k", alt="a square")._ipython_display_()
    assert published == [
        (["image/png", "text/plain"], {"image/png": {"alt": "a square (k: a, b)"}}),
        (["text/html", "text/plain"], {}),
    ]

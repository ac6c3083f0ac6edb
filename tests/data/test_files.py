"""Folders of one's own pictures, and pairs of them."""

import numpy as np
import pytest

from tinygen import data

Image = pytest.importorskip("PIL.Image")


def save(path, colour, size=(40, 30), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)


def test_a_folder_with_classes_and_captions(tmp_path):
    save(tmp_path / "cats" / "b.png", (255, 0, 0))
    save(tmp_path / "cats" / "a.png", (0, 255, 0), (10, 50))
    save(tmp_path / "dogs" / "c.png", (0, 0, 255, 0), mode="RGBA")
    (tmp_path / "captions.txt").write_text(
        "cats/a.png\tgreen\ndogs/c.png\tclear\ncats/b.png\tred one\n"
    )
    d = data.folder(tmp_path, 16, captions=tmp_path / "captions.txt")
    assert d.images.shape == (3, 3, 16, 16) and d.classes == ("cats", "dogs")
    assert d.labels.tolist() == [0, 0, 1] and d.captions == ("green", "red one", "clear")
    pixels = d.images.numpy()[:, :, 8, 8].tolist()
    assert pixels == [[0, 255, 0], [255, 0, 0], [255, 255, 255]], "transparent parts are white"
    assert data.folder(tmp_path, 8, grey=True).images.shape == (3, 1, 8, 8)


def test_the_middle_square_is_kept(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (data.folder(tmp_path, 10).images == 255).all()


def test_pairs_by_name(tmp_path):
    for name, value in (("x", 10), ("y", 20)):
        save(tmp_path / "a" / f"{name}.png", (value,) * 3)
        save(tmp_path / "b" / f"{name}.jpg", (value + 100,) * 3)
    d = data.pairs(tmp_path / "a", tmp_path / "b", 8)
    assert d.details["files"] == ("x", "y") and d.details["other"].shape == (2, 3, 8, 8)
    assert (
        d.details["other"][1, 0, 0, 0].item() == 20 and abs(d.images[1, 0, 0, 0].item() - 120) < 3
    )
    save(tmp_path / "a" / "z.png", (0, 0, 0))
    with pytest.raises(ValueError, match=r"1 names are in one of .* only: \['z'\]"):
        data.pairs(tmp_path / "a", tmp_path / "b", 8)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        data.folder(tmp_path / "none", 8)
    with pytest.raises(FileNotFoundError, match="no picture in it; expected .png"):
        data.folder(tmp_path, 8)
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"broken.png: not a picture that Pillow can read"):
        data.folder(tmp_path, 8)
    save(tmp_path / "broken.png", (0, 0, 0))
    captions = tmp_path / "captions.txt"
    for text, said in (
        ("broken.png", "line 1: expected the picture's name, a tab"),
        ("other.png\tx", "no caption for 1 pictures: broken.png"),
        ("broken.png\tx\nother.png\ty", "captions of 1 unknown pictures"),
    ):
        captions.write_text(text + "\n")
        with pytest.raises(ValueError, match=said):
            data.folder(tmp_path, 8, captions=captions)


def test_one_picture_and_what_was_done_to_it(tmp_path):
    save(tmp_path / "wide.png", (255, 0, 0), (40, 30))
    pixels, notice = data.picture(tmp_path / "wide.png", 16, grey=True)
    assert pixels.shape == (1, 1, 16, 16) and pixels.numpy()[0, 0, 0, 0] == 76
    assert notice == ("wide.png: 40 x 30 pixels, RGB; its middle square is taken, at 16 x 16, grey")
    save(tmp_path / "clear.png", (0, 0, 255, 0), (16, 16), "RGBA")
    pixels, notice = data.picture(tmp_path / "clear.png", 16)
    assert (pixels == 255).all() and notice == "clear.png: 16 x 16 pixels, RGBA; in colour"
    save(tmp_path / "fits.png", 7, (16, 16), "L")
    pixels, notice = data.picture(tmp_path / "fits.png", 16, grey=True)
    assert (pixels == 7).all() and notice == ""
    with pytest.raises(FileNotFoundError, match="there is no file .*none.png"):
        data.picture(tmp_path / "none.png", 16)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a picture that Pillow can read"):
        data.picture(tmp_path / "text.png", 16)

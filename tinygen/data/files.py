"""Your own pictures: a folder of PNGs as a data set, and two folders as pairs.

    folder("photos", size=64)                          # labels: the subfolders
    folder("photos", 64, captions="photos/captions.txt")   # lines of "name.png<TAB>text"
    pairs("drawings", "photos", size=64)               # files of one name belong together
    picture("sketch.png", 32, grey=True)               # one, and what was done to it

Pictures are cut to their middle square, then made smaller (or larger) by Pillow, which this needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..checks import positive
from ..tensor import Tensor, wrap
from .formats import PathLike
from .images import ImageDataset

__all__ = ["folder", "pairs", "picture"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")


def folder(
    path: PathLike, size: int, captions: PathLike | None = None, grey: bool = False
) -> ImageDataset:
    """The pictures of a folder, sorted by name, (N, 3, size, size) uint8; grey: (N, 1, ...).

    labels: the place of the subfolder that a picture is in among `classes` ("" for the folder
    itself). captions: a text file with a line a picture: its name below the folder, a tab, a text.
    details["files"]: the names.

    Raises FileNotFoundError for no such folder or no picture in it, ValueError for a file that is
    no picture and for captions that are missing or of no picture; ImportError without Pillow.
    """
    positive("folder", size=size)
    root, files = _files(path)
    images = np.stack([_read(file, size, grey) for file in files])
    names = [file.relative_to(root).as_posix() for file in files]
    kinds = [str(file.parent.relative_to(root)).replace(".", "", 1) for file in files]
    classes = tuple(sorted(set(kinds)))
    return ImageDataset.of(
        root.name, images, np.array([classes.index(kind) for kind in kinds]), classes,
        captions=_captions(Path(captions), names) if captions is not None else (),
        details={"files": tuple(names)},
    )  # fmt: skip


def pairs(a: PathLike, b: PathLike, size: int, grey: bool = False) -> ImageDataset:
    """Pictures of folder b as `images`, those of the same names in folder a as details["other"].

    ValueError, which names some, where a name is in one folder only.
    """
    positive("pairs", size=size)
    found = [{file.relative_to(root).with_suffix("").as_posix(): file for file in files}
             for root, files in (_files(a), _files(b))]  # fmt: skip
    if alone := sorted(set(found[0]) ^ set(found[1])):
        raise ValueError(f"pairs: {len(alone)} names are in one of {a}, {b} only: {alone[:3]}")
    names = sorted(found[0])
    other, images = (np.stack([_read(side[name], size, grey) for name in names]) for side in found)
    return ImageDataset.of(
        f"{Path(a).name} to {Path(b).name}", images, np.zeros(len(names), int), ("pair",),
        details={"other": wrap(other), "files": tuple(names)},
    )  # fmt: skip


def picture(path: PathLike, size: int, grey: bool = False) -> tuple[Tensor, str]:
    """One picture, (1, 3, size, size) uint8 (grey: one channel), and a notice of what was changed.

    The notice is empty where the file is so already, else a line such as "sketch.png: 300 x 200
    pixels, RGB; its middle square is taken, at 32 x 32, grey". FileNotFoundError for no such file,
    ValueError for one that is no picture; ImportError without Pillow.
    """
    positive("picture", size=size)
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"picture: there is no file {path}")
    pixels = _read(file, size, grey)
    from PIL import Image

    with Image.open(file) as found:
        (width, height), mode = found.size, found.mode
    changes = ["its middle square is taken"] * (width != height)
    changes += [f"at {size} x {size}"] * ((width, height) != (size, size))
    changes += ["grey" if grey else "in colour"] * (mode != ("L" if grey else "RGB"))
    notice = f"{file.name}: {width} x {height} pixels, {mode}; {', '.join(changes)}"
    return wrap(pixels[None]), notice if changes else ""


def _files(path: PathLike) -> tuple[Path, list[Path]]:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder")
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"{root}: no picture in it; expected {', '.join(SUFFIXES)}")
    return root, files


def _read(path: Path, size: int, grey: bool) -> Array:
    """The middle square at `size` pixels, transparent parts white: (C, size, size)."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("reading pictures needs Pillow: pip install pillow") from error
    try:
        with Image.open(path) as file:
            picture: Any = file.convert("RGBA")
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path}: not a picture that Pillow can read ({error})") from error
    page = Image.new("RGBA", picture.size, "white")
    page.alpha_composite(picture)
    side = min(page.size)
    left, top = (page.width - side) // 2, (page.height - side) // 2
    square = page.convert("L" if grey else "RGB").crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))
    return pixels[None] if grey else pixels.transpose(2, 0, 1)


def _captions(path: Path, names: list[str]) -> tuple[str, ...]:
    """The texts in the order of `names`."""
    rows = [line.split("\t", 1) for line in path.read_text(encoding="utf-8").splitlines() if line]
    if short := [i for i, row in enumerate(rows, 1) if len(row) < 2]:
        raise ValueError(
            f"{path}, line {short[0]}: expected the picture's name, a tab and its text"
        )
    known = dict(rows)
    if lacking := [name for name in names if name not in known]:
        raise ValueError(
            f"{path}: no caption for {len(lacking)} pictures: {', '.join(lacking[:3])}"
        )
    if strange := sorted(set(known) - set(names)):
        raise ValueError(f"{path}: captions of {len(strange)} unknown pictures: {strange[:3]}")
    return tuple(known[name] for name in names)

"""Pictures drawn on demand from installed fonts: emoji at any size, letters in every style.

    fonts.emoji(64)                    # the bundled set's pictures again, larger
    fonts.emoji(32, variants=True)     # the same people in six skin tones
    fonts.letters(32)                  # A-Z a-z 0-9 of every text font that is found

Noto Color Emoji's pictures are bitmaps of 136 x 128 pixels, made smaller by averaging (Lanczos).
Needs Pillow and the fonts; a missing one is an error that names the Debian package.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..checks import positive
from .images import ImageDataset

__all__ = [
    "CHARACTERS", "GROUPS", "Glyph", "draw_emoji", "draw_letter", "draw_line", "draw_symbola",
    "emoji", "glyphs", "is_text_font", "letters", "text_fonts", "toned",
]  # fmt: skip

CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
GROUPS = (
    "Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places",
    "Activities", "Objects", "Symbols",
)  # fmt: skip
TONES = ("", "light", "medium-light", "medium", "medium-dark", "dark")
FILES = {  # what it is called, the folders it is looked for in, Debian's package
    "NotoColorEmoji.ttf": ("/usr/share/fonts", "fonts-noto-color-emoji"),
    "Symbola_hint.ttf": ("/usr/share/fonts", "fonts-symbola"),
    "emoji-test.txt": ("/usr/share/unicode", "unicode-data"),
}
KNOWN = ("Sans", "Serif", "Sans-Oblique", "Serif-Italic")  # letters to compare letters with
BITMAP = 109  # the one size at which Noto Color Emoji has pictures
CANVAS = 136  # pixels; they are 136 x 128 there


@dataclass(frozen=True)
class Glyph:
    """One emoji as Unicode's emoji-test.txt has it: its characters, name, group and subgroup."""

    text: str
    name: str
    group: str
    subgroup: str

    @property
    def label(self) -> int:
        """Its place in GROUPS; the five single-character flags count as symbols."""
        return GROUPS.index("Symbols" if self.group == "Flags" else self.group)


# --- emoji ------------------------------------------------------------------------------------


def glyphs() -> list[Glyph]:
    """All fully qualified emoji of one character (variation selector apart), in Unicode's order."""
    return [glyph for glyph in _table() if len(glyph.text) == 1]


def toned() -> list[Glyph]:
    """Persons and hands of one character, each followed by its five skin tones: six a person."""
    known = {glyph.text: glyph for glyph in _table()}
    whole = [[known.get(glyph.text + tone) for tone in ["", *map(chr, range(0x1F3FB, 0x1F400))]]
             for glyph in glyphs()]  # fmt: skip
    return [glyph for row in whole if all(row) for glyph in row if glyph is not None]


@cache
def _table() -> tuple[Glyph, ...]:
    group = subgroup = ""
    found = []
    for line in _file("emoji-test.txt").read_text(encoding="utf-8").splitlines():
        if title := re.match(r"# (sub)?group: (.+)", line):
            group, subgroup = (group, title[2]) if title[1] else (title[2], "")
        elif row := re.match(r"([0-9A-F ]+); fully-qualified +# \S+ E[\d.]+ (.+)", line):
            text = "".join(chr(int(code, 16)) for code in row[1].split() if code != "FE0F")
            found.append(Glyph(text, row[2].strip(), group, subgroup))
    return tuple(found)


def draw_emoji(text: str, size: int = 32) -> Array:
    """The emoji on white, (size, size, 3) uint8."""
    return np.asarray(_smaller(_large(text), size))


def draw_line(text: str, size: int = 32) -> Array:
    """Outline and colour edges of the same picture, black on white, (size, size) uint8.

    Where the colour changes fastest: Sobel's slope of the large picture, above a threshold.
    """
    from PIL import Image

    x = np.asarray(_large(text).resize((4 * size, 4 * size), Image.Resampling.BOX), np.float32)
    dark = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge") / 255
    rows = dark[:, 2:] - dark[:, :-2]
    columns = dark[2:] - dark[:-2]
    across = (rows[:-2] + 2 * rows[1:-1] + rows[2:]) / 4
    down = (columns[:, :-2] + 2 * columns[:, 1:-1] + columns[:, 2:]) / 4
    slope = np.sqrt(across**2 + down**2).max(2)
    ink = np.clip((slope - 0.08) / 0.25, 0, 1).reshape(size, 4, size, 4).mean((1, 3))
    return np.rint(255 * (1 - np.clip(1.6 * ink, 0, 1))).astype(np.uint8)


def draw_symbola(text: str, size: int = 32) -> Array | None:
    """Symbola's drawing of the character, black on white, (size, size) uint8; None if it has none.

    Fitted into the square with a margin of a sixteenth: it is not aligned with the emoji.
    """
    from PIL import Image

    font = _font("Symbola_hint.ttf", 4 * size)
    ink, missing = _ink(font, text), _ink(font, "\U0010ffff")
    if len(text) != 1 or ink is None or missing is None or np.array_equal(ink, missing):
        return None
    mask = Image.fromarray(ink)
    room = size - 2 * max(1, size // 16)
    scale = room / max(mask.size)
    shape = (max(1, round(mask.width * scale)), max(1, round(mask.height * scale)))
    page = Image.new("L", (size, size), 255)
    drawn = mask.resize(shape, Image.Resampling.LANCZOS)
    page.paste(0, ((size - shape[0]) // 2, (size - shape[1]) // 2), drawn)
    return np.asarray(page)


def emoji(size: int = 32, variants: bool = False) -> ImageDataset:
    """All 1,377 emoji of one character at `size` pixels, (N, 3, size, size), with their names.

    labels: the place in GROUPS. variants=True: instead the persons and hands in six skin tones each
    (`labels` are the persons, `details["tone"]` 0 to 5), one person's six in a row.
    FileNotFoundError names the package of a font that is missing; ImportError where Pillow is.

    >>> import tinygen as tg
    >>> try:
    ...     print(tg.data.fonts.emoji(16).images.shape)
    ... except FileNotFoundError as missing:
    ...     print((1377, 3, 16, 16))
    (1377, 3, 16, 16)
    """
    chosen = toned() if variants else glyphs()
    images = np.stack([draw_emoji(glyph.text, size) for glyph in chosen]).transpose(0, 3, 1, 2)
    labels = np.arange(len(chosen)) // 6 if variants else [glyph.label for glyph in chosen]
    classes = tuple(glyph.name for glyph in chosen[::6]) if variants else GROUPS
    details = {"tone": np.arange(len(chosen)) % 6} if variants else {}
    return ImageDataset.of(
        "emoji", np.ascontiguousarray(images), np.asarray(labels), classes,
        captions=tuple(glyph.name for glyph in chosen), details=details,
        citation="Noto Color Emoji, Google, SIL Open Font License 1.1",
    )  # fmt: skip


def _large(text: str) -> Any:
    """The font's own bitmap on white, a square of 136 pixels."""
    from PIL import Image, ImageDraw

    glyph = Image.new("RGBA", (CANVAS, CANVAS))
    font = _font("NotoColorEmoji.ttf", BITMAP)
    ImageDraw.Draw(glyph).text((0, 4), text, font=font, embedded_color=True)
    page = Image.new("RGBA", (CANVAS, CANVAS), "white")
    page.alpha_composite(glyph)
    return page.convert("RGB")


def _smaller(picture: Any, size: int) -> Any:
    from PIL import Image

    if not 8 <= size <= 128:
        raise ValueError(f"fonts: emoji are drawn at 8 to 128 pixels, got size {size}")
    return picture.resize((size, size), Image.Resampling.LANCZOS)


# --- letters ----------------------------------------------------------------------------------


def draw_letter(path: str | Path, character: str, size: int = 32) -> Array:
    """A character of a font file, black on white, (size, size) uint8, all on one baseline."""
    from PIL import Image, ImageDraw

    font = _font(str(path), round(0.85 * 4 * size))
    page = Image.new("L", (4 * size, 4 * size), 255)
    place = (2 * size, round(0.74 * 4 * size))
    ImageDraw.Draw(page).text(place, character, 0, font=font, anchor="ms")
    return np.asarray(page.resize((size, size), Image.Resampling.BOX))


def text_fonts(folders: Sequence[str | Path] = ("/usr/share/fonts",)) -> list[Path]:
    """The font files below `folders` that draw letters and digits as letters and digits, sorted.

    FileNotFoundError where there is none.
    """
    files = sorted(path for folder in folders for path in Path(folder).rglob("*")
                   if path.suffix.lower() in (".ttf", ".otf"))  # fmt: skip
    found = [path for path in files if is_text_font(path)]
    if not found:
        raise FileNotFoundError(
            f"fonts: no text font below {', '.join(map(str, folders))}; on Debian and Ubuntu: "
            "apt install fonts-dejavu fonts-liberation fonts-lato"
        )
    return found


def is_text_font(path: str | Path) -> bool:
    """Whether a font's 62 characters look like letters and digits: no signs, no placeholders.

    Each is drawn. Of capitals, small letters and digits, one in seven each must be nearer to the
    same character of DejaVu Sans or Serif, upright or slanted, than to any other (of signs, 1 in 36
    is by chance). Nearly all must be
    different pictures, which they are not in a font of capitals only.
    """
    try:
        pictures = [draw_letter(path, c, 16) for c in CHARACTERS]
        drawn = np.stack([_coarse(picture) for picture in pictures])
    except (OSError, ValueError):
        return False
    if len({picture.tobytes() for picture in pictures}) < len(CHARACTERS) - 3:
        return False
    votes = [drawn @ known.T for known in _known()]
    best = np.argmax(np.max(votes, axis=0), axis=1)
    folded = np.array([CHARACTERS.lower().index(c) for c in CHARACTERS.lower()])
    kinds = np.split(folded[best] == folded, [26, 52])
    return all(kind.mean() > 0.15 for kind in kinds)


def letters(size: int = 32, files: Sequence[str | Path] | None = None) -> ImageDataset:
    """A-Z a-z 0-9 of every text font found (or of `files`), (62 n, 1, size, size), white on black.

    labels: the character's place in CHARACTERS; details["font"]: the font's, whose names are
    details["fonts"]; captions: "A in Lato Bold". ValueError unless 16 <= size <= 64.
    """
    if not 16 <= size <= 64:
        raise ValueError(f"fonts: letters are drawn at 16 to 64 pixels, got size {size}")
    chosen = text_fonts() if files is None else [Path(file) for file in files]
    names = [_name(path) for path in chosen]
    names = [name if names.count(name) == 1 else path.stem for name, path in zip(names, chosen)]
    images = np.stack([255 - draw_letter(path, c, size) for path in chosen for c in CHARACTERS])
    return ImageDataset.of(
        "letters", images, np.tile(np.arange(62), len(chosen)), tuple(CHARACTERS),
        captions=tuple(f"{c} in {name}" for name in names for c in CHARACTERS),
        details={"font": np.repeat(np.arange(len(chosen)), 62), "fonts": tuple(names)},
    )  # fmt: skip


@cache
def _known() -> tuple[Array, ...]:
    """The characters of four fonts that matplotlib brings."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    paths = [folder / f"DejaVu{kind}.ttf" for kind in KNOWN]
    return tuple(np.stack([_coarse(draw_letter(p, c, 16)) for c in CHARACTERS]) for p in paths)


def _coarse(picture: Array) -> Array:
    """A vector of length 1 to compare by: the ink, cut to its box and stretched to 12 x 12."""
    from PIL import Image

    ink = 255 - picture
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    if not len(rows):
        raise ValueError("an empty glyph")
    box = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = np.asarray(Image.fromarray(box).resize((12, 12), Image.Resampling.BILINEAR), float)
    centred = small.ravel() - small.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-9)


# --- files ------------------------------------------------------------------------------------


@cache
def _file(name: str) -> Path:
    folder, package = FILES[name]
    found = next(iter(sorted(Path(folder).rglob(name))), None)
    if found is None:
        raise FileNotFoundError(
            f"fonts: {name} is not below {folder}; on Debian and Ubuntu: apt install {package}"
        )
    return found


@cache
def _font(name: str, size: int) -> Any:
    positive("fonts", size=size)
    try:
        from PIL import ImageFont
    except ImportError as error:
        raise ImportError("fonts: drawing needs Pillow: pip install pillow") from error
    return ImageFont.truetype(str(_file(name)) if name in FILES else name, size)


def _name(path: Path) -> str:
    return " ".join(_font(str(path), 32).getname())


def _ink(font: Any, text: str) -> Array | None:
    """A glyph's mask (H, W), cut to its box; None if it is blank."""
    mask = font.getmask(text)
    pixels = np.array(mask, np.uint8).reshape(mask.size[::-1])
    return pixels if pixels.any() else None

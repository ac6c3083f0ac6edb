"""Make tinygen/data/emoji.npz from installed fonts: the same bytes on every run.

    apt install fonts-noto-color-emoji fonts-symbola unicode-data
    python benchmarks/data/emoji.py            # writes the file, says versions and sizes
    python benchmarks/data/emoji.py --check    # writes nothing; says whether it would differ

Pictures are 32 x 32 with 64 levels a channel, drawings have 8 and 16. A sixth of each group is for
testing. Emoji that look alike, or belong to a series, are one family and on one side: families grow
from pairs of a group whose pictures differ by less than a tenth of their ink, and from SERIES.
"""

import argparse
import io
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from tinygen.data import fonts

TARGET = Path(__file__).resolve().parents[2] / "tinygen" / "data" / "emoji.npz"
ALIKE = 0.1
TEST = 1 / 6
SERIES = [  # names that match one pattern, within a subgroup, are a series
    r"o.clock$|-thirty$", r"moon", r"arrow", r"heart", r"circle$", r"square$|square button$",
    r"diamond$", r"triangle$", r"book$|books$", r"mailbox", r"globe", r"^(man|woman|person|older)",
    r"^(boy|girl|child|baby)$", r"button$", r"sign$", r"note$", r"envelope|e-mail", r"speaker",
    r"medal$", r"hourglass", r"lock", r"chart|graph", r"train|tram|railway|metro|station",
    r"bus$|trolleybus", r"taxi", r"police car", r"automobile$", r"rectangle|clipboard|page",
    r"crayon|pen$|pencil",
    r"index pointing", r"raised|palm", r"fist", r"cat", r"monkey$", r"chick$", r"hourglass",
    r"dagger", r"hot pepper|tomato$", r"rice", r"bell", r"thermometer$", r"cross$", r"star$",
    r"droplet|sweat", r"calendar", r"family|couple|kiss$",
]  # fmt: skip


def quantised(pictures: np.ndarray, levels: int) -> np.ndarray:
    """To so many grey values, spread over 0..255: what an image loses by it is hardly seen."""
    return np.rint(np.rint(pictures / 255 * (levels - 1)) * (255 / (levels - 1))).astype(np.uint8)


def families(glyphs: list[fonts.Glyph], pictures: np.ndarray) -> np.ndarray:
    """The number of each emoji's family: connected parts of "looks like, or is of one series"."""
    x = pictures.reshape(len(pictures), -1) / 255.0
    squares = (x**2).sum(1)
    apart = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0) / x.shape[1])
    ink = np.sqrt(((1 - x) ** 2).mean(1))
    group = np.array([glyph.label for glyph in glyphs])
    linked = (apart < ALIKE * np.minimum(ink[:, None], ink)) & (group[:, None] == group)
    kind = np.array([sorted({g.subgroup for g in glyphs}).index(g.subgroup) for g in glyphs])
    for pattern in SERIES:
        of_it = np.array([bool(re.search(pattern, glyph.name)) for glyph in glyphs])
        linked |= of_it[:, None] & of_it & (kind[:, None] == kind)
    number = np.arange(len(glyphs))
    while True:  # every one takes the least number among those linked to it
        least = np.where(linked, number, len(glyphs)).min(1)
        if (least == number).all():
            return number
        number = np.minimum(number, least)


def split(glyphs: list[fonts.Glyph], family: np.ndarray) -> np.ndarray:
    """True for the test emoji: whole families, at random, until a sixth of a group is there."""
    test = np.zeros(len(glyphs), bool)
    rng = np.random.default_rng(0)
    group = np.array([glyph.label for glyph in glyphs])
    for label in range(len(fonts.GROUPS)):
        wanted = round(TEST * (group == label).sum())
        for number in rng.permutation(np.unique(family[group == label])):
            members = family == number
            if test[group == label].sum() + members.sum() <= wanted:
                test |= members
    return test


def content() -> tuple[bytes, dict[str, np.ndarray]]:
    """The file's bytes and its arrays."""
    glyphs = fonts.glyphs()
    pictures = np.stack([fonts.draw_emoji(glyph.text) for glyph in glyphs])
    drawn = [fonts.draw_symbola(glyph.text) for glyph in glyphs]
    arrays = {
        "images": quantised(pictures, 64),
        "line": quantised(np.stack([fonts.draw_line(glyph.text) for glyph in glyphs]), 8),
        "symbola": quantised(np.stack([d for d in drawn if d is not None]), 16),
        "drawn": np.array([d is not None for d in drawn]),
        "labels": np.array([glyph.label for glyph in glyphs], np.uint8),
        "codes": np.array([ord(glyph.text) for glyph in glyphs], np.uint32),
        "test": split(glyphs, families(glyphs, pictures)),
        "text": np.frombuffer("\n".join(f"{g.name}\t{g.subgroup}" for g in glyphs).encode(),
                              np.uint8),
    }  # fmt: skip
    return packed(arrays), arrays


def packed(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz whose bytes depend on the arrays alone: np.savez_compressed writes the time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(),
                          zipfile.ZIP_DEFLATED, 9)  # fmt: skip
    return buffer.getvalue()


def versions() -> str:
    """Of what the pixels depend on."""
    freetype = features.version("freetype2")
    return f"NumPy {np.__version__}, Pillow {PIL.__version__}, FreeType {freetype}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    args = parser.parse_args()
    made, arrays = content()
    same = TARGET.exists() and TARGET.read_bytes() == made
    print(versions())
    print(f"{len(arrays['labels'])} emoji, {arrays['drawn'].sum()} drawn by Symbola, "
          f"{arrays['test'].sum()} for testing; {len(made) / 1e6:.2f} MB; "
          f"{'the same bytes' if same else 'other bytes than before'}")  # fmt: skip
    for label, group in enumerate(fonts.GROUPS):
        mine = arrays["labels"] == label
        print(f"  {group:20} {mine.sum():4} of which {arrays['test'][mine].sum()} for testing")
    if not args.check:
        TARGET.write_bytes(made)
    return 1 if args.check and not same else 0


if __name__ == "__main__":
    sys.exit(main())

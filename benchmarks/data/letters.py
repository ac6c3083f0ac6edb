"""Make tinygen/data/letters.npz from installed fonts: the same bytes on every run.

    apt install PACKAGES                         # `--packages` prints them
    python benchmarks/data/letters.py            # writes the file, says versions and sizes
    python benchmarks/data/letters.py --check    # writes nothing; says whether it would differ

A-Z a-z 0-9 at 32 x 32 pixels, 8 grey levels, white on black, in the styles below; every sixth
family is for testing. All fonts are under the SIL Open Font License or Apache 2.0.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from emoji import packed, quantised, versions

from tinygen.data import fonts

TARGET = Path(__file__).resolve().parents[2] / "tinygen" / "data" / "letters.npz"
STYLES = {  # Debian's package: families and the styles taken of each
    "fonts-sil-andika": {"Andika": "Regular Bold"},
    "fonts-b612": {"B612": "Regular", "B612Mono": "Bold"},
    "fonts-cabin": {"Cabin": "Regular Bold"},
    "fonts-cabinsketch": {"CabinSketch": "Regular Bold"},
    "fonts-crosextra-caladea": {"Caladea": "Regular BoldItalic"},
    "fonts-cantarell": {"Cantarell": "Light ExtraBold"},
    "fonts-crosextra-carlito": {"Carlito": "Regular BoldItalic"},
    "fonts-comfortaa": {"Comfortaa": "Light Regular Bold"},
    "fonts-courier-prime": {"Courier Prime": "* Bold Italic"},
    "fonts-ebgaramond": {"EBGaramond12": "Regular Italic"},
    "fonts-fantasque-sans": {"FantasqueSansMono": "Regular BoldItalic"},
    "fonts-firacode": {"FiraCode": "Light Bold"},
    "fonts-junicode": {"JunicodeTwoBeta": "Regular BoldItalic Condensed"},
    "fonts-jura": {"Jura": "Light Bold"},
    "fonts-karla": {"Karla": "Regular ExtraBoldItalic"},
    "fonts-lato": {"Lato": "Thin Regular Black BoldItalic"},
    "fonts-league-spartan": {"LeagueSpartan": "Light Bold"},
    "fonts-linuxlibertine": {"LinLibertine": "R RB", "LinBiolinum": "R"},
    "fonts-manrope": {"Manrope": "Light ExtraBold"},
    "fonts-mononoki": {"mononoki": "Regular Bold"},
    "fonts-open-sans": {"OpenSans": "Regular ExtraBold Italic CondLight"},
    "fonts-play": {"Play": "Regular Bold"},
    "fonts-quicksand": {"Quicksand": "Light Bold"},
    "fonts-roboto-unhinted": {"Roboto": "Thin Regular Black", "RobotoCondensed": "Italic"},
    "fonts-vollkorn": {"Vollkorn": "Regular Black Italic"},
    "fonts-yanone-kaffeesatz": {"YanoneKaffeesatz": "ExtraLight Regular"},
}  # fmt: skip


def files() -> list[Path]:
    """The font files of STYLES, in its order; FileNotFoundError names what is missing."""
    known = {p.stem: p for p in sorted(Path("/usr/share/fonts").rglob("*.[to]tf"))}
    found = []
    for package, families in STYLES.items():
        for family, styles in families.items():
            for style in styles.split():
                for name in (f"{family}-{style}", f"{family}_{style}", f"{family} {style}", family):
                    if name in known and (name != family or style == "*"):
                        found.append(known[name])
                        break
                else:
                    raise FileNotFoundError(f"no font {family} {style}: apt install {package}")
    return found


def content() -> tuple[bytes, dict[str, np.ndarray]]:
    """The file's bytes and its arrays."""
    chosen = files()
    if strange := [path.name for path in chosen if not fonts.is_text_font(path)]:
        raise ValueError(f"these draw no letters: {', '.join(strange)}")
    data = fonts.letters(32, chosen)
    family = [name for families in STYLES.values() for name, styles in families.items()
              for _ in styles.split()]  # fmt: skip
    order = {name: i for i, name in enumerate(dict.fromkeys(family))}
    arrays = {
        "images": quantised(data.images.numpy()[:, 0], 8),
        "test": np.array([order[name] % 6 == 5 for name in family]),
        "text": np.frombuffer("\n".join(data.details["fonts"]).encode(), np.uint8),
    }
    return packed(arrays), arrays


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--packages", action="store_true", help="print them, write nothing")
    args = parser.parse_args()
    if args.packages:
        print(" ".join(STYLES))
        return 0
    made, arrays = content()
    same = TARGET.exists() and TARGET.read_bytes() == made
    print(versions())
    verdict = "the same bytes" if same else "other bytes than before"
    styles, tested = len(arrays["test"]), arrays["test"].sum()
    print(f"{styles} styles, {tested} for testing; {len(made) / 1e6:.2f} MB; {verdict}")
    if not args.check:
        TARGET.write_bytes(made)
    return 1 if args.check and not same else 0


if __name__ == "__main__":
    sys.exit(main())

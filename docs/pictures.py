"""Make the three pictures at the top of README, in examples/pictures/.

    python docs/pictures.py                   # draws the plane, trains for both films: minutes
    python docs/pictures.py --runs FOLDER     # the films of runs that are there: FOLDER/gan, ...

plane.png is what `tinygen sample vae-fashion` draws; gan.gif and diffusion.gif are the films of
`tinygen run gan` and `tinygen run diffusion_2d`, every frame at half its size so that a page loads.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageSequence

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "examples" / "pictures"
FILMS = {"gan": "lab.gif", "diffusion_2d": "chain.gif"}
MOST = 1_000_000  # bytes of a picture


def tinygen(*words: str, folder: Path) -> None:
    """Run the command in `folder`."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tinygen.cli import main; "
    command = [sys.executable, "-c", code + "sys.exit(main())", *words]
    subprocess.run(command, cwd=folder, check=True)


def shrink(film: Path, to: Path) -> None:
    """Half the width and height, 64 colours, the same pace."""
    with Image.open(film) as source:
        pairs = [(frame.convert("RGB"), frame.info["duration"])
                 for frame in ImageSequence.Iterator(source)]  # fmt: skip
    frames, pace = zip(*pairs)
    half = [frame.resize((frame.width // 2, frame.height // 2), Image.Resampling.LANCZOS)
            for frame in frames]  # fmt: skip
    both = Image.new("RGB", (2 * half[0].width, half[0].height))  # its first and last colours
    both.paste(half[0])
    both.paste(half[-1], (half[0].width, 0))
    palette = both.quantize(64, Image.Quantize.MAXCOVERAGE)
    small = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in half]
    small[0].save(to, save_all=True, append_images=small[1:], duration=list(pace), loop=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, help="take the films from here, train nothing")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tinygen("sample", "vae-fashion", folder=folder)
        plane = (folder / "vae-fashion-plane.png").read_bytes()
        (PICTURES / "plane.png").write_bytes(plane)
        for slug, film in FILMS.items():
            if args.runs is None:
                tinygen("run", slug, folder=folder)
            runs = args.runs or folder / "runs"
            shrink(runs / slug / film, PICTURES / f"{slug.partition('_')[0]}.gif")
    for name in ("plane.png", "gan.gif", "diffusion.gif"):
        size = (PICTURES / name).stat().st_size
        print(f"{name}: {size / 1000:.0f} kB{'' if size < MOST else ', too large for a page'}")


if __name__ == "__main__":
    main()

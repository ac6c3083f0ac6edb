"""Text to image in numbers: guidance, and re-ranking by CLIP, on seen and unseen pairs.

    python benchmarks/quality/text.py text_to_image --clip runs/clip/last.npz      # the bundled one
    python benchmarks/quality/text.py runs/text_to_image/last.npz

Of a checkpoint of examples/text_to_image.py: the share of facts that an oracle reads in its
pictures, and of pictures that show all of them (metrics.caption_score), for captions of scenes that
were not trained on; "unseen" ones each name a pair of colour and shape that no training picture
shows. With --clip, of some pictures a caption the one that CLIP likes best (text.best_of), beside
the first of them and the one that the oracle likes best, which nothing that chooses can surpass.
The tables go to benchmarks/results/text/figures.{json,md}.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

import tinygen as tg
from tinygen import data, metrics
from tinygen.models import restore, text

OUT = Path(__file__).resolve().parents[1] / "results" / "text"
SPLITS = {"seen": "test", "unseen": "held_out"}
HOW = {"sampler": "ddim", "steps": 20}


def draw(model: Any, captions: list[str], guidance: float, seed: int) -> tg.Tensor:
    """A picture for each caption, in [-1, 1], 100 at a time."""
    rows = [captions[i : i + 100] for i in range(0, len(captions), 100)]
    return tg.cat([
        model.sample(len(row), tg.Generator().manual_seed(1000 * seed + i), captions=row,
                     guidance=guidance, **HOW)
        for i, row in enumerate(rows)
    ])  # fmt: skip


def score(x: tg.Tensor, captions: list[str]) -> list[float]:
    """Facts and pictures right, in per cent."""
    right = metrics.caption_score((0.5 * x + 0.5).clamp(0, 1), captions)
    return [round(100 * share, 1) for share in (right.facts, right.exact)]


def ranked(model: Any, clip: Any, captions: list[str], guidance: float, draws: int) -> Any:
    """The scores of the first draw of each caption, of CLIP's choice and of the oracle's."""
    x = tg.stack([draw(model, captions, guidance, seed) for seed in range(draws)], 1)
    each = [[score(picture[None], [caption])[0] for picture in row]
            for row, caption in zip(x, captions)]  # fmt: skip
    best = tg.stack([row[int(np.argmax(facts))] for row, facts in zip(x, each)])
    kinds = {"first": x[:, 0], "CLIP's": text.best_of(clip, x.flatten(0, 1), captions),
             "the oracle's": best}  # fmt: skip
    return {kind: score(chosen, captions) for kind, chosen in kinds.items()}


def page(found: dict[str, Any]) -> str:
    """figures.md."""
    lines = [
        "# Text to image in numbers\n",
        f"Made by `benchmarks/quality/text.py` of a run of examples/text_to_image.py: "
        f"{found['n']} captions a row, of scenes that were not trained on; facts (and pictures "
        f"with all their facts) that the oracle finds right, in per cent; 20 steps of DDIM; "
        f"tinygen {found['tinygen']}, NumPy {found['numpy']}, Python {found['python']}.\n",
        "| guidance | seen pairs | unseen pairs |\n|--:|--:|--:|",
    ]
    cell = lambda pair: f"{pair[0]:.1f} ({pair[1]:.1f})"
    for guidance, row in found["guidance"].items():
        lines.append(f"| {guidance} | {cell(row['seen'])} | {cell(row['unseen'])} |")
    if "ranked" in found:
        seen, unseen = (found["ranked"][name] for name in SPLITS)
        lines += [
            f"\nOf {found['draws']} draws a caption, one is kept:\n",
            "| choice | seen pairs | unseen pairs |\n|---|--:|--:|",
            *(f"| {kind} | {cell(seen[kind])} | {cell(unseen[kind])} |" for kind in seen),
        ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, help="a checkpoint of examples/clip.py")
    parser.add_argument("checkpoint", type=Path, help="of examples/text_to_image.py")
    parser.add_argument("--n", type=int, default=200, help="captions (200)")
    parser.add_argument("--draws", type=int, default=4, help="pictures to choose from (4)")
    args = parser.parse_args()
    _, config, model = restore(args.checkpoint)
    captions = {name: list(data.scenes(args.n, 5, split, most=2).captions)
                for name, split in SPLITS.items()}  # fmt: skip
    found: dict[str, Any] = {
        "n": args.n, "draws": args.draws, "tinygen": tg.__version__, "numpy": np.__version__,
        "python": platform.python_version(), "guidance": {},
    }  # fmt: skip
    for guidance in (1.0, 1.5, 2.0, 3.0, 5.0):
        row = {name: score(draw(model, told, guidance, 0), told) for name, told in captions.items()}
        found["guidance"][f"{guidance:g}"] = row
        print(guidance, row, flush=True)
    if args.clip:
        _, _, clip = restore(args.clip)
        found["ranked"] = {name: ranked(model, clip, told, config["guidance"], args.draws)
                           for name, told in captions.items()}  # fmt: skip
        print(found["ranked"], flush=True)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "figures.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    (OUT / "figures.md").write_text(page(found))


if __name__ == "__main__":
    main()

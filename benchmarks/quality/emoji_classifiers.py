"""Train the two classifiers of emoji: one for losses, one for metrics; unlike in build and seed.

    python benchmarks/quality/emoji_classifiers.py           # both, about 10 minutes
    python benchmarks/quality/emoji_classifiers.py --show    # accuracy and confusion, no training

Writes tinygen/models/nets/emoji_features.npz (losses: seed 0, group norm, six convolutions) and
tinygen/metrics/emoji_classifier.npz (metrics: seed 1, two strided convolutions), float16, and the
figures to benchmarks/results/emoji-classifiers.json. Both see 1,147 training emoji, each time
moved, mirrored and recoloured a little, and are judged on the 230 others.
"""

import argparse
import json
from pathlib import Path

import numpy as np

import tinygen as tg
from tinygen import data, metrics
from tinygen.data import transforms
from tinygen.metrics.classifier import EMOJI_WEIGHTS
from tinygen.models import nets
from tinygen.models.nets.perceptual import WEIGHTS
from tinygen.nn import functional as F

RESULTS = Path(__file__).resolve().parents[1] / "results" / "emoji-classifiers.json"
STEPS, BATCH, LR = 3000, 64, 2e-3


def moved(x: tg.Tensor) -> tg.Tensor:
    """(B, 3, 32, 32) in [0, 1]: up to 3 pixels aside, mirrored, in other light; then in [-1, 1]."""
    white = tg.nn.functional.pad(x, (3, 3, 3, 3), value=1.0)
    x = transforms.random_flip(transforms.random_crop(white, 32))
    return 2 * transforms.colour_jitter(x, 0.2, 0.2, 0.2) - 1


def train(model: tg.nn.Module, seed: int) -> tg.nn.Module:
    tg.manual_seed(seed)
    train_set = data.load("emoji")
    x, labels = train_set.to_unit(), train_set.labels
    opt = tg.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.05)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=STEPS)
    for step in range(STEPS):
        some = tg.randperm(len(x))[:BATCH]
        loss = F.cross_entropy(model(moved(x[some])), labels[some])
        opt.zero_grad()
        loss.backward()
        opt.step()
        schedule.step()
        if step % 500 == 0:
            print(f"{type(model).__name__} step {step}: {loss.item():.3f}", flush=True)
    return model.eval()


@tg.no_grad()
def confusion(model: tg.nn.Module, split: str) -> np.ndarray:
    """counts[true, guessed] of the eight groups."""
    part = data.load("emoji", split)
    guess = model(part.to_symmetric()).argmax(1).numpy()
    counts = np.zeros((8, 8), int)
    np.add.at(counts, (part.labels.numpy(), guess), 1)
    return counts


def report(name: str, model: tg.nn.Module) -> dict[str, object]:
    counts = {split: confusion(model, split) for split in ("train", "test")}
    share = {split: float(np.trace(c) / c.sum()) for split, c in counts.items()}
    print(f"{name}: {share['test']:.3f} of test emoji, {share['train']:.3f} of training emoji")
    classes = data.load("emoji").classes
    for label, row in zip(classes, counts["test"]):
        print(f"  {label:20} {row[classes.index(label)] / row.sum():.2f}  {row.tolist()}")
    return {"accuracy": share, "confusion": counts["test"].tolist(), "steps": STEPS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--show", action="store_true", help="train nothing")
    if not parser.parse_args().show:
        model = train(nets.EmojiFeatures(), seed=0)
        half = {k: v.numpy().astype(np.float16) for k, v in model.state_dict().items()}
        np.savez(WEIGHTS, **half)
        judge = train(metrics.Classifier(3, 32, classes=8), seed=1)
        x = data.load("emoji").to_symmetric()
        judge.spread._array[...] *= np.maximum(judge.features(x).std(0), 1e-6)
        np.savez(
            EMOJI_WEIGHTS,
            **{k: v.numpy().astype(np.float16) for k, v in judge.state_dict().items()},
        )
    rows = {"losses": report("for losses", nets.perceptual().features),
            "metrics": report("for metrics", metrics.emoji_classifier())}  # fmt: skip
    RESULTS.write_text(json.dumps({"numpy": np.__version__, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

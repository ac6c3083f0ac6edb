"""The page of benchmarks/quality/codes.py, made of its numbers."""

from typing import Any

import numpy as np
from rows import over, table


def report(found: dict[str, Any], picture: str | None) -> str:
    v, rows, budget = found["versions"], found["rows"], found["budgets"]
    kept = {name: runs for name, runs in rows.items() if name.startswith("keep")}
    drawn = {name: runs for name, runs in rows.items() if name.startswith("draw")}
    parts = [
        "# Codes in numbers\n",
        f"Made by `benchmarks/quality/codes.py`; tinygen {v['tinygen']}, NumPy {v['numpy']}, "
        f"Python {v['python']}. Seconds and milliseconds are of one core's time.\n",
    ]
    if kept:
        parts += [
            "## What integers keep of a test picture\n",
            f"VQ-VAEs after {budget['keep']:g} s of training each, one seed. Bits a number: the "
            "integers by their frequencies at each place and the grey values given the decoder's "
            "picture (`VQVAE.log_prob_bound`), at most so many. Perceptual: in our features of "
            "emoji. Integers that keep more cost more themselves: log2 of size for each.\n",
            table(
                ["data, quantiser", "integers", "size", "perplexity", "PSNR", "SSIM", "perceptual",
                 "bits a number", "steps"],
                [[name[5:], runs[0]["integers"], runs[0]["size"], over(runs, "perplexity", 1),
                  over(runs, "psnr", 2), over(runs, "ssim", 3), over(runs, "perceptual", 3),
                  over(runs, "bits", 3), runs[0]["steps"]] for name, runs in kept.items()],
            ),
        ]  # fmt: skip
    if drawn:
        floor = found["floor"]
        parts += [
            "## What is drawn in them: emoji at equal time\n",
            f"No labels. {budget['first']:g} s for the autoencoder (8 x 8 places), "
            f"{budget['draw']:g} s for what draws in it, their sum for the diffusion of pixels; of "
            "each the averaged weights that are best on 100 held-out pictures. Frechet, precision "
            f"and recall against 1047 training pictures, the mean of {budget['groups']} groups of "
            f"230, the size of the test set, which has {floor['frechet'][0]:.2f}, "
            f"{floor['precision']:.2f}, "
            f"{floor['recall']:.2f}: no model is asked for less. Reconstructed: the test pictures "
            "after the autoencoder, what a prior over it could reach. Time: 100 at once and one "
            "alone.\n",
            table(
                ["what draws", "Frechet", "reconstructed", "precision", "recall", "passes",
                 "ms of 100", "ms of one", "without cache", "steps, best at"],
                [[name[5:], over(runs, "frechet", 2), over(runs, "reconstructed", 2),
                  over(runs, "precision", 2), over(runs, "recall", 2), runs[0]["passes"],
                  over(runs, "many", 1), over(runs, "one", 0), over(runs, "uncached", 0),
                  f"{runs[0]['steps']}, {runs[0].get('best_at', '-')}"]
                 for name, runs in drawn.items()],
            ),
        ]  # fmt: skip
        if picture:
            names = "; ".join(name[5:] for name in drawn)
            parts += [f"![samples]({picture})\n\nA row each: {names}.\n"]
        dense = {name: runs for name, runs in drawn.items() if "log_p" in runs[0]}
        parts += [
            "## Bits of tokens and decoder\n",
            "Test log P(tokens) in nats and, with the decoder's discretised logistic, at most so "
            "many bits a number of 256 grey values. VAR's integers are others, and more. MaskGIT, "
            "a VQ-GAN and the diffusions have no such number. Milliseconds a token, one picture at "
            "a time.\n",
            table(
                ["prior", "integers", "log P(tokens)", "bits a number", "ms a token", "uncached"],
                [[name[5:], runs[0]["integers"], over(runs, "log_p", 1), over(runs, "bits", 3),
                  *(f"{np.mean([r[k] for r in runs]) / runs[0]['integers']:.2f}"
                    if k in runs[0] and "uncached" in runs[0] else "-"
                    for k in ("one", "uncached"))] for name, runs in dense.items()],
            ),
        ]  # fmt: skip
        if noisy := drawn.get("draw maskgit"):
            noises = list(noisy[0]["noise"])
            parts += [
                "## The noise of MaskGIT\n",
                f"Frechet against the noise of its confidence ({noisy[0]['passes']} passes), draws "
                "that the table above does not count.\n",
                table(["noise", *noises],
                      [["Frechet", *(f"{np.mean([r['noise'][n] for r in noisy]):.2f}"
                                     for n in noises)]]),
            ]  # fmt: skip
    return "\n".join(parts)

"""Adversarial autoencoders: are the codes as the prior says, and what are 100 labels worth?

    python benchmarks/quality/aae.py                    # what is not there yet: 15 min of CPU
    python benchmarks/quality/aae.py --match swiss      # only rows with this in the name
    python benchmarks/quality/aae.py --report           # the tables again, from the JSON

Each row is examples/aae.py as it stands, run with these options and the seeds 0, 1, 2; the numbers
are those that it prints. They go to benchmarks/results/gan/aae-figures.{json,md}.
"""

import re

from rows import RESULTS, fill, load, options, over, said, table

from tinygen.models.gan.aae import ENCODERS

OUT = RESULTS / "gan"
FASHION = ["--data", "fashion", "--hidden", "128", "--epochs", "4", "--weight", "300"]
LABELS = ["--labels", "100", "--latent", "8", "--epochs", "100"]
ROWS = {
    **{f"codes {prior} {encoder}": [*FASHION, "--prior", prior, "--encoder", encoder]
       for prior in ("gaussian", "mixture", "swiss_roll") for encoder in ENCODERS},
    "codes gaussian no_judge": [*FASHION[:-1], "0"],
    "labels classes all": [*LABELS, "--prior", "classes"],
    "labels classes labelled": [*LABELS, "--prior", "classes", "--only-labelled"],
    "labels mixture all": ["--labels", "100", "--prior", "mixture", "--weight", "10"],
}  # fmt: skip
NUMBER = r"(\d+\.\d+)"
SAID = {
    "told_apart": rf"from draws of the prior {NUMBER} %",
    "error": rf"squared error {NUMBER} a picture",
    "right": rf"100 labels: {NUMBER} % of test pictures",
}


def run(name: str, seed: int) -> dict[str, float]:
    """What one run of the example prints, by name."""
    text, cpu = said("aae", ROWS[name], seed)
    found = {name: re.findall(pattern, text) for name, pattern in SAID.items()}
    return {"cpu": cpu} | {name: float(number[0]) for name, number in found.items() if number}


def report(found: dict) -> str:
    v, rows = found["versions"], found["rows"]
    codes, labels = (
        [[*name.split()[1:], runs] for name, runs in rows.items() if name.startswith(kind)]
        for kind in ("codes", "labels")
    )
    parts = [
        "# Adversarial autoencoders in numbers\n",
        f"Made by `benchmarks/quality/aae.py`: `examples/aae.py` with the options there; mean ± "
        f"standard deviation over the seeds; tinygen {v['tinygen']}, NumPy {v['numpy']}, Python "
        f"{v['python']}. CPU s: of the first run, pictures included.\n",
    ]
    if codes:
        parts += [
            "## Are the codes of held-out pictures as the prior says?\n",
            "Fashion-MNIST, 60,000 training pictures, 1,000 held-out test pictures, codes in the "
            "plane. Told apart: how often neighbours tell these 1,000 codes from 1,000 draws of "
            "the prior (half of each train, the other half is asked; 50 %: they cannot; its own "
            "standard error is 1.6). No judge: an autoencoder, whose codes get the prior's mean "
            "and spread first.\n",
            table(
                ["prior", "encoder", "told apart, %", "each seed", "squared error", "CPU s"],
                [[prior, encoder.replace("_", " "), over(runs, "told_apart", 1),
                  ", ".join(f"{row['told_apart']:.1f}" for row in runs), over(runs, "error", 1),
                  runs[0]["cpu"]] for prior, encoder, runs in codes],
            ),
        ]  # fmt: skip
    if labels:
        parts += [
            "## What 100 labels are worth\n",
            "Digits, 1,415 training pictures of which 100 have a label, 382 test pictures. "
            "Labelled: the same model, trained as many steps on those 100 alone. Prior classes: "
            "the code says a class and how it looks; mixture: a class is a petal.\n",
            table(
                ["prior", "trained on", "test pictures right, %", "each seed", "CPU s"],
                [[prior, kind, over(runs, "right", 1),
                  ", ".join(f"{row['right']:.1f}" for row in runs), runs[0]["cpu"]]
                 for prior, kind, runs in labels],
            ),
        ]  # fmt: skip
    return "\n".join(parts)


def main() -> None:
    args, path = options(__doc__, seeds=3), OUT / "aae-figures.json"
    found = load(path)
    fill(path, found, ROWS, run, args)
    (OUT / "aae-figures.md").write_text(report(found))


if __name__ == "__main__":
    main()

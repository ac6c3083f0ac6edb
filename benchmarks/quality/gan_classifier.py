"""Train the classifier of the bundled digits whose features tinygen.metrics uses.

python benchmarks/quality/gan_classifier.py          # writes tinygen/metrics/digits_classifier.npz
"""

import time

import numpy as np

import tinygen as tg
from tinygen import data
from tinygen.metrics import classifier


def accuracy(model: classifier.Classifier, part: data.ImageDataset) -> float:
    guess = model.probabilities(part.to_symmetric()).argmax(1)
    return float((guess == part.labels.numpy()).mean())


def main() -> None:
    tg.manual_seed(0)
    train, test = data.load("digits"), data.load("digits", "test")
    began = time.perf_counter()
    model = classifier.Classifier()
    classifier.fit_classifier(model, train.to_symmetric(), train.labels)
    seconds = time.perf_counter() - began
    print(f"trained in {seconds:.0f} s; accuracy {accuracy(model, train):.4f} on {len(train)} "
          f"training digits, {accuracy(model, test):.4f} on {len(test)} test digits")  # fmt: skip
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    np.savez(classifier.WEIGHTS, **weights)
    print(f"{classifier.WEIGHTS.stat().st_size / 1000:.0f} kB in {classifier.WEIGHTS.name}")


if __name__ == "__main__":
    main()

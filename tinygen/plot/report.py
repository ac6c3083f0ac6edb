"""The endings that examples share: what a model learned, as pictures in the run's folder.

    report = Report(args.out, model)
    report.grid("samples", model.sample(100))
    report.walks(codes[:8], codes[8:16])
    nearest = report.neighbours(pictures, train)
    report.sums(codes, train_set.labels[nearest])
    report.curves("loss_d", "loss_g")
    report.close()

The last prints "pictures in runs/dcgan/: arithmetic.png, curves.png, ...".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import metrics
from ..backend import Array, Generator
from ..data import picture, to_symmetric
from ..models import latent
from ..ops import cat, linspace, tensor
from ..tape import no_grad
from ..tensor import Tensor
from .curves import curves
from .figure import PathLike, left_out
from .images import image_grid, reconstruction_pairs, save_image

__all__ = ["Report", "SUMS"]

SUMS = ((8, 3, 9), (0, 1, 7), (4, 9, 5), (6, 0, 3))  # a - b + c, of ten classes


class Report:
    """Pictures of a model whose `pixels` are the range of its pictures, in `folder`.

    What is made of codes takes a model with `decode(z, labels)`.

    >>> import os, tempfile, tinygen as tg
    >>> from tinygen.plot.report import Report
    >>> model = tg.models.build("vae", {"shape": (1, 8, 8), "hidden": 16})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Report(folder, model).grid("samples", model.sample(4))
    ...     os.listdir(folder)
    ['samples.png']
    """

    def __init__(self, folder: PathLike, model: Any) -> None:
        self.folder, self.model = Path(folder), model

    def grid(self, name: str, images: Any, nrow: int = 10, title: str | None = None) -> None:
        """Images (n, C, H, W) as `name`.png, nrow in a row."""
        image_grid(images, nrow, value_range=self.model.pixels, clip=True, title=title,
                   path=self.folder / f"{name}.png")  # fmt: skip

    def pairs(
        self, originals: Any, made: Any, labels: tuple[str, str] = ("original", "reconstruction")
    ) -> None:
        """reconstructions.png: each original above what the model made of it."""
        reconstruction_pairs(
            originals, made, value_range=self.model.pixels, labels=labels, clip=True,
            path=self.folder / "reconstructions.png",
        )  # fmt: skip

    def translated(self, files: Sequence[Path], generator: Generator | None = None) -> None:
        """NAME-translated.png beside each of these files, by model.translate; prints where.

        A file of another size or mode than model.told is fitted, and a notice says how.
        """
        channels, size, _ = self.model.told
        device = next(iter(self.model.parameters())).device
        for file in files:
            pixels, notice = picture(file, size, grey=channels == 1)
            made = self.model.translate(to_symmetric(pixels).to(device), generator)
            path = file.with_name(f"{file.stem}-translated.png")
            save_image(made, path, value_range=self.model.pixels, clip=True)
            print(f"{notice}\n{path}" if notice else path)

    @no_grad()
    def walks(self, a: Tensor, b: Tensor, labels: Tensor | None = None, steps: int = 10) -> None:
        """walks.png: a row for each code of a (n, d), along the arc to that of b (`latent.slerp`).

        labels: (n,), one for each row, of a conditional model.
        """
        between = latent.interpolate(a, b, steps, spherical=True).transpose(0, 1).flatten(0, 1)
        self._rows("walks", between, labels, steps)

    @no_grad()
    def moves(
        self, name: str, codes: Tensor, way: Tensor, reach: float, steps: int,
        labels: Tensor | None = None,
    ) -> None:  # fmt: skip
        """`name`.png: a row for each code of codes (n, d), from z - reach way to z + reach way."""
        along = linspace(-reach, reach, steps, device=codes.device).unsqueeze(1) * way
        self._rows(name, (codes.unsqueeze(1) + along).flatten(0, 1), labels, steps)

    def _rows(self, name: str, codes: Tensor, labels: Tensor | None, steps: int) -> None:
        given = None if labels is None else labels.repeat_interleave(steps)
        self.grid(name, self.model.decode(codes, given), nrow=steps)

    def neighbours(self, pictures: Tensor, train: Tensor, show: int = 10) -> Array:
        """neighbours.png: the first pictures above the nearest of train (10,000 at most).

        Returns where the nearest of every picture is in train, (n,): copies would show here.
        """
        nearest = metrics.nearest_neighbours(pictures, train[:10_000])[1][:, 0]
        beside = cat([pictures[:show].cpu(), train[nearest[:show].tolist()].cpu()])
        self.grid("neighbours", beside, nrow=show)
        return nearest

    @no_grad()
    def sums(self, codes: Tensor, labels: Any, sums: Sequence[tuple[int, int, int]] = SUMS) -> None:
        """arithmetic.png: mean codes of the classes a, b, c, then a - b + c (`latent.class_sums`).

        labels: the class of what each code of codes (n, d) makes. No picture where none of the
        sums has all its classes.
        """
        made = latent.class_sums(codes, labels, sums)
        if len(made):
            self.grid("arithmetic", self.model.decode(made), 4, title="a, b, c, a - b + c")

    def modes(self, train: Tensor, samples: Tensor, centers: Array, std: float) -> None:
        """Print how many modes samples (n, 2) find, and one Gaussian in their place."""
        gaussian = metrics.gaussian_like(train, len(samples))
        for name, points in (("modes", samples), ("one Gaussian", gaussian)):
            found = metrics.mode_report(points, centers, std)
            print(f"{name} {found.modes}/{len(centers)}, high-quality "
                  f"{100 * found.high_quality:.1f} %, reverse KL {found.reverse_kl:.2f} "
                  f"({len(points)} samples, PacGAN protocol)")  # fmt: skip

    def digits(self, train: Tensor, pictures: Tensor) -> None:
        """Print what our classifier of the 8 x 8 digits says of 1000 samples beside 1000 data.

        Beside them the Frechet distance of other training pictures, and of one Gaussian's.
        """
        classifier = metrics.digits_classifier()
        x, y = classifier.features(train[:1000].cpu()), classifier.features(pictures.cpu())
        p, near = classifier.probabilities(pictures.cpu()), metrics.precision_recall(x, y)
        kid, error = metrics.kernel_distance(x, y)
        print(f"in our classifier's features, {len(x)} data and {len(y)} samples: "
              f"Frechet {metrics.frechet_distance(x, y):.3f}, KID {kid:.4f} +- {error:.4f}, "
              f"precision {near.precision:.2f}, recall {near.recall:.2f}")  # fmt: skip
        gaussian = tensor(metrics.gaussian_like(train, 1000).clip(-1, 1).astype("float32"))
        beside = {"other training pictures": train[1000:].cpu(), "one Gaussian": gaussian}
        for name, z in beside.items():
            distance = metrics.frechet_distance(x, classifier.features(z))
            print(f"Frechet of {len(z)} of {name}: {distance:.3f}")
        print(f"classes {metrics.class_counts(p)}, score {metrics.inception_score(p):.2f} of 10")

    def asked(self, train: Tensor, labels: Tensor, pictures: Tensor, asked: Tensor) -> None:
        """Print what our classifier of the 8 x 8 digits says of samples of the classes `asked`.

        How many are what was asked for, and how various each class is beside data of `labels`.
        """
        classifier = metrics.digits_classifier()
        kinds, pictures, train = asked.cpu().numpy(), pictures.cpu(), train.cpu()
        right = (classifier.probabilities(pictures).argmax(1) == kinds).mean()
        x, y = classifier.features(train), classifier.features(pictures)
        apart = metrics.within_class_distance(y, kinds)
        of_data = metrics.within_class_distance(x, labels.cpu().numpy())
        near = metrics.precision_recall(x[:1000], y)
        print(f"{100 * right:.1f} % of {len(y)} samples are what was asked for, "
              "says our classifier")  # fmt: skip
        print(f"two samples of a class lie {apart / of_data:.2f} times as far apart as two data; "
              f"precision {near.precision:.2f}, recall {near.recall:.2f}")  # fmt: skip

    def curves(self, *keys: str, units: str = "") -> None:
        """curves.png: these values of the run's log."""
        curves(self.folder / "log.jsonl", keys, units=units, path=self.folder / "curves.png")

    def close(self) -> None:
        """Print where the pictures are; those of single steps are not counted."""
        found = [*self.folder.glob("*.png"), *self.folder.glob("*.gif")]
        names = sorted(path.name for path in found if "-" not in path.name)
        print(left_out() or f"pictures in {self.folder}/: {', '.join(names)}")

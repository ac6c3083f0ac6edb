"""A script's command line: options that are checked at once, and errors that are one line.

    parser = options(__doc__, "vae", epochs=200, batch=128, lr=2e-3)     # what examples share
    parser.add_argument("--latent", type=count, default=2, help="dimensions of z")
    args = parser.parse_args()

From then on an error that ends the script is a line on stderr; with --debug it is a traceback.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn

from .. import backend
from ..data import SOURCES
from ..plot.figure import leave_out

__all__ = [
    "Parser", "count", "device", "fraction", "in_a_line", "non_negative", "options", "positive",
    "whole",
]  # fmt: skip


def options(
    doc: str | None,
    slug: str | None = None,
    *,
    data: Sequence[str] = tuple(SOURCES),
    epochs: int | Mapping[str, int] | None = None,
    steps: int | None = None,
    batch: int | None = None,
    lr: float | None = None,
) -> Parser:
    """A parser that shows `doc` as it stands, knows --debug and lets no traceback out.

    slug: that of the system a script trains; then these options are there too, with the defaults
    given: --data (one of `data`, the first unless given), --root and --download for data in files,
    --device, --epochs or --steps, --batch, --lr, --seed, --out (runs/<slug>), --resume. Where a
    package that draws is missing, it says so at once, and the script goes on without pictures.
    epochs may be a number for each data set, {"digits": 300, "others": 3}: large ones take fewer.
    """
    parser = Parser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    sys.excepthook = _one_line
    if slug is None:
        return parser
    if missing := leave_out():
        print(f"{parser.prog}: {missing}", file=sys.stderr)
    names = ", ".join(data)
    parser.add_argument("--data", choices=data, default=data[0], metavar="NAME", help=names)
    if set(data) & set(SOURCES):
        parser.add_argument("--root", help="the folder that holds the files of --data")
        parser.add_argument("--download", action="store_true", help="fetch them if missing")
    parser.add_argument("--device", type=device, default="cpu", help="cpu or cuda")
    for name, kind, default, what in (
        ("epochs", count, epochs, "passes over the training data"),
        ("steps", count, steps, "steps of training"),
        ("batch", count, batch, "examples a step"),
        ("lr", positive, lr, "the optimizer's step size"),
    ):
        if default is not None:
            shown = str(default)
            if isinstance(default, Mapping):
                shown = ", ".join(f"{name} {number}" for name, number in default.items())
            parser.add_argument(f"--{name}", type=kind, default=default, help=f"{what} ({shown})")
    parser.add_argument("--seed", type=whole, default=0, help="of everything that is random (0)")
    parser.add_argument("--out", default=f"runs/{slug}", help=f"folder of the run (runs/{slug})")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    return parser


class Parser(argparse.ArgumentParser):
    """ArgumentParser whose errors are one line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hidden = argparse.SUPPRESS  # it is no part of a run's configuration
        self.add_argument("--debug", action="store_true", default=hidden, help="show tracebacks")

    def parse_known_args(self, *args: Any, **kwargs: Any) -> tuple[Any, list[str]]:
        """With the default of the data set where there is one for each."""
        found, rest = super().parse_known_args(*args, **kwargs)
        for name, value in vars(found).items():
            if isinstance(value, Mapping):
                setattr(found, name, value.get(found.data, value["others"]))
        return found, rest

    def error(self, message: str) -> NoReturn:
        """Exit with status 2 and one line on stderr."""
        self.exit(2, f"{self.prog}: {message} (--help explains the options)\n")


def in_a_line(program: str, error: BaseException) -> str:
    """What to say about an error that ends a program; one with several lines keeps them.

    >>> from tinygen.run.script import in_a_line
    >>> in_a_line("vae.py", ValueError("lr: expected a number > 0"))
    'vae.py: lr: expected a number > 0 (--debug shows where)'
    """
    if isinstance(error, KeyboardInterrupt):
        return f"{program}: interrupted"
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        text = error.strerror  # without "[Errno 28]"
    for_people = (ValueError, TypeError, RuntimeError, OSError, ArithmeticError, ImportError)
    if not text or not isinstance(error, for_people):
        text = f"{type(error).__name__}: {text}"
    text = " ".join([text, *getattr(error, "__notes__", [])])
    return f"{program}: {text} (--debug shows where)"


def _one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if "--debug" in sys.argv:
        sys.__excepthook__(kind, error, trace)
    else:
        print(in_a_line(os.path.basename(sys.argv[0]), error), file=sys.stderr)


# --- types for add_argument ---------------------------------------------------------------------


def count(text: str) -> int:
    """An integer >= 1; else ArgumentTypeError, as of all types here.

    >>> from tinygen.run import count
    >>> count("12")
    12
    """
    return _integer(text, 1)


def whole(text: str) -> int:
    """An integer >= 0."""
    return _integer(text, 0)


def positive(text: str) -> float:
    """A finite number > 0.

    >>> from tinygen.run import positive
    >>> positive("1e-3")
    0.001
    """
    value = _number(text, "a number > 0")
    return value if value > 0 else _refuse(text, "a number > 0")


def non_negative(text: str) -> float:
    """A finite number >= 0."""
    value = _number(text, "a number >= 0")
    return value if value >= 0 else _refuse(text, "a number >= 0")


def fraction(text: str) -> float:
    """A number in [0, 1]."""
    value = _number(text, "a number in [0, 1]")
    return value if 0 <= value <= 1 else _refuse(text, "a number in [0, 1]")


def device(text: str) -> str:
    """cpu, or cuda where it can be used; else an ArgumentTypeError that says why not."""
    try:
        if backend.device(text) == "cuda" and backend.problem():
            raise argparse.ArgumentTypeError(f"{text}: {backend.problem()}")
    except RuntimeError:
        _refuse(text, "cpu or cuda")
    return text


def _integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    return value if value >= least else _refuse(text, f"an integer >= {least}")


def _number(text: str, expected: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    return value if math.isfinite(value) else _refuse(text, expected)


def _refuse(text: str, expected: str) -> NoReturn:
    raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")

"""A Run's pictures: NAME-STEP.png in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..backend import default_generator
from ..serialization import write_atomically
from ..tape import no_grad

__all__ = ["draw", "drawn"]


def draw(path: Path, what: Any, options: dict[str, Any]) -> None:
    """Write a matplotlib Figure, a batch of images as a grid, or what a function makes of both.

    options: those of savefig or of plot.save_image. ImportError without the packages that draw.
    """
    from .. import plot

    made = _without_a_trace(what) if callable(what) else what
    if hasattr(made, "savefig"):
        write_atomically(path, lambda file: made.savefig(file, format="png", **options))
    else:
        plot.save_image(made, path, **options)


def drawn(folder: Path, name: str, last: int) -> list[Path]:
    """The pictures of this name up to the step `last`, in order."""
    found = []
    for path in folder.glob("*.png"):
        stem, _, step = path.stem.rpartition("-")
        if stem == name and step.isdecimal() and int(step) <= last:
            found.append((int(step), path))
    return [path for _, path in sorted(found)]


def _without_a_trace(make: Any) -> Any:
    """make(), with nothing recorded and the default generator put back."""
    state = default_generator.get_state()
    try:
        with no_grad():
            return make()
    finally:
        default_generator.set_state(state)

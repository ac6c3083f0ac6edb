"""A Run's checkpoint: the states of all it tracks; with a NaN they are neither saved nor loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..serialization import find_nan, load

__all__ = ["give_back", "read", "states"]


def states(objects: dict[str, Any]) -> dict[str, Any]:
    """The states to save, by name: each object's state_dict(), or get_state() where it has none."""
    return {
        name: obj.state_dict() if hasattr(obj, "state_dict") else obj.get_state()
        for name, obj in objects.items()
    }


def give_back(path: Path, name: str, obj: Any, saved: dict[str, Any]) -> None:
    """Give `obj` the state that `path` holds under `name`; RuntimeError if it does not fit."""
    if name not in saved:
        raise RuntimeError(f"resume: {path} holds no {name!r}, only {', '.join(saved)}")
    give = obj.load_state_dict if hasattr(obj, "load_state_dict") else obj.set_state
    try:
        give(saved[name])
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise RuntimeError(f"resume: {path} does not fit {name!r}: {error}") from error


def read(path: Path) -> dict[str, Any]:
    """What a Run has saved at `path`.

    RuntimeError if the file is damaged or no Run's, FloatingPointError if a state in it is NaN.
    """
    others = [p for p in sorted(path.parent.glob("*.npz")) if p != path]
    hint = "".join(f"; or try resume={p.stem!r}" for p in others)
    try:
        checkpoint = load(path)
    except RuntimeError as error:
        raise RuntimeError(f"{error}{hint}") from error
    if not isinstance(checkpoint, dict) or not {"step", "objects", "rng"} <= set(checkpoint):
        raise RuntimeError(f"{path} is not a checkpoint of a Run")
    if broken := find_nan(checkpoint["objects"]):
        raise FloatingPointError(
            f"{path}: {broken} holds NaN, which no Run saves; take another checkpoint{hint}"
        )
    return checkpoint

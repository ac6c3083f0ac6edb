"""A Run's checkpoint: the states of all it tracks; with a NaN they are neither saved nor loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..serialization import load
from ..tensor import Tensor


def states(objects: dict[str, Any]) -> dict[str, Any]:
    """The states to save, by name."""
    return {
        name: obj.state_dict() if hasattr(obj, "state_dict") else obj.get_state()
        for name, obj in objects.items()
    }


def give_back(path: Path, name: str, obj: Any, saved: dict[str, Any]) -> None:
    """Put the state that `path` holds under `name` into `obj`."""
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


def load_run(checkpoint: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A run's settings, from config.json beside the checkpoint, and the states it tracked.

    FileNotFoundError if one of both is missing, RuntimeError if it is no checkpoint of a Run,
    FloatingPointError if a state is NaN.
    """
    settings = Path(checkpoint).with_name("config.json")
    for path in (Path(checkpoint), settings):
        if not path.is_file():
            raise FileNotFoundError(f"load_run: there is no {path}")
    saved = read(Path(checkpoint))["objects"]
    try:
        return json.loads(settings.read_text())["config"], saved
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RuntimeError(f"load_run: {settings} is not a Run's config.json ({error})") from error


def find_nan(obj: Any, path: str = "") -> str | None:
    """Where in the nested state the first NaN is."""
    if isinstance(obj, Tensor):
        obj = obj._array
    if isinstance(obj, (dict, list, tuple)):
        items = obj.items() if isinstance(obj, dict) else enumerate(obj)
        found = (find_nan(value, f"{path}.{key}" if path else str(key)) for key, value in items)
        return next((name for name in found if name), None)
    is_float = hasattr(obj, "dtype") and obj.dtype.kind == "f"
    return path if is_float and bool(np.isnan(obj).any()) else None

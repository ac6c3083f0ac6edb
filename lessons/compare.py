"""What a lesson printed, then and now: the words are the same, and so are the numbers.

Two numbers agree when they differ by at most one unit of the last digit shown, or by the cell's
tolerance. Rounding itself may change from machine to machine: the gap of a check, which it prints
as "difference 0" or "difference below 1e-15", and what is smaller than 1e-12 are not compared.
"""

from __future__ import annotations

import math
import re
from typing import Any

NUMBER = re.compile(
    r"(?P<free>\bdifference (?:below )?[-+.\w]+)"
    r"|(?P<number>[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?|[-+]?\binf\b|[-+]?\bnan\b)",
    re.IGNORECASE,
)
NOISE = 1e-12


def texts(notebook: Any) -> list[str]:
    """What each code cell printed, and the alternative texts of its pictures."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            parts = [output.get("text", "") for output in cell.outputs]
            parts += [output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            found.append(" ".join(" ".join(parts).split()))
    return found


def difference(was: str, now: str, tolerance: float = 0.0) -> str:
    """How two printed texts differ; '' where they do not.

    >>> difference("W1 = 0.731, gap / K 0.15", "W1 = 0.732, gap / K 0.15")
    ''
    >>> difference("W1 = 0.731, gap / K 0.15", "W1 = 0.751, gap / K 0.15")
    '0.731 is now 0.751'
    """
    if _words(was) != _words(now):
        return f"printed\n  {was}\nand now prints\n  {now}"
    pairs = zip(_numbers(was), _numbers(now), strict=True)
    moved = [f"{a} is now {b}" for a, b in pairs if not _agree(a, b, tolerance)]
    return "; ".join(moved)


def _words(text: str) -> str:
    return " ".join(NUMBER.sub("#", text).split())


def _numbers(text: str) -> list[str]:
    return [found["number"] for found in NUMBER.finditer(text) if found["number"]]


def _agree(was: str, now: str, tolerance: float) -> bool:
    a, b = (float(text.replace(",", "")) for text in (was, now))
    if a == b or math.isnan(a) and math.isnan(b) or tolerance == math.inf:
        return True
    if max(abs(a), abs(b)) < NOISE:
        return True
    unit = min(_unit(was), _unit(now))
    return abs(a - b) <= max(1.001 * unit, tolerance * max(abs(a), abs(b)))


def _unit(text: str) -> float:
    """One unit of the last digit shown.

    >>> _unit("1.25e-3"), _unit("1,200")
    (1e-05, 1.0)
    """
    digits, _, power = text.lower().partition("e")
    return float(f"1e{int(power or 0) - len(digits.partition('.')[2])}")

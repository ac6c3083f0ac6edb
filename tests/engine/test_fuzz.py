"""Random programs with views, changes in place, detach and no_grad: tinygen against a slow
reference that has no vjps, and against PyTorch where it is installed.

`make fuzz` draws thousands, from a seed that it prints.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings

from tinygen import Tensor, autograd
from tinygen.ops import in_place, op
from tinygen.testing import FuzzProgram, check_program, fuzz_programs
from tinygen.testing.fuzz import Outcome, slow_names

try:
    import torch
except ImportError:
    torch = None

MANY = int(os.environ.get("FUZZ", 0))
FUZZ = settings(
    max_examples=MANY or 200, derandomize=not MANY, suppress_health_check=list(HealthCheck)
)


@FUZZ
@given(fuzz_programs())
def test_random_programs(program: FuzzProgram) -> None:
    check_program(program, torch)


def program(*lines: str, requires_grad: bool = True) -> FuzzProgram:
    values = np.array([[0.3, -0.7, 1.1], [0.2, 0.9, -1.4]])
    return FuzzProgram([("a", values, requires_grad), ("b", values[0] + 0.1, True)], list(lines))


def test_the_reference_itself() -> None:
    """d/da of sum sin(1.3 (a with its first row times b)), and of what detach() and no_grad hide"""
    lines = ["t = a * 1.0", "v = t[0]", "v.mul_(b)", "d = t.detach()", "d.mul_(2.0)",
             "with no_grad(): t[1] = 0.5", "(t * d).sum().backward()"]  # fmt: skip
    names, _ = slow_names(program(*lines))
    assert not Outcome(lines, names).error
    a, b = names["a"].numbers(), names["b"].numbers()
    d = np.stack([2 * a[0] * b, np.full(3, 0.5)])  # the memory that t has, too, in the end
    np.testing.assert_allclose(names["t"].numbers(), d)
    np.testing.assert_allclose(names["a"].grad, np.stack([d[0] * b, d[1]]), rtol=1e-8)
    np.testing.assert_allclose(names["b"].grad, d[0] * a[0], rtol=1e-8)


@pytest.mark.parametrize(
    ("lines", "how"),
    [
        (["a.mul_(2.0)"], "refused"),
        (["v = a[0]", "v.zero_()"], "refused"),
        (["t = a * 2.0", "t.split(1, 0)[0].mul_(2.0)"], "refused"),
        (["t = a * 2.0", "t.expand(2, 2, 3).mul_(2.0)"], "refused"),
        (["t = a * 2.0", "with no_grad(): v = t[0]", "v.mul_(2.0)"], "refused"),
        (["t = a * 2.0", "with no_grad(): v = t[0]", "t.mul_(2.0)", "u = v * 2.0"], "refused"),
        (["t = a * 2.0", "s = t.square()", "t.mul_(2.0)", "s.sum().backward()"],
         "modified by an inplace"),
        (["s = a.square()", "s.sum().backward()", "s.sum().backward()"], "second time"),
    ],
)  # fmt: skip
def test_what_must_be_refused(lines: list[str], how: str) -> None:
    assert check_program(program(*lines), torch) == how


# --- does it find anything? ---------------------------------------------------------------------


def no_copy_slices(monkeypatch: Any) -> None:
    """A changed view takes the place on the tape, and its base does not know."""

    def rewrite(x: Tensor, value: Any, select: list[Any], index: Any) -> None:
        if isinstance(value, Tensor) and value.shape == x.shape:
            x._node, x._requires_grad = value._node, value._requires_grad

    monkeypatch.setattr(in_place, "_rewrite", rewrite)


def the_old_values_keep_their_gradient(monkeypatch: Any) -> None:
    spec = in_place.copy_slices.spec
    (_, names), values = spec.vjps
    monkeypatch.setattr(spec, "vjps", [(lambda g, *rest: g, names), values])


def a_result_may_be_its_input(monkeypatch: Any) -> None:
    monkeypatch.setattr(op, "_own", lambda array, arrays: array)


def gradients_are_not_summed(monkeypatch: Any) -> None:
    monkeypatch.setattr(autograd._Gradients, "add", lambda self, key, g: self.__setitem__(key, g))


PLANTED = [
    no_copy_slices,
    a_result_may_be_its_input,
    the_old_values_keep_their_gradient,
    gradients_are_not_summed,
]


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Any, monkeypatch: Any) -> None:
    bug(monkeypatch)

    def fails(program: FuzzProgram) -> bool:
        try:
            check_program(program)
        except AssertionError:
            return True
        return False

    quick = settings(FUZZ, max_examples=400, phases=[Phase.generate], database=None)
    find(fuzz_programs(), fails, settings=quick)

"""Signatures are what help(), an editor and a type checker show: true, and PyTorch's names."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tinygen as tg
import tinygen.nn.functional as F
from tinygen import Tensor, ops, stubs
from tinygen.ops import methods
from tinygen.ops.op import REGISTRY, elementwise
from tinygen.testing import sample

FUNCTIONS = {name: getattr(ops, name) for name in ops.__all__}


def named(f: Any) -> list[str]:
    parameters = inspect.signature(f).parameters
    return [name for name, one in parameters.items() if one.kind is not one.KEYWORD_ONLY]


def test_the_stubs_are_what_the_ops_say() -> None:
    for path, text in stubs.files().items():
        assert path.read_text() == text, f"{path.name}: run python -m tinygen.stubs"


def test_the_stubs_have_every_function_and_every_method() -> None:
    functions, attached = (path.read_text() for path in stubs.files())
    for name in ops.__all__:
        assert f"\ndef {name}(" in functions, name
    for name in methods.members():
        assert f"    def {name}(self" in attached, name


def test_every_file_lists_what_it_has() -> None:
    for file in methods.FILES:
        assert list(file.__all__) == sorted(file.__all__)
        for name in {*file.__all__, *file.METHODS}:
            assert getattr(file, name).__module__ == file.__name__, (file.__name__, name)
        for name in file.METHODS:
            assert vars(Tensor)[name] is getattr(file, name)
        assert getattr(file, "IN_PLACE", set()) <= file.METHODS


def test_no_function_says_x_where_pytorch_says_input() -> None:
    public = FUNCTIONS | {f"F.{name}": getattr(F, name) for name in F.__all__}
    wrong = {name: named(f) for name, f in public.items() if {"x", "y", "inputs"} & {*named(f)}}
    assert not wrong


PUBLIC_OPS = [name for name in ops.__all__ if getattr(FUNCTIONS[name], "spec", None)]


@pytest.mark.parametrize("name", PUBLIC_OPS)
def test_an_op_takes_its_inputs_by_name(name: str) -> None:
    f = FUNCTIONS[name]
    names = [p.name for p in inspect.signature(f).parameters.values() if p.kind != p.KEYWORD_ONLY]
    low = 1.2 if name in ("acosh", "arccosh") else 0.2
    xs = [tg.tensor(sample((2, 3), k, low, low + 0.6)) for k in range(len(names))]
    if name.startswith("bitwise"):
        xs = [x > 0.5 for x in xs]
    if xs[0].dtype.kind == "f":
        xs[0].requires_grad_()
    if name == "acosh" or name == "arccosh":
        xs = [x.detach() + 1.0 for x in xs]
    expected = f(*xs)
    by_name = dict(zip(names, xs, strict=True))
    first, *rest = by_name.items()
    for out in (f(**by_name), f(first[1], **dict(rest)), f(**dict([*rest, first]))):
        assert tg.equal(out, expected)
        assert out.requires_grad == expected.requires_grad
    if name in vars(Tensor):
        assert tg.equal(getattr(xs[0], name)(**dict(rest)), expected)


def test_keywords_of_the_other_functions() -> None:
    x, y = tg.randn(2, 3), tg.randn(2, 3)
    assert tg.softmax(input=x, dim=1).shape == (2, 3)
    assert tg.reshape(input=x, shape=(3, 2)).shape == x.reshape(shape=(3, 2)).shape == (3, 2)
    assert tg.permute(input=x, dims=(1, 0)).shape == x.permute(dims=(1, 0)).shape == (3, 2)
    assert x[:1].expand(size=(4, 3)).shape == x[:1].repeat(repeats=(4, 1)).shape == (4, 3)
    assert tg.equal(tg.flip(input=x, dims=(0,)), x.flip(0))
    assert tg.zeros(size=(2, 3)).shape == tg.randn(size=(2, 3)).shape == (2, 3)
    assert tg.zeros().shape == tg.ones(()).shape == ()
    assert tg.equal(tg.matmul(input=x, other=y.T), x @ y.T)
    assert tg.equal(tg.mm(input=x, mat2=y.T), x @ y.T)
    assert tg.equal(tg.where(condition=x > 0, input=x, other=y), tg.where(x > 0, x, y))
    assert tg.equal(tg.max(x, other=y), tg.maximum(x, y))
    assert tg.equal(x.clone().mul_(other=3.0), x * 3.0)
    assert tg.equal(tg.add(input=x, other=y, alpha=2), x + 2 * y)
    assert tg.equal(tg.div(other=y, input=x), x / y) and tg.equal(x.sub(other=y), x - y)
    assert F.linear(input=x, weight=y, bias=tg.ones(2)).shape == (2, 2)


Call = Callable[[Tensor], Any]


@pytest.mark.parametrize(("call", "says"), [
    (lambda x: tg.relu(x=x), r"^relu\(\) .*unexpected keyword .* 'x'; expected relu\(input\)"),
    (lambda x: tg.mul(x, foo=1), r"^mul\(\) .* 'foo'; expected mul\(input, other\)"),
    (lambda x: tg.mul(x), r"^mul\(\) missing a required argument: 'other'; expected mul\(input, "),
    (lambda x: tg.mul(x, x, x), r"^mul\(\) too many positional arguments; expected mul\("),
    (lambda x: tg.mul(x, input=x), r"^mul\(\) multiple values for argument 'input'"),
    (lambda x: tg.add(x, foo=1), r"^add\(\) .*unexpected keyword argument 'foo'"),
    (lambda x: tg.relu(), r"^relu\(\) missing a required argument: 'input'"),
    (lambda x: x.pow_(power=2), r"^pow\(\) .*'power'; expected pow\(input, exponent\)"),
    (lambda x: tg.softmax(x, axes=1), r"^softmax\(\) .*unexpected keyword argument 'axes'"),
    (lambda x: tg.reshape(x, sizes=1), r"^reshape\(\) .*unexpected keyword argument 'sizes'"),
    (lambda x: tg.add(x, "a"), r"^add: expected Tensors and numbers, got str"),
])  # fmt: skip
def test_a_wrong_argument_is_named_with_the_op(call: Call, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        call(tg.ones(2))


def test_an_op_of_ones_own_has_a_signature_too() -> None:
    @elementwise
    def cosh_of_sum(x, y, *, scale=1.0):
        return scale * x * y

    try:
        assert list(inspect.signature(cosh_of_sum).parameters) == ["input", "other", "scale"]
        assert inspect.signature(cosh_of_sum).parameters["scale"].default == 1.0
        one = tg.ones(2)
        assert cosh_of_sum(other=one, scale=3.0, input=one).tolist() == [3.0, 3.0]
    finally:
        REGISTRY.pop("cosh_of_sum")


USER = """
import tinygen as tg
x = tg.randn(2, 3)
good = tg.softmax(x, dim=1) + x.relu().add_(other=2.0).T.T[0] ** 2
tg.softmxa(x, 1)
x.softmxa(1)
tg.relu(x=x)
x.backward(create_graf=True)
tg.quantize
"""


def test_a_type_checker_knows_what_is_there(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="pip install -e '.[lint]' has mypy")
    program = tmp_path / "user.py"
    program.write_text(USER)
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--no-error-summary"]
    config = Path(__file__).parents[2] / "pyproject.toml"
    run = subprocess.run(
        [*command, f"--config-file={config}", f"--cache-dir={tmp_path}", str(program)],
        capture_output=True, text=True, cwd=config.parent,
    )  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert len(lines) == 5, run.stdout + run.stderr
    for line, word in zip(lines, ("softmxa", "softmxa", '"x"', "create_graf", "quantize")):
        assert word in line

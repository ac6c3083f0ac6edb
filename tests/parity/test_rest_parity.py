"""Constants, torch.Size, finfo and iinfo, and the small methods, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygen as tg

torch: Any = pytest.importorskip("torch", reason="parity needs PyTorch: pip install torch")


def test_constants() -> None:
    for name in ("inf", "pi", "e", "newaxis"):
        assert getattr(tg, name) == getattr(torch, name)
    assert np.isnan(tg.nan)
    assert isinstance(tg.zeros(1).dtype, tg.dtype) and isinstance(torch.zeros(1).dtype, torch.dtype)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_finfo(dtype: str) -> None:
    ours, theirs = (library.finfo(getattr(library, dtype)) for library in (tg, torch))
    for name in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        a, b = getattr(ours, name), getattr(theirs, name)
        assert type(a) is type(b)
        assert a == b or (name == "resolution" and np.isclose(a, b, rtol=1e-3))


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_iinfo(dtype: str) -> None:
    ours, theirs = (library.iinfo(getattr(library, dtype)) for library in (tg, torch))
    for name in ("bits", "max", "min", "dtype"):
        assert getattr(ours, name) == getattr(theirs, name)


def test_infos_of_the_wrong_kind() -> None:
    with pytest.raises(TypeError, match="finfo: expected a floating-point dtype, got int64; iinfo"):
        tg.finfo(tg.int64)
    with pytest.raises(TypeError, match="iinfo: expected an integer dtype, got float32; finfo"):
        tg.iinfo(tg.float32)
    with pytest.raises(TypeError, match="expected a dtype"):
        tg.finfo("floaty")
    assert tg.finfo().bits == torch.finfo().bits == 32


def test_size() -> None:
    for library in (tg, torch):
        x = library.zeros(2, 3, 4)
        assert x.size() == (2, 3, 4) and x.size(1) == x.size(dim=-2) == 3
        assert x.size().numel() == library.Size([2, 3, 4]).numel() == 24
        assert x.size()[1:].numel() == 12 and (library.Size((5,)) + x.shape).numel() == 120
        assert isinstance(x.shape, library.Size) and isinstance(x.size(), tuple)
        assert library.Size() == () and library.Size().numel() == 1
        assert library.zeros(library.Size([2, 1])).shape == (2, 1)
        assert x.nelement() == x.numel() == library.numel(x) == 24 and x.ndimension() == 3
        assert library.is_floating_point(x) and library.is_tensor(x)


@pytest.mark.parametrize("dtype", ["float16", "float64", "int64", "bool"])
def test_new_tensors_are_like_the_old(dtype: str) -> None:
    for library in (tg, torch):
        x = library.ones(2, dtype=getattr(library, dtype))
        calls = [
            x.new_zeros(2, 3), x.new_zeros((2, 3)), x.new_ones(size=(2, 3)), x.new_empty([2, 3]),
            x.new_full((2, 3), 1), x.new_tensor([[0, 1, 1], [1, 0, 1]]),
        ]  # fmt: skip
        assert all(y.shape == (2, 3) and y.dtype == x.dtype for y in calls)
        assert [y.tolist() for y in calls[:3]] == [[[0] * 3] * 2, [[0] * 3] * 2, [[1] * 3] * 2]
        assert calls[4].tolist() == [[1] * 3] * 2 and calls[5].tolist() == [[0, 1, 1], [1, 0, 1]]
        y = x.new_zeros(2, dtype=library.float32, requires_grad=True)
        assert y.requires_grad and y.dtype == library.float32


@pytest.mark.parametrize("name", ["byte", "char", "short"])
def test_short_conversions(name: str) -> None:
    for library in (tg, torch):
        x = library.tensor([0.0, 1.7, 100.0])
        kind = {"byte": library.uint8, "char": library.int8, "short": library.int16}[name]
        assert getattr(x, name)().dtype == kind
        assert getattr(x, name)().tolist() == [0, 1, 100]


def test_sizes_by_name() -> None:
    for library in (tg, torch):
        x = library.arange(6)
        assert x.reshape(shape=(2, 3)).shape == x.view(2, 3).shape == (2, 3)
        assert library.reshape(x, shape=(3, -1)).shape == (3, 2)


def test_changed_in_place() -> None:
    for library in (tg, torch):
        mask = library.empty(3, 3)
        mask.fill_(-1.0)
        assert mask.triu_(1).tolist() == [[0, -1, -1], [0, 0, -1], [0, 0, 0]]
        assert mask.fill_(2.0).tril_(-1)[1].tolist() == [2, 0, 0]
        x = library.eye(2)
        assert x.addmm_(library.ones(2, 2), library.ones(2, 2), beta=3, alpha=-1) is x
        assert x.tolist() == [[1, -2], [-2, 1]]
        assert x.type(library.int64).dtype == library.int64


def test_filled_with_draws() -> None:
    for library in (tg, torch):
        library.manual_seed(0)
        x = library.empty(4000).exponential_(2.0)
        assert (
            x.min() > 0 and abs(x.mean().item() - 0.5) < 0.03 and abs(x.std().item() - 0.5) < 0.04
        )
        assert abs(library.empty(4000).bernoulli_(0.3).mean().item() - 0.3) < 0.03
        p = library.tensor([0.0, 1.0, 1.0])
        assert library.zeros(3, dtype=library.int64).bernoulli_(p).tolist() == [0, 1, 1]
        assert p.bernoulli().tolist() == [0, 1, 1]
        assert library.tensor([0.0, 1.0]).multinomial(2, replacement=True).tolist() == [1, 1]

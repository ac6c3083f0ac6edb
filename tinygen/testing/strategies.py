"""Hypothesis strategies: shapes, Tensors in awkward memory, and convolution geometries.

    from hypothesis import given
    from tinygen.testing import check_grads, tensors

    @given(tensors(max_dims=3))
    def test_my_op(x):
        check_grads(my_op, x)

hypothesis draws the shape, the memory layout and a seed; the values come from the seed, so that a
failing example shrinks to a small shape and prints as an array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..backend import Array, float32
from ..tensor import Tensor, wrap

__all__ = [
    "ConvGeometry", "LAYOUTS", "Shape", "broadcastable_shapes", "conv_geometries",
    "hypothesis_strategies", "lay_out", "sample", "shapes", "tensors", "use_ci_profile",
]  # fmt: skip

Shape: TypeAlias = tuple[int, ...]
LAYOUTS = ("plain", "transposed", "strided", "reversed", "broadcast")


def hypothesis_strategies() -> Any:
    """hypothesis.strategies, or an ImportError that says how to get it."""
    try:
        from hypothesis import strategies
    except ImportError as error:
        raise ImportError(
            "tinygen.testing's strategies need hypothesis: pip install 'tinygen[test]' "
            "(check_grads itself needs NumPy alone)"
        ) from error
    return strategies


def use_ci_profile(max_examples: int = 25) -> None:
    """The same examples in every run and no deadlines: for machines whose speed varies."""
    hypothesis_strategies()
    from hypothesis import HealthCheck, Phase, settings

    settings.register_profile(
        "ci",
        max_examples=max_examples,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("ci")


def _composite(build: Callable[..., Any]) -> Callable[..., Any]:
    """hypothesis.strategies.composite, applied at the first call and not at import."""

    def strategy(*args: Any, **kwargs: Any) -> Any:
        return hypothesis_strategies().composite(build)(*args, **kwargs)

    strategy.__name__ = strategy.__qualname__ = build.__name__
    strategy.__doc__, strategy.__module__ = build.__doc__, build.__module__
    return strategy


# --- shapes and Tensors -------------------------------------------------------------------------


def shapes(min_dims: int = 0, max_dims: int = 4, min_side: int = 0, max_side: int = 4) -> Any:
    """Shapes, 0-d and empty ones among them: tuples of integers for hypothesis to draw."""
    st = hypothesis_strategies()
    sides = st.integers(min_side, max_side)
    return st.lists(sides, min_size=min_dims, max_size=max_dims).map(tuple)


@_composite
def broadcastable_shapes(
    draw: Any, n: int = 2, max_dims: int = 3, min_side: int = 0, max_side: int = 4
) -> tuple[Shape, ...]:
    """`n` shapes that broadcast against each other: sides become 1, leading sides go away.

    >>> @hypothesis.given(testing.broadcastable_shapes())
    ... def test(shapes):
    ...     assert (tg.zeros(shapes[0]) + tg.zeros(shapes[1])).shape == np.broadcast_shapes(*shapes)
    >>> test()
    """
    st = hypothesis_strategies()
    result = draw(shapes(0, max_dims, min_side, max_side))

    def shrunk() -> Shape:
        first = draw(st.integers(0, len(result)))
        return tuple(1 if draw(st.booleans()) else side for side in result[first:])

    return tuple(shrunk() for _ in range(n))


def lay_out(array: Array, layout: str) -> Array:
    """The same values in another memory layout; "broadcast" repeats the first entry along dim 0.

    "transposed", "strided" (every second place), "reversed", "broadcast", else as it came.

    >>> testing.lay_out(np.ones((2, 3)), "transposed").strides, np.ones((2, 3)).strides
    ((8, 16), (24, 8))
    """
    if not array.ndim:
        return array
    if layout == "transposed":
        return np.ascontiguousarray(array.T).T
    if layout == "strided":
        room = np.zeros([2 * n for n in array.shape], array.dtype)
        view = room[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "reversed":
        back = tuple(slice(None, None, -1) for _ in array.shape)
        return np.ascontiguousarray(array[back])[back]
    if layout == "broadcast" and array.shape[0]:
        return np.broadcast_to(array[:1], array.shape)
    return array


def sample(
    shape: Shape,
    seed: int,
    low: float = -2.0,
    high: float = 2.0,
    avoid: Sequence[float] = (),
    margin: float = 0.05,
    distinct: bool = False,
) -> Array:
    """Values in [low, high], at least `margin` away from the points in `avoid`.

    A float64 array of `shape`, the same for the same seed. distinct=True: no two of them are equal
    or nearly so, as the gradients of max and sort need.

    >>> bool(abs(testing.sample((100,), seed=0, avoid=[0.0])).min() >= 0.05)
    True
    """
    rng = np.random.default_rng(seed)
    if distinct:
        n = math.prod(shape)
        places = (rng.permutation(n) + 0.3 * rng.random(n)) / max(n, 1)
        values = low + (high - low) * places.reshape(shape)
    else:
        values = np.asarray(rng.uniform(low, high, shape))
    for point in avoid:
        near = np.abs(values - point) < margin
        side = -1.0 if point >= high else 1.0
        values = np.where(near, point + side * margin * (1.0 + np.abs(values - point)), values)
    return values


@_composite
def tensors(
    draw: Any,
    shape: Any = None,
    dtype: Any = float32,
    min_dims: int = 0,
    max_dims: int = 4,
    min_side: int = 0,
    max_side: int = 4,
    low: float = -2.0,
    high: float = 2.0,
    avoid: Sequence[float] = (0.0,),
    distinct: bool = False,
    layouts: Sequence[str] = ("plain", "transposed", "strided", "reversed"),
    requires_grad: bool = False,
) -> Tensor:
    """Tensors of any shape (or of `shape`, a tuple or a strategy) in any memory layout.

    Floating values lie in [low, high], away from the kinks at `avoid`; see `sample`. Integer dtypes
    draw from the integers in [low, high].

    >>> @hypothesis.given(testing.tensors(max_dims=2, max_side=3))
    ... def test(x):
    ...     testing.check_grads(tg.tanh, x)
    >>> test()
    """
    st = hypothesis_strategies()
    if shape is None:
        shape = shapes(min_dims, max_dims, min_side, max_side)
    size = shape if isinstance(shape, tuple) else draw(shape)
    seed, dtype = draw(st.integers(0, 2**16)), np.dtype(dtype)
    if dtype.kind == "f":
        values = sample(size, seed, low, high, avoid, distinct=distinct)
    else:
        rng = np.random.default_rng(seed)
        values = np.asarray(rng.integers(math.ceil(low), math.floor(high) + 1, size))
    out = wrap(lay_out(values.astype(dtype), draw(st.sampled_from(list(layouts)))))
    return out.requires_grad_() if requires_grad else out


# --- convolutions -------------------------------------------------------------------------------


@dataclass(frozen=True)
class ConvGeometry:
    """The sizes and constants of one convolution, as PyTorch names them; pairs are (height, width).

    conv2d:            x (N, C, H, W), w (O, C / groups, *kernel)
    conv_transpose2d:  x (N, C, H, W), w (C, O / groups, *kernel)
    """

    N: int
    C: int
    O: int
    H: int
    W: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    output_padding: tuple[int, int]
    transposed: bool

    @property
    def x_shape(self) -> Shape:
        """The shape of the input, (N, C, H, W)."""
        return (self.N, self.C, self.H, self.W)

    @property
    def w_shape(self) -> Shape:
        """The shape of the weight: (O, C / groups, *kernel), or (C, O / groups, *kernel)."""
        into = (self.C, self.O) if self.transposed else (self.O, self.C)
        return (into[0], into[1] // self.groups, *self.kernel)

    @property
    def out_shape(self) -> Shape:
        """The shape of the output, (N, O, height, width)."""
        return (self.N, self.O, *(self._out(i) for i in (0, 1)))

    def _out(self, i: int) -> int:
        n, reach = (self.H, self.W)[i], self.dilation[i] * (self.kernel[i] - 1)
        if self.transposed:
            full = (n - 1) * self.stride[i] - 2 * self.padding[i]
            return full + reach + self.output_padding[i] + 1
        return (n + 2 * self.padding[i] - reach - 1) // self.stride[i] + 1

    def constants(self) -> dict[str, Any]:
        """The keyword arguments of conv2d or conv_transpose2d."""
        names = ["stride", "padding", "dilation", "groups"]
        names += ["output_padding"] if self.transposed else []
        return {name: getattr(self, name) for name in names}


@_composite
def conv_geometries(
    draw: Any, transposed: bool = False, max_side: int = 8, max_channels: int = 3
) -> ConvGeometry:
    """Convolutions that are possible: kernels fit, outputs have at least one pixel.

    >>> @hypothesis.given(testing.conv_geometries())
    ... def test(g):
    ...     out = F.conv2d(tg.zeros(g.x_shape), tg.zeros(g.w_shape), **g.constants())
    ...     assert out.shape == g.out_shape
    >>> test()
    """
    st = hypothesis_strategies()

    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    groups = draw(st.sampled_from([1, 1, 2, 3]))
    kernel, stride, padding, dilation = pair(1, 4), pair(1, 3), pair(0, 2), pair(1, 2)
    output_padding, sides = [0, 0], [1, 1]
    for i in (0, 1):
        reach = dilation[i] * (kernel[i] - 1)
        if transposed:
            # (side - 1) stride - 2 padding + reach + 1 >= 1
            least = 1 + max(0, math.ceil((2 * padding[i] - reach) / stride[i]))
            output_padding[i] = draw(st.integers(0, max(stride[i], dilation[i]) - 1))
        else:
            least = max(1, reach + 1 - 2 * padding[i])
        sides[i] = draw(st.integers(least, max(least, max_side)))
    return ConvGeometry(
        N=draw(st.integers(1, 3)),
        C=groups * draw(st.integers(1, max_channels)),
        O=groups * draw(st.integers(1, max_channels)),
        H=sides[0],
        W=sides[1],
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        output_padding=(output_padding[0], output_padding[1]),
        transposed=transposed,
    )

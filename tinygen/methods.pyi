"""Generated from the ops' files by python -m tinygen.stubs: edit those."""

import builtins
from collections.abc import Sequence
from typing import Any, Literal, overload

from .backend import DType, Generator
from .tensor import Tensor
from .ops.derived import MinMax
from .ops.indexing import Index
from .ops.linalg import PLU, Slogdet
from .ops.order import ValuesIndices
from .ops.promotion import Operand
from .ops.reductions import Dim

class Methods:
    """What autograd.py and ops/ attach to Tensor."""

    @property
    def T(self) -> Tensor:
        """x.T: all dimensions in reverse order."""

    def __abs__(self) -> Tensor:
        """|x|; the derivative at 0 is 0"""

    def __add__(self, other: Operand) -> Tensor: ...

    def __and__(self, other: Operand) -> Tensor:
        """x & y, of bools or integers"""

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x == y: bool; NaN equals nothing"""

    def __floordiv__(self, other: Operand) -> Tensor:
        """floor(x / y), towards -inf; RuntimeError for an integer by 0"""

    def __ge__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x >= y: bool"""

    def __getitem__(self, index: Index) -> Tensor:
        """x[index]: a view for ints, slices, None and Ellipsis; a copy for arrays of ints or bools."""

    def __gt__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x > y: bool"""

    def __iadd__(self, other: Operand) -> Tensor:
        """add in place: written into x's own memory; returns x."""

    def __iand__(self, other: Operand) -> Tensor:
        """bitwise_and in place: written into x's own memory; returns x."""

    def __ifloordiv__(self, other: Operand) -> Tensor:
        """floor_divide in place: written into x's own memory; returns x."""

    def __imod__(self, other: Operand) -> Tensor:
        """remainder in place: written into x's own memory; returns x."""

    def __imul__(self, other: Operand) -> Tensor:
        """mul in place: written into x's own memory; returns x."""

    def __invert__(self) -> Tensor:
        """~x, of bools or integers"""

    def __ior__(self, other: Operand) -> Tensor:
        """bitwise_or in place: written into x's own memory; returns x."""

    def __ipow__(self, exponent: Operand) -> Tensor:
        """pow in place: written into x's own memory; returns x."""

    def __isub__(self, other: Operand) -> Tensor:
        """sub in place: written into x's own memory; returns x."""

    def __itruediv__(self, other: Operand) -> Tensor:
        """div in place: written into x's own memory; returns x."""

    def __ixor__(self, other: Operand) -> Tensor:
        """bitwise_xor in place: written into x's own memory; returns x."""

    def __le__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x <= y: bool"""

    def __lt__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x < y: bool"""

    def __matmul__(self, other: Tensor) -> Tensor:
        """Matrix product over the last two dimensions, broadcast over the others; 1-D as in PyTorch."""

    def __mod__(self, other: Operand) -> Tensor:
        """x - y floor(x / y): the sign is y's, as for Python's %. RuntimeError for an integer by 0."""

    def __mul__(self, other: Operand) -> Tensor:
        """x y, element by element; @ is the matrix product"""

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override, unused-ignore]
        """x != y: bool; true of NaN"""

    def __neg__(self) -> Tensor:
        """-x; integers of uint8 wrap around"""

    def __or__(self, other: Operand) -> Tensor:
        """x | y, of bools or integers"""

    def __pow__(self, exponent: Operand) -> Tensor:
        """x to the power y. The gradient of 0^y is 0 for y >= 0, and that of 0^0 for x too."""

    def __radd__(self, other: Operand) -> Tensor: ...

    def __rand__(self, other: Operand) -> Tensor:
        """x & y, of bools or integers"""

    def __rfloordiv__(self, other: Operand) -> Tensor:
        """floor(x / y), towards -inf; RuntimeError for an integer by 0"""

    def __rmatmul__(self, other: Operand) -> Tensor:
        """Matrix product over the last two dimensions, broadcast over the others; 1-D as in PyTorch."""

    def __rmod__(self, other: Operand) -> Tensor:
        """x - y floor(x / y): the sign is y's, as for Python's %. RuntimeError for an integer by 0."""

    def __rmul__(self, other: Operand) -> Tensor:
        """x y, element by element; @ is the matrix product"""

    def __ror__(self, other: Operand) -> Tensor:
        """x | y, of bools or integers"""

    def __rpow__(self, other: Operand) -> Tensor:
        """x to the power y. The gradient of 0^y is 0 for y >= 0, and that of 0^0 for x too."""

    def __rsub__(self, other: Operand) -> Tensor: ...

    def __rtruediv__(self, other: Operand) -> Tensor: ...

    def __rxor__(self, other: Operand) -> Tensor:
        """x ^ y, of bools or integers"""

    def __setitem__(self, index: Index, value: Any) -> None:
        """x[index] = value, in place; recorded when x or the value requires a gradient."""

    def __sub__(self, other: Operand) -> Tensor: ...

    def __truediv__(self, other: Operand) -> Tensor: ...

    def __xor__(self, other: Operand) -> Tensor:
        """x ^ y, of bools or integers"""

    def abs(self) -> Tensor:
        """|x|; the derivative at 0 is 0"""

    def abs_(self) -> Tensor:
        """abs in place: written into x's own memory; returns x."""

    def absolute(self) -> Tensor:
        """|x|; the derivative at 0 is 0"""

    def absolute_(self) -> Tensor:
        """abs in place: written into x's own memory; returns x."""

    def acos(self) -> Tensor:
        """The angle whose cosine is x, in radians, 0 to pi; NaN outside [-1, 1]"""

    def acos_(self) -> Tensor:
        """acos in place: written into x's own memory; returns x."""

    def acosh(self) -> Tensor:
        """The inverse of cosh, >= 0: log(x + sqrt(x^2 - 1)); NaN below 1"""

    def acosh_(self) -> Tensor:
        """acosh in place: written into x's own memory; returns x."""

    def add(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """x + alpha y; shapes broadcast and dtypes promote, as in all elementwise ops."""

    def add_(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """add in place: written into x's own memory; returns x."""

    def addcdiv(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """x + value tensor1 / tensor2"""

    def addcdiv_(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """addcdiv in place: written into x's own memory; returns x."""

    def addcmul(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """x + value tensor1 tensor2"""

    def addcmul_(self, tensor1: Tensor, tensor2: Tensor, *, value: builtins.float = 1) -> Tensor:
        """addcmul in place: written into x's own memory; returns x."""

    def addmm(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """beta input + alpha mat1 mat2: (n, m) and (m, p) -> (n, p), to which input broadcasts."""

    def addmm_(self, mat1: Tensor, mat2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """addmm in place: written into x's own memory; returns x."""

    def addmv(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """beta input + alpha mat vec: (n, m) and (m), to which input broadcasts."""

    def addmv_(self, mat: Tensor, vec: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """addmv in place: written into x's own memory; returns x."""

    def addr(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """beta input + alpha vec1 vec2^T: (n) and (m), to which input broadcasts."""

    def addr_(self, vec1: Tensor, vec2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """addr in place: written into x's own memory; returns x."""

    def all(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor:
        """Is every element over `dim` non-zero? True of nothing."""

    def allclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> builtins.bool:
        """Is every element close, as isclose says? A Python bool."""

    def amax(self, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
        """Largest value over `dim` (None: all, an int or several); ties share the gradient evenly."""

    def amin(self, dim: Any = None, keepdim: builtins.bool = False) -> Tensor:
        """Smallest value over `dim` (None: all, an int or several); ties share the gradient evenly."""

    def aminmax(self, *, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> MinMax:
        """(min, max) over `dim` (None: all); ties share the gradient evenly."""

    def any(self, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor:
        """Is some element over `dim` non-zero? False of nothing."""

    def arccos(self) -> Tensor:
        """The angle whose cosine is x, in radians, 0 to pi; NaN outside [-1, 1]"""

    def arccos_(self) -> Tensor:
        """acos in place: written into x's own memory; returns x."""

    def arccosh(self) -> Tensor:
        """The inverse of cosh, >= 0: log(x + sqrt(x^2 - 1)); NaN below 1"""

    def arccosh_(self) -> Tensor:
        """acosh in place: written into x's own memory; returns x."""

    def arcsin(self) -> Tensor:
        """The angle whose sine is x, -pi/2 to pi/2; NaN outside [-1, 1]"""

    def arcsin_(self) -> Tensor:
        """asin in place: written into x's own memory; returns x."""

    def arcsinh(self) -> Tensor:
        """The inverse of sinh: log(x + sqrt(x^2 + 1))"""

    def arcsinh_(self) -> Tensor:
        """asinh in place: written into x's own memory; returns x."""

    def arctan(self) -> Tensor:
        """The angle whose tangent is x, -pi/2 to pi/2"""

    def arctan2(self, other: Operand) -> Tensor:
        """The angle of the point (y, x), -pi to pi: atan(x / y) in all four quadrants."""

    def arctan2_(self, other: Operand) -> Tensor:
        """atan2 in place: written into x's own memory; returns x."""

    def arctan_(self) -> Tensor:
        """atan in place: written into x's own memory; returns x."""

    def arctanh(self) -> Tensor:
        """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]"""

    def arctanh_(self) -> Tensor:
        """atanh in place: written into x's own memory; returns x."""

    def argmax(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Where the first largest value is, int64; in the flattened tensor if dim is None."""

    def argmin(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Tensor:
        """Where the first smallest value is, int64; in the flattened tensor if dim is None."""

    def argsort(self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> Tensor:
        """The indices (int64) that sort x along `dim`; equal elements always keep their order."""

    def asin(self) -> Tensor:
        """The angle whose sine is x, -pi/2 to pi/2; NaN outside [-1, 1]"""

    def asin_(self) -> Tensor:
        """asin in place: written into x's own memory; returns x."""

    def asinh(self) -> Tensor:
        """The inverse of sinh: log(x + sqrt(x^2 + 1))"""

    def asinh_(self) -> Tensor:
        """asinh in place: written into x's own memory; returns x."""

    def atan(self) -> Tensor:
        """The angle whose tangent is x, -pi/2 to pi/2"""

    def atan2(self, other: Operand) -> Tensor:
        """The angle of the point (y, x), -pi to pi: atan(x / y) in all four quadrants."""

    def atan2_(self, other: Operand) -> Tensor:
        """atan2 in place: written into x's own memory; returns x."""

    def atan_(self) -> Tensor:
        """atan in place: written into x's own memory; returns x."""

    def atanh(self) -> Tensor:
        """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]"""

    def atanh_(self) -> Tensor:
        """atanh in place: written into x's own memory; returns x."""

    def backward(self, gradient: Tensor | None = None, retain_graph: builtins.bool | None = None, create_graph: builtins.bool = False) -> None:
        """Accumulate d self / d leaf into `.grad` of every leaf that requires a gradient."""

    def baddbmm(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """beta input + alpha batch1 batch2: (B, n, m) and (B, m, p), to which input broadcasts."""

    def baddbmm_(self, batch1: Tensor, batch2: Tensor, *, beta: builtins.float = 1.0, alpha: builtins.float = 1.0) -> Tensor:
        """baddbmm in place: written into x's own memory; returns x."""

    def bernoulli(self, *, generator: Generator | None = None) -> Tensor:
        """1 with probability p, else 0, in p's shape and dtype; no gradient flows."""

    def bernoulli_(self, p: Any = 0.5, *, generator: Any = None) -> Tensor:
        """1 with probability p (a number or a Tensor), else 0, in place; returns x."""

    def bincount(self, weights: Tensor | None = None, minlength: builtins.int = 0) -> Tensor:
        """How often each of 0, 1, ..., max(x) occurs among integers >= 0; with weights, their sums."""

    def bitwise_and(self, other: Operand) -> Tensor:
        """x & y, of bools or integers"""

    def bitwise_not(self) -> Tensor:
        """~x, of bools or integers"""

    def bitwise_or(self, other: Operand) -> Tensor:
        """x | y, of bools or integers"""

    def bitwise_xor(self, other: Operand) -> Tensor:
        """x ^ y, of bools or integers"""

    def bmm(self, mat2: Tensor) -> Tensor:
        """Products of two batches of matrices: (B, n, m) and (B, m, p) -> (B, n, p)."""

    def bool(self) -> Tensor:
        """x as bool: False where it is 0."""

    def broadcast_to(self, size: Any = (), *more: builtins.int) -> Tensor:
        """expand"""

    def byte(self) -> Tensor:
        """x as uint8."""

    def ceil(self) -> Tensor:
        """The smallest integer >= x, in x's dtype; the gradient is 0"""

    def ceil_(self) -> Tensor:
        """ceil in place: written into x's own memory; returns x."""

    def char(self) -> Tensor:
        """x as int8."""

    def cholesky(self, upper: builtins.bool = False) -> Tensor:
        """L, lower triangular, with x = L L^T (upper=True: L^T), of symmetric positive definite x."""

    def chunk(self, chunks: builtins.int, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """At most `chunks` views of equal size (the last may be smaller)."""

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """x held within [min, max], numbers or Tensors; the derivative at a bound is 1"""

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """clamp in place: written into x's own memory; returns x."""

    def clamp_max(self, max: Operand) -> Tensor:
        """x, or `max` where x is larger, as clamp(max=...)"""

    def clamp_max_(self, max: Operand) -> Tensor:
        """clamp_max in place: written into x's own memory; returns x."""

    def clamp_min(self, min: Operand) -> Tensor:
        """x, or `min` where x is smaller, as clamp(min=...)"""

    def clamp_min_(self, min: Operand) -> Tensor:
        """clamp_min in place: written into x's own memory; returns x."""

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """x held within [min, max], numbers or Tensors; the derivative at a bound is 1"""

    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """clamp in place: written into x's own memory; returns x."""

    def clone(self) -> Tensor:
        """A copy in memory of its own, with the gradient flowing through."""

    def contiguous(self) -> Tensor:
        """The same elements in C-ordered memory: a copy, or x itself if they lie so already."""

    def copy_(self, src: Tensor) -> Tensor:
        """The elements of `src`, broadcast and converted, in place; returns x."""

    def copysign(self, other: Operand) -> Tensor:
        """|x| with the sign of y, that of -0.0 too; the derivative at x = 0 is 0, and y gets none"""

    def copysign_(self, other: Operand) -> Tensor:
        """copysign in place: written into x's own memory; returns x."""

    def cos(self) -> Tensor:
        """Cosine, x in radians"""

    def cos_(self) -> Tensor:
        """cos in place: written into x's own memory; returns x."""

    def cosh(self) -> Tensor:
        """(e^x + e^-x) / 2"""

    def cosh_(self) -> Tensor:
        """cosh in place: written into x's own memory; returns x."""

    def count_nonzero(self, dim: Dim = None) -> Tensor:
        """How many elements over `dim` are not 0: int64; NaN counts."""

    def cpu(self) -> Tensor:
        """x in the computer's memory; x itself if it is there."""

    def cuda(self) -> Tensor:
        """x in the GPU's memory; x itself if it is there. RuntimeError where no GPU can be used."""

    def cummax(self, dim: builtins.int) -> ValuesIndices:
        """(values, indices) of the largest so far along `dim`, the last where several tie; NaN stays."""

    def cummin(self, dim: builtins.int) -> ValuesIndices:
        """(values, indices) of the smallest so far along `dim`, as cummax"""

    def cumprod(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """Running product along `dim`, by doubling strides: log2(n) multiplications, any order."""

    def cumsum(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """Running sum along `dim`; bools and integers add up in int64."""

    def det(self) -> Tensor:
        """The determinant of (..., n, n); its gradient needs an invertible matrix."""

    def diag(self, diagonal: builtins.int = 0) -> Tensor:
        """The diagonal of a matrix, as a copy; of a vector, the matrix that has it on its diagonal."""

    def diag_embed(self, offset: builtins.int = 0, dim1: builtins.int = -2, dim2: builtins.int = -1) -> Tensor:
        """(..., n) -> matrices (..., n, n) with the last dimension on their diagonal, 0 elsewhere."""

    def diagonal(self, offset: builtins.int = 0, dim1: builtins.int = 0, dim2: builtins.int = 1) -> Tensor:
        """x[..., i, i + offset] of the dimensions dim1 and dim2, as the last dimension; a view."""

    def diff(self, n: builtins.int = 1, dim: builtins.int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
        """x[i + 1] - x[i] along `dim`, n times over; of bools, whether they differ."""

    def digamma(self) -> Tensor:
        """The derivative of log Gamma(x); -inf at 0, NaN at -1, -2, ..."""

    def digamma_(self) -> Tensor:
        """digamma in place: written into x's own memory; returns x."""

    def dist(self, other: Tensor, p: builtins.float = 2) -> Tensor:
        """The p-norm of x - y, all elements together."""

    def div(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

    def div_(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """div in place: written into x's own memory; returns x."""

    def divide(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

    def divide_(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """div in place: written into x's own memory; returns x."""

    def dot(self, tensor: Tensor) -> Tensor:
        """sum_i x_i y_i of two vectors of one size: a 0-d tensor."""

    def double(self) -> Tensor:
        """x as float64."""

    def eq(self, other: Operand) -> Tensor:
        """x == y: bool; NaN equals nothing"""

    def equal(self, other: Tensor) -> builtins.bool:
        """Same shape and same elements? A Python bool; NaN equals nothing."""

    def erf(self) -> Tensor:
        """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""

    def erf_(self) -> Tensor:
        """erf in place: written into x's own memory; returns x."""

    def erfc(self) -> Tensor:
        """1 - erf(x), exact far out too, where erf is 1"""

    def erfc_(self) -> Tensor:
        """erfc in place: written into x's own memory; returns x."""

    def erfinv(self) -> Tensor:
        """The inverse of erf, on (-1, 1): inf at 1, -inf at -1, NaN outside."""

    def erfinv_(self) -> Tensor:
        """erfinv in place: written into x's own memory; returns x."""

    def exp(self) -> Tensor:
        """e^x; inf where it overflows (float32: x > 88.7)"""

    def exp2(self) -> Tensor:
        """2^x; inf where it overflows"""

    def exp2_(self) -> Tensor:
        """exp2 in place: written into x's own memory; returns x."""

    def exp_(self) -> Tensor:
        """exp in place: written into x's own memory; returns x."""

    def expand(self, size: Any = (), *more: builtins.int) -> Tensor:
        """Repeat along size-1 (and new leading) dimensions without a copy; -1 keeps a size."""

    def expand_as(self, other: Tensor) -> Tensor:
        """expand to the other's shape."""

    def expm1(self) -> Tensor:
        """e^x - 1, exact near 0"""

    def expm1_(self) -> Tensor:
        """expm1 in place: written into x's own memory; returns x."""

    def exponential_(self, lambd: builtins.float = 1.0, *, generator: Any = None) -> Tensor:
        """Numbers > 0 of density lambd e^(-lambd x), in place; returns x."""

    def fill_(self, value: Any) -> Tensor:
        """Every element `value`, in place; returns x."""

    def fix(self) -> Tensor:
        """x without its fraction, towards 0; the gradient is 0"""

    def fix_(self) -> Tensor:
        """trunc in place: written into x's own memory; returns x."""

    def flatten(self, start_dim: builtins.int = 0, end_dim: builtins.int = -1) -> Tensor:
        """Make one dimension of the dimensions start_dim..end_dim; x itself if they are one already."""

    def flip(self, dims: Any = (), *more: builtins.int) -> Tensor:
        """Reverse the order along the given dimensions; a copy, as in PyTorch."""

    def fliplr(self) -> Tensor:
        """flip along dimension 1: the columns of a matrix in reverse order."""

    def flipud(self) -> Tensor:
        """flip along dimension 0: the rows of a matrix in reverse order."""

    def float(self) -> Tensor:
        """x as float32."""

    def float_power(self, exponent: Operand) -> Tensor:
        """x to the power y, in float64 whatever the dtypes"""

    def float_power_(self, exponent: Operand) -> Tensor:
        """float_power in place: written into x's own memory; returns x."""

    def floor(self) -> Tensor:
        """The largest integer <= x, in x's dtype; the gradient is 0"""

    def floor_(self) -> Tensor:
        """floor in place: written into x's own memory; returns x."""

    def floor_divide(self, other: Operand) -> Tensor:
        """floor(x / y), towards -inf; RuntimeError for an integer by 0"""

    def floor_divide_(self, other: Operand) -> Tensor:
        """floor_divide in place: written into x's own memory; returns x."""

    def fmax(self, other: Operand) -> Tensor:
        """The larger one, of NaN and a number the number; at a tie the gradient is x's alone"""

    def fmin(self, other: Operand) -> Tensor:
        """The smaller one, of NaN and a number the number; at a tie the gradient is x's alone"""

    def fmod(self, other: Operand) -> Tensor:
        """x - y trunc(x / y): the sign is x's, as in C. RuntimeError for an integer by 0."""

    def fmod_(self, other: Operand) -> Tensor:
        """fmod in place: written into x's own memory; returns x."""

    def frac(self) -> Tensor:
        """The fraction that trunc takes off, with x's sign: frac(-1.25) = -0.25. Floats only."""

    def frac_(self) -> Tensor:
        """frac in place: written into x's own memory; returns x."""

    def gather(self, dim: builtins.int, index: Tensor) -> Tensor:
        """out[i][j][k] = x[i][index[i][j][k]][k] for dim = 1; out has index's shape."""

    def ge(self, other: Operand) -> Tensor:
        """x >= y: bool"""

    def ger(self, vec2: Tensor) -> Tensor:
        """x_i y_j of two vectors: another name of outer."""

    def gt(self, other: Operand) -> Tensor:
        """x > y: bool"""

    def half(self) -> Tensor:
        """x as float16."""

    def hypot(self, other: Operand) -> Tensor:
        """sqrt(x^2 + y^2), without overflow; the gradient at (0, 0) is 0"""

    def hypot_(self, other: Operand) -> Tensor:
        """hypot in place: written into x's own memory; returns x."""

    def index_add(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """x plus alpha source, whose slice i is added to the slice index[i] of x along `dim`."""

    def index_add_(self, dim: builtins.int, index: Tensor, source: Tensor, *, alpha: builtins.float = 1) -> Tensor:
        """index_add in place: written into x's own memory; returns x."""

    def index_copy(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """x with slice i of the source in place of its slice index[i] along `dim`."""

    def index_copy_(self, dim: builtins.int, index: Tensor, source: Tensor) -> Tensor:
        """index_copy in place: written into x's own memory; returns x."""

    def index_fill(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """x with `value`, a number or a 0-d Tensor, in the slices along `dim` that the index names."""

    def index_fill_(self, dim: builtins.int, index: Tensor, value: Any) -> Tensor:
        """index_fill in place: written into x's own memory; returns x."""

    def index_put(self, indices: Sequence[Any], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """x with x[indices] = values; accumulate=True adds them, where indices repeat too."""

    def index_put_(self, indices: Sequence[Any], values: Tensor, accumulate: builtins.bool = False) -> Tensor:
        """index_put in place: written into x's own memory; returns x."""

    def index_select(self, dim: builtins.int, index: Tensor) -> Tensor:
        """The slices of x along `dim` that a 1-D index of integers names, in its order."""

    def inner(self, other: Tensor) -> Tensor:
        """sum_k x[..., k] y[..., k] over the last dimensions: (*A, k) and (*B, k) -> (*A, *B)."""

    def int(self) -> Tensor:
        """x as int32."""

    def inverse(self) -> Tensor:
        """x^-1 of square matrices (..., n, n); RuntimeError for a singular one."""

    def isclose(self, other: Tensor, rtol: builtins.float = 1e-05, atol: builtins.float = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
        """|x - y| <= atol + rtol |y|, element by element: y is the reference."""

    def isfinite(self) -> Tensor:
        """It is neither inf nor NaN: bool"""

    def isinf(self) -> Tensor:
        """It is inf or -inf: bool"""

    def isnan(self) -> Tensor:
        """It is not a number: bool"""

    def kron(self, other: Tensor) -> Tensor:
        """The Kronecker product: each element of x times all of y, side by side as x's elements are."""

    def kthvalue(self, k: builtins.int, dim: builtins.int = -1, keepdim: builtins.bool = False) -> ValuesIndices:
        """(values, indices) of the k-th smallest along `dim`, k from 1; the first where several tie."""

    def ldexp(self, other: Tensor) -> Tensor:
        """x 2^y"""

    def ldexp_(self, other: Tensor) -> Tensor:
        """ldexp in place: written into x's own memory; returns x."""

    def le(self, other: Operand) -> Tensor:
        """x <= y: bool"""

    def lerp(self, end: Tensor, weight: Tensor | builtins.float) -> Tensor:
        """x + weight (end - x): x at weight 0, `end` at 1, both exactly if the weight is a number"""

    def lerp_(self, end: Tensor, weight: Tensor | builtins.float) -> Tensor:
        """lerp in place: written into x's own memory; returns x."""

    def lgamma(self) -> Tensor:
        """log |Gamma(x)|, and Gamma(n) = (n - 1)!; inf at 0, -1, -2, ..."""

    def lgamma_(self) -> Tensor:
        """lgamma in place: written into x's own memory; returns x."""

    def log(self) -> Tensor:
        """Natural logarithm; -inf at 0, NaN below, as in PyTorch (no warning)."""

    def log10(self) -> Tensor:
        """Logarithm to the base 10; -inf at 0, NaN below"""

    def log10_(self) -> Tensor:
        """log10 in place: written into x's own memory; returns x."""

    def log1p(self) -> Tensor:
        """log(1 + x), exact near 0; -inf at -1, NaN below"""

    def log1p_(self) -> Tensor:
        """log1p in place: written into x's own memory; returns x."""

    def log2(self) -> Tensor:
        """Logarithm to the base 2, exact for powers of 2; -inf at 0, NaN below"""

    def log2_(self) -> Tensor:
        """log2 in place: written into x's own memory; returns x."""

    def log_(self) -> Tensor:
        """log in place: written into x's own memory; returns x."""

    def log_softmax(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """x - log sum e^x along `dim`; exact where softmax would be 0. RuntimeError for integers."""

    def logaddexp(self, other: Operand) -> Tensor:
        """log(e^x + e^y), without overflow"""

    def logcumsumexp(self, dim: builtins.int) -> Tensor:
        """log sum e^x of all up to each, along `dim`: log2(n) times logaddexp, by doubling strides."""

    def logdet(self) -> Tensor:
        """log det of (..., n, n); NaN where the determinant is negative"""

    def logical_and(self, other: Operand) -> Tensor:
        """Both are non-zero: bool"""

    def logical_not(self) -> Tensor:
        """It is zero: bool"""

    def logical_or(self, other: Operand) -> Tensor:
        """At least one is non-zero: bool"""

    def logical_xor(self, other: Operand) -> Tensor:
        """Exactly one is non-zero: bool"""

    def logit(self, eps: builtins.float | None = None) -> Tensor:
        """log(x / (1 - x)), the inverse of sigmoid; with eps, of x held within [eps, 1 - eps]"""

    def logit_(self, eps: builtins.float | None = None) -> Tensor:
        """logit in place: written into x's own memory; returns x."""

    def logsumexp(self, dim: Dim, keepdim: builtins.bool = False) -> Tensor:
        """log sum e^x over `dim`, shifted by the largest x so that nothing overflows."""

    def long(self) -> Tensor:
        """x as int64."""

    def lt(self, other: Operand) -> Tensor:
        """x < y: bool"""

    def lu(self, pivot: builtins.bool = True) -> tuple[Tensor, Tensor]:
        """(LU, pivots) of square matrices: U, and L below its diagonal, whose ones are not stored."""

    @property
    def mT(self) -> Tensor:
        """x.mT: the last two dimensions swapped."""

    def masked_fill(self, mask: Tensor, value: Any) -> Tensor:
        """x with `value` where the mask is True, in x's dtype: integers take its integer part."""

    def masked_fill_(self, mask: Tensor, value: Any) -> Tensor:
        """masked_fill in place: written into x's own memory; returns x."""

    def masked_scatter(self, mask: Tensor, source: Tensor) -> Tensor:
        """x with the first elements of the source, in C order, where the mask (bool) is True."""

    def masked_scatter_(self, mask: Tensor, source: Tensor) -> Tensor:
        """masked_scatter in place: written into x's own memory; returns x."""

    def masked_select(self, mask: Tensor) -> Tensor:
        """The elements of x where the mask (bool, broadcast) is True, in C order as a 1-D tensor."""

    def matmul(self, other: Tensor) -> Tensor:
        """Matrix product over the last two dimensions, broadcast over the others; 1-D as in PyTorch."""

    def max(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
        """max(x): the largest value. max(x, dim): (values, indices), the first where several tie."""

    def maximum(self, other: Operand) -> Tensor:
        """The larger one; NaN wins, and at a tie each gets half of the gradient"""

    def mean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """Arithmetic mean over `dim`; NaN of nothing, RuntimeError for integers."""

    def median(self, dim: builtins.int | None = None, keepdim: builtins.bool = False) -> Any:
        """The middle value, of two the lower; of all, where ties share the gradient evenly; or, along"""

    def min(self, dim: Any = None, keepdim: builtins.bool = False, *, other: Any = None) -> Any:
        """min(x), min(x, dim) and min(x, y): as for max."""

    def minimum(self, other: Operand) -> Tensor:
        """The smaller one; NaN wins, and at a tie each gets half of the gradient"""

    def mm(self, mat2: Tensor) -> Tensor:
        """Product of two matrices: (n, m) and (m, p) -> (n, p); nothing broadcasts."""

    def movedim(self, source: Any, destination: Any) -> Tensor:
        """Take dimension `source` out and put it in at `destination`, or several each; a view."""

    def mul(self, other: Operand) -> Tensor:
        """x y, element by element; @ is the matrix product"""

    def mul_(self, other: Operand) -> Tensor:
        """mul in place: written into x's own memory; returns x."""

    def multinomial(self, num_samples: builtins.int, replacement: builtins.bool = False, *, generator: Generator | None = None) -> Tensor:
        """Indices drawn in proportion to each row of non-negative weights, (n,) or (m, n)."""

    def multiply(self, other: Operand) -> Tensor:
        """x y, element by element; @ is the matrix product"""

    def multiply_(self, other: Operand) -> Tensor:
        """mul in place: written into x's own memory; returns x."""

    def mv(self, vec: Tensor) -> Tensor:
        """Matrix times vector: (n, m) and (m) -> (n)."""

    def nan_to_num(self, nan: builtins.float = 0.0, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """`nan` for NaN, `posinf` for inf, `neginf` for -inf: else the dtype's largest and smallest."""

    def nan_to_num_(self, nan: builtins.float = 0.0, posinf: builtins.float | None = None, neginf: builtins.float | None = None) -> Tensor:
        """nan_to_num in place: written into x's own memory; returns x."""

    def nanmean(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """Mean over `dim` of what is not NaN; NaN if nothing is left."""

    def nansum(self, dim: Dim = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """Sum over `dim` of what is not NaN; its gradient at NaN is 0."""

    def narrow(self, dim: builtins.int, start: builtins.int, length: builtins.int) -> Tensor:
        """`length` slices along `dim`, from `start`; a view."""

    def ne(self, other: Operand) -> Tensor:
        """x != y: bool; true of NaN"""

    def neg(self) -> Tensor:
        """-x; integers of uint8 wrap around"""

    def neg_(self) -> Tensor:
        """neg in place: written into x's own memory; returns x."""

    def negative(self) -> Tensor:
        """-x; integers of uint8 wrap around"""

    def negative_(self) -> Tensor:
        """neg in place: written into x's own memory; returns x."""

    def new_empty(self, size: Any = (), *more: builtins.int, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
        """Whatever lay in memory, of the given size, with x's dtype and device: x.new_empty(2, 3)."""

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
        """One value everywhere, of the given size, with x's dtype and device."""

    def new_ones(self, size: Any = (), *more: builtins.int, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
        """All 1, of the given size, with x's dtype and device: x.new_ones(2, 3)."""

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
        """A copy of `data` (numbers, lists, an array) with x's dtype and device."""

    def new_zeros(self, size: Any = (), *more: builtins.int, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Tensor:
        """All 0, of the given size, with x's dtype and device: x.new_zeros(2, 3)."""

    def nonzero(self) -> Tensor:
        """The indices of the non-zero elements, int64 (count, x.ndim), one row each."""

    def norm(self, p: Any = 2, dim: Dim = None, keepdim: builtins.bool = False) -> Tensor:
        """(sum |x|^p)^(1/p); p = inf is the largest |x|, p = 0 counts what is not 0."""

    def normal_(self, mean: builtins.float = 0.0, std: builtins.float = 1.0, *, generator: Any = None) -> Tensor:
        """Normal numbers of this mean and standard deviation, in place; returns x."""

    def outer(self, vec2: Tensor) -> Tensor:
        """x_i y_j of two vectors: (n) and (m) -> (n, m)."""

    def permute(self, dims: Any = (), *more: builtins.int) -> Tensor:
        """Dimension i of the output is dimension dims[i] of the input; a view."""

    def pow(self, exponent: Operand) -> Tensor:
        """x to the power y. The gradient of 0^y is 0 for y >= 0, and that of 0^0 for x too."""

    def pow_(self, exponent: Operand) -> Tensor:
        """pow in place: written into x's own memory; returns x."""

    def prod(self, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, dtype: Any = None) -> Tensor:
        """Product over `dim`, by folding halves onto each other: right at any order, zeros or not."""

    def quantile(self, q: Any, dim: builtins.int | None = None, keepdim: builtins.bool = False, *, interpolation: str = 'linear') -> Tensor:
        """The value below which a share q in [0, 1] of the elements lies: at place q (n - 1) in order."""

    def ravel(self) -> Tensor:
        """All elements as one dimension; a view if it can be."""

    def reciprocal(self) -> Tensor:
        """1 / x; inf at 0"""

    def reciprocal_(self) -> Tensor:
        """reciprocal in place: written into x's own memory; returns x."""

    def relu(self) -> Tensor:
        """max(x, 0); the derivative at 0 is 0"""

    def relu_(self) -> Tensor:
        """relu in place: written into x's own memory; returns x."""

    def remainder(self, other: Operand) -> Tensor:
        """x - y floor(x / y): the sign is y's, as for Python's %. RuntimeError for an integer by 0."""

    def remainder_(self, other: Operand) -> Tensor:
        """remainder in place: written into x's own memory; returns x."""

    def repeat(self, repeats: Any = (), *more: builtins.int) -> Tensor:
        """Copies of the input, repeats[i] of them along dimension i (NumPy's tile)."""

    def repeat_interleave(self, repeats: builtins.int | Tensor, dim: builtins.int | None = None) -> Tensor:
        """Each element (or each slice along `dim`) `repeats` times in a row: a number, or one for each."""

    def reshape(self, shape: Any = (), *more: builtins.int) -> Tensor:
        """The same elements, in C order, in another shape; one size may be -1. A view if it can be."""

    def reshape_as(self, other: Tensor) -> Tensor:
        """The same elements in the other's shape."""

    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """Shift along dimensions; what falls off comes in at the other end. No dims: flattened."""

    def rot90(self, k: builtins.int = 1, dims: Sequence[builtins.int] = (0, 1)) -> Tensor:
        """Turned by k right angles, from the first of the two dimensions towards the second."""

    def round(self, *, decimals: builtins.int = 0) -> Tensor:
        """The nearest multiple of 10^-decimals; halves go to the even one, and the gradient is 0"""

    def round_(self, *, decimals: builtins.int = 0) -> Tensor:
        """round in place: written into x's own memory; returns x."""

    def rsqrt(self) -> Tensor:
        """1 / sqrt(x); inf at 0, NaN below"""

    def rsqrt_(self) -> Tensor:
        """rsqrt in place: written into x's own memory; returns x."""

    def scatter(self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
        """x with, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; src (or value) may be a number."""

    def scatter_(self, dim: builtins.int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
        """scatter in place: written into x's own memory; returns x."""

    def scatter_add(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """x plus, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; the adjoint of gather."""

    def scatter_add_(self, dim: builtins.int, index: Tensor, src: Tensor) -> Tensor:
        """scatter_add in place: written into x's own memory; returns x."""

    def select(self, dim: builtins.int, index: builtins.int) -> Tensor:
        """The slice `index` along `dim`, without that dimension; a view, as x[:, index]."""

    def short(self) -> Tensor:
        """x as int16."""

    def sigmoid(self) -> Tensor:
        """1 / (1 + e^-x). An overflowing e^-x is a right answer here: 1 / inf = 0."""

    def sigmoid_(self) -> Tensor:
        """sigmoid in place: written into x's own memory; returns x."""

    def sign(self) -> Tensor:
        """-1, 0 or 1; of NaN it is NaN; the gradient is 0"""

    def sign_(self) -> Tensor:
        """sign in place: written into x's own memory; returns x."""

    def silu(self) -> Tensor:
        """x sigmoid(x), also called swish (Ramachandran et al. 2017)"""

    def sin(self) -> Tensor:
        """Sine, x in radians"""

    def sin_(self) -> Tensor:
        """sin in place: written into x's own memory; returns x."""

    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), and 1 at 0"""

    def sinc_(self) -> Tensor:
        """sinc in place: written into x's own memory; returns x."""

    def sinh(self) -> Tensor:
        """(e^x - e^-x) / 2"""

    def sinh_(self) -> Tensor:
        """sinh in place: written into x's own memory; returns x."""

    def slogdet(self) -> Slogdet:
        """(sign, log |det|) of (..., n, n), without overflow; (0, -inf) for a singular matrix."""

    def softmax(self, dim: builtins.int, *, dtype: Any = None) -> Tensor:
        """e^x / sum e^x along `dim`; the shape stays. RuntimeError for integers."""

    def softplus(self) -> Tensor:
        """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which does not overflow"""

    def sort(self, dim: builtins.int = -1, descending: builtins.bool = False, stable: builtins.bool = True) -> ValuesIndices:
        """(values, indices) in order along `dim`; always stable."""

    def split(self, split_size: builtins.int | Sequence[builtins.int], dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Views of split_size slices each (the last may be smaller), or of the given sizes."""

    def split_with_sizes(self, split_sizes: Sequence[builtins.int], dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """split, by a list of sizes"""

    def sqrt(self) -> Tensor:
        """Square root; NaN below 0, and at 0 the gradient is inf"""

    def sqrt_(self) -> Tensor:
        """sqrt in place: written into x's own memory; returns x."""

    def square(self) -> Tensor:
        """x^2; of bools in int64"""

    def square_(self) -> Tensor:
        """square in place: written into x's own memory; returns x."""

    def squeeze(self, dim: builtins.int | Sequence[builtins.int] | None = None) -> Tensor:
        """Drop dimensions of size 1: all, or those of `dim` (an int or several) that have size 1."""

    def std(self, dim: Dim = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, correction: builtins.int | None = None) -> Tensor:
        """Standard deviation, the root of var; its gradient at 0 is 0."""

    def sub(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """x - alpha y"""

    def sub_(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """sub in place: written into x's own memory; returns x."""

    def subtract(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """x - alpha y"""

    def subtract_(self, other: Operand, *, alpha: builtins.float = 1) -> Tensor:
        """sub in place: written into x's own memory; returns x."""

    def sum(self, dim: Dim = None, keepdim: builtins.bool = False, dtype: Any = None) -> Tensor:
        """Sum over `dim` (None: all, an int or several); bools and integers add up in int64."""

    def swapaxes(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Swap two dimensions; a view."""

    def t(self) -> Tensor:
        """Matrix transpose of a tensor with at most two dimensions; a view."""

    def take(self, index: Tensor) -> Tensor:
        """The elements of the flattened x at the index (integers), in the index's shape."""

    def take_along_dim(self, indices: Tensor, dim: builtins.int) -> Tensor:
        """NumPy's take_along_axis: gather with the other dimensions broadcast; `dim` must be given."""

    def tan(self) -> Tensor:
        """Tangent, x in radians"""

    def tan_(self) -> Tensor:
        """tan in place: written into x's own memory; returns x."""

    def tanh(self) -> Tensor:
        """(e^x - e^-x) / (e^x + e^-x)"""

    def tanh_(self) -> Tensor:
        """tanh in place: written into x's own memory; returns x."""

    def tensor_split(self, indices_or_sections: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Views: n nearly equal ones, the larger first, or parted before each of the given indices."""

    def tile(self, dims: Any = (), *more: builtins.int) -> Tensor:
        """NumPy's tile: as repeat, and fewer counts than dimensions are of the last ones."""

    def to(self, *args: Any, device: Any = None, dtype: Any = None, copy: builtins.bool = False, non_blocking: builtins.bool = False) -> Tensor:
        """x on a device, in a dtype, or like another Tensor; x itself where nothing changes."""

    def topk(self, k: builtins.int, dim: builtins.int = -1, largest: builtins.bool = True, sorted: builtins.bool = True) -> ValuesIndices:
        """(values, indices) of the k largest (or smallest) along `dim`, always in order."""

    def trace(self) -> Tensor:
        """The sum of a matrix's diagonal; of bools and integers in int64."""

    def transpose(self, dim0: builtins.int, dim1: builtins.int) -> Tensor:
        """Swap two dimensions; a view."""

    def tril(self, diagonal: builtins.int = 0) -> Tensor:
        """The lower triangle of each matrix (..., n, m): 0 where column - row > diagonal."""

    def tril_(self, diagonal: builtins.int = 0) -> Tensor:
        """tril in place: written into x's own memory; returns x."""

    def triu(self, diagonal: builtins.int = 0) -> Tensor:
        """The upper triangle of each matrix (..., n, m): 0 where column - row < diagonal."""

    def triu_(self, diagonal: builtins.int = 0) -> Tensor:
        """triu in place: written into x's own memory; returns x."""

    def true_divide(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

    def true_divide_(self, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
        """div in place: written into x's own memory; returns x."""

    def trunc(self) -> Tensor:
        """x without its fraction, towards 0; the gradient is 0"""

    def trunc_(self) -> Tensor:
        """trunc in place: written into x's own memory; returns x."""

    def type(self, dtype: Any) -> Tensor:
        """x in another dtype, as x.to(dtype)."""

    def type_as(self, other: Tensor) -> Tensor:
        """x in the other's dtype, on its own device."""

    def unbind(self, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """All slices along `dim`, without it; views."""

    def unflatten(self, dim: builtins.int, sizes: Sequence[builtins.int]) -> Tensor:
        """Split one dimension into several of the given sizes; one may be -1."""

    def unfold(self, dimension: builtins.int, size: builtins.int, step: builtins.int) -> Tensor:
        """Windows of `size` slices, `step` apart: (..., n, ...) -> (..., windows, ..., size)."""

    def uniform_(self, low: builtins.float = 0.0, high: builtins.float = 1.0, *, generator: Any = None) -> Tensor:
        """Uniform numbers on [low, high), in place; returns x."""

    def unique(self, sorted: builtins.bool = True, return_inverse: builtins.bool = False, return_counts: builtins.bool = False, dim: builtins.int | None = None) -> Any:
        """The different elements (along `dim`, the different slices), always in order."""

    def unsqueeze(self, dim: builtins.int) -> Tensor:
        """A new dimension of size 1 at `dim`: (A, B) becomes (A, 1, B) for dim = 1."""

    def var(self, dim: Dim = None, unbiased: builtins.bool | None = None, keepdim: builtins.bool = False, correction: builtins.int | None = None) -> Tensor:
        """Variance over `dim`: squared deviations summed, over n - correction (1 unless given)."""

    def view(self, shape: Any = (), *more: builtins.int) -> Tensor:
        """The same elements, in C order, in another shape; one size may be -1. A view if it can be."""

    def view_as(self, other: Tensor) -> Tensor:
        """The same elements in the other's shape."""

    def xlogy(self, other: Operand) -> Tensor:
        """x log y, and 0 where x = 0, whatever y is (but for NaN); there the gradients are finite too"""

    def xlogy_(self, other: Operand) -> Tensor:
        """xlogy in place: written into x's own memory; returns x."""

    def zero_(self) -> Tensor:
        """Every element 0, in place; returns x."""

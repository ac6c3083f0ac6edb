"""Generated from the ops' files by python -m tinygen.stubs: edit those."""

import builtins
from collections.abc import Sequence
from typing import Any, Literal, overload

from ..backend import DType, Generator
from ..tensor import Tensor
from .derived import MinMax
from .indexing import Index
from .linalg import PLU, Slogdet
from .order import ValuesIndices
from .promotion import Operand
from .reductions import Dim

def abs(input: Tensor) -> Tensor:
    """|x|; the derivative at 0 is 0"""

def absolute(input: Tensor) -> Tensor:
    """|x|; the derivative at 0 is 0"""

def acos(input: Tensor) -> Tensor:
    """The angle whose cosine is x, in radians, 0 to pi; NaN outside [-1, 1]"""

def acosh(input: Tensor) -> Tensor:
    """The inverse of cosh, >= 0: log(x + sqrt(x^2 - 1)); NaN below 1"""

def add(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x + alpha y; shapes broadcast and dtypes promote, as in all elementwise ops."""

def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value tensor1 / tensor2"""

def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """x + value tensor1 tensor2"""

def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta input + alpha mat1 mat2: (n, m) and (m, p) -> (n, p), to which input broadcasts."""

def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta input + alpha mat vec: (n, m) and (m), to which input broadcasts."""

def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta input + alpha vec1 vec2^T: (n) and (m), to which input broadcasts."""

def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Is every element over `dim` non-zero? True of nothing."""

def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: builtins.bool = False) -> builtins.bool:
    """Is every element close, as isclose says? A Python bool."""

def amax(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Largest value over `dim` (None: all, an int or several); ties share the gradient evenly."""

def amin(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Smallest value over `dim` (None: all, an int or several); ties share the gradient evenly."""

def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """(min, max) over `dim` (None: all); ties share the gradient evenly."""

def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Is some element over `dim` non-zero? False of nothing."""

def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """start, start + step, ... below end; int64 if all three are integers."""

def arccos(input: Tensor) -> Tensor:
    """The angle whose cosine is x, in radians, 0 to pi; NaN outside [-1, 1]"""

def arccosh(input: Tensor) -> Tensor:
    """The inverse of cosh, >= 0: log(x + sqrt(x^2 - 1)); NaN below 1"""

def arcsin(input: Tensor) -> Tensor:
    """The angle whose sine is x, -pi/2 to pi/2; NaN outside [-1, 1]"""

def arcsinh(input: Tensor) -> Tensor:
    """The inverse of sinh: log(x + sqrt(x^2 + 1))"""

def arctan(input: Tensor) -> Tensor:
    """The angle whose tangent is x, -pi/2 to pi/2"""

def arctan2(input: Operand, other: Operand) -> Tensor:
    """The angle of the point (y, x), -pi to pi: atan(x / y) in all four quadrants."""

def arctanh(input: Tensor) -> Tensor:
    """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]"""

def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first largest value is, int64; in the flattened tensor if dim is None."""

def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the first smallest value is, int64; in the flattened tensor if dim is None."""

def argsort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """The indices (int64) that sort x along `dim`; equal elements always keep their order."""

def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` itself if it is a Tensor that fits; an array shares its memory; else a copy."""

def asin(input: Tensor) -> Tensor:
    """The angle whose sine is x, -pi/2 to pi/2; NaN outside [-1, 1]"""

def asinh(input: Tensor) -> Tensor:
    """The inverse of sinh: log(x + sqrt(x^2 + 1))"""

def atan(input: Tensor) -> Tensor:
    """The angle whose tangent is x, -pi/2 to pi/2"""

def atan2(input: Operand, other: Operand) -> Tensor:
    """The angle of the point (y, x), -pi to pi: atan(x / y) in all four quadrants."""

def atanh(input: Tensor) -> Tensor:
    """The inverse of tanh: log((1 + x) / (1 - x)) / 2; NaN outside [-1, 1]"""

def atleast_1d(*tensors: Any) -> Any:
    """x as it is, a 0-d one as (1,); several give a tuple."""

def atleast_2d(*tensors: Any) -> Any:
    """x as it is, a vector as the one row of a matrix; several give a tuple."""

def atleast_3d(*tensors: Any) -> Any:
    """x as it is, a matrix as (n, m, 1), a vector as (1, n, 1); several give a tuple."""

def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: float = 1.0, alpha: float = 1.0) -> Tensor:
    """beta input + alpha batch1 batch2: (B, n, m) and (B, m, p), to which input broadcasts."""

def bernoulli(input: Tensor, *, generator: Generator | None = None) -> Tensor:
    """1 with probability p, else 0, in p's shape and dtype; no gradient flows."""

def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each of 0, 1, ..., max(x) occurs among integers >= 0; with weights, their sums."""

def bitwise_and(input: Operand, other: Operand) -> Tensor:
    """x & y, of bools or integers"""

def bitwise_not(input: Tensor) -> Tensor:
    """~x, of bools or integers"""

def bitwise_or(input: Operand, other: Operand) -> Tensor:
    """x | y, of bools or integers"""

def bitwise_xor(input: Operand, other: Operand) -> Tensor:
    """x ^ y, of bools or integers"""

def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given ones along its diagonal, 0 elsewhere; vectors count as rows."""

def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """Products of two batches of matrices: (B, n, m) and (B, m, p) -> (B, n, p)."""

def broadcast_tensors(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All of them expanded to the one shape that they broadcast to; RuntimeError without one."""

def broadcast_to(input: Tensor, size: Any = (), *more: int) -> Tensor:
    """expand"""

def bucketize(input: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """searchsorted(boundaries, input): which of the buckets between the boundaries it falls into."""

def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join along an existing dimension; the other sizes must agree, dtypes promote."""

def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = '') -> Tensor:
    """The p-norms of all differences: (..., n, d) and (..., m, d) -> (..., n, m)."""

def ceil(input: Tensor) -> Tensor:
    """The smallest integer >= x, in x's dtype; the gradient is 0"""

def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """L, lower triangular, with x = L L^T (upper=True: L^T), of symmetric positive definite x."""

def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal size (the last may be smaller)."""

def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """x held within [min, max], numbers or Tensors; the derivative at a bound is 1"""

def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """x, or `max` where x is larger, as clamp(max=...)"""

def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """x, or `min` where x is smaller, as clamp(min=...)"""

def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """x held within [min, max], numbers or Tensors; the derivative at a bound is 1"""

def clone(input: Tensor) -> Tensor:
    """A copy in memory of its own, with the gradient flowing through."""

def column_stack(tensors: Sequence[Tensor]) -> Tensor:
    """As hstack, with vectors (and numbers) as columns."""

def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """cat"""

def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """cat"""

def copysign(input: Operand, other: Operand) -> Tensor:
    """|x| with the sign of y, that of -0.0 too; the derivative at x = 0 is 0, and y gets none"""

def cos(input: Tensor) -> Tensor:
    """Cosine, x in radians"""

def cosh(input: Tensor) -> Tensor:
    """(e^x + e^-x) / 2"""

def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements over `dim` are not 0: int64; NaN counts."""

def cummax(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the largest so far along `dim`, the last where several tie; NaN stays."""

def cummin(input: Tensor, dim: int) -> ValuesIndices:
    """(values, indices) of the smallest so far along `dim`, as cummax"""

def cumprod(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running product along `dim`, by doubling strides: log2(n) multiplications, any order."""

def cumsum(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Running sum along `dim`; bools and integers add up in int64."""

def det(input: Tensor) -> Tensor:
    """The determinant of (..., n, n); its gradient needs an invertible matrix."""

def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, as a copy; of a vector, the matrix that has it on its diagonal."""

def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """(..., n) -> matrices (..., n, n) with the last dimension on their diagonal, 0 elsewhere."""

def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """x[..., i, i + offset] of the dimensions dim1 and dim2, as the last dimension; a view."""

def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """x[i + 1] - x[i] along `dim`, n times over; of bools, whether they differ."""

def digamma(input: Tensor) -> Tensor:
    """The derivative of log Gamma(x); -inf at 0, NaN at -1, -2, ..."""

def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of x - y, all elements together."""

def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

def divide(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """sum_i x_i y_i of two vectors of one size: a 0-d tensor."""

def dstack(tensors: Sequence[Tensor]) -> Tensor:
    """One behind the other: cat along dimension 2, of tensors that atleast_3d has made so."""

def einsum(equation: str, *operands: Any) -> Tensor:
    """Einstein summation: letters that the output lacks are summed, dimensions of size 1 stretch."""

def elu(input: Tensor, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha (e^x - 1) (Clevert et al. 2016); the derivative at 0 is alpha"""

def empty(size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Whatever lay in memory: empty(2, 3) or empty((2, 3)), to be overwritten."""

def empty_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Whatever lay in memory, of the input's shape, dtype and device."""

def eq(input: Operand, other: Operand) -> Tensor:
    """x == y: bool; NaN equals nothing"""

def equal(input: Tensor, other: Tensor) -> builtins.bool:
    """Same shape and same elements? A Python bool; NaN equals nothing."""

def erf(input: Tensor) -> Tensor:
    """2 / sqrt(pi) times the integral of e^(-t^2) from 0 to x."""

def erfc(input: Tensor) -> Tensor:
    """1 - erf(x), exact far out too, where erf is 1"""

def erfinv(input: Tensor) -> Tensor:
    """The inverse of erf, on (-1, 1): inf at 1, -inf at -1, NaN outside."""

def exp(input: Tensor) -> Tensor:
    """e^x; inf where it overflows (float32: x > 88.7)"""

def exp2(input: Tensor) -> Tensor:
    """2^x; inf where it overflows"""

def expm1(input: Tensor) -> Tensor:
    """e^x - 1, exact near 0"""

def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """(n, m), or (n, n): 1 on the diagonal, 0 elsewhere."""

def fix(input: Tensor) -> Tensor:
    """x without its fraction, towards 0; the gradient is 0"""

def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Make one dimension of the dimensions start_dim..end_dim; x itself if they are one already."""

def flip(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """Reverse the order along the given dimensions; a copy, as in PyTorch."""

def fliplr(input: Tensor) -> Tensor:
    """flip along dimension 1: the columns of a matrix in reverse order."""

def flipud(input: Tensor) -> Tensor:
    """flip along dimension 0: the rows of a matrix in reverse order."""

def float_power(input: Operand, exponent: Operand) -> Tensor:
    """x to the power y, in float64 whatever the dtypes"""

def floor(input: Tensor) -> Tensor:
    """The largest integer <= x, in x's dtype; the gradient is 0"""

def floor_divide(input: Operand, other: Operand) -> Tensor:
    """floor(x / y), towards -inf; RuntimeError for an integer by 0"""

def fmax(input: Tensor, other: Operand) -> Tensor:
    """The larger one, of NaN and a number the number; at a tie the gradient is x's alone"""

def fmin(input: Tensor, other: Operand) -> Tensor:
    """The smaller one, of NaN and a number the number; at a tie the gradient is x's alone"""

def fmod(input: Operand, other: Operand) -> Tensor:
    """x - y trunc(x / y): the sign is x's, as in C. RuntimeError for an integer by 0."""

def frac(input: Tensor) -> Tensor:
    """The fraction that trunc takes off, with x's sign: frac(-1.25) = -0.25. Floats only."""

def from_numpy(ndarray: Any) -> Tensor:
    """A Tensor that shares the memory of a NumPy array: a change of one is seen in the other."""

def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of the given size (a tuple) with one value everywhere, of the value's dtype."""

def full_like(input: Tensor, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value everywhere, of the input's shape, dtype and device."""

def gather(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """out[i][j][k] = x[i][index[i][j][k]][k] for dim = 1; out has index's shape."""

def ge(input: Operand, other: Operand) -> Tensor:
    """x >= y: bool"""

def gelu(input: Tensor, approximate: str = 'none') -> Tensor:
    """x Phi(x), Phi the standard normal's distribution function (Hendrycks & Gimpel 2016)."""

def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """x_i y_j of two vectors: another name of outer."""

def gt(input: Operand, other: Operand) -> Tensor:
    """x > y: bool"""

def hstack(tensors: Sequence[Tensor]) -> Tensor:
    """Vectors end to end, matrices side by side: cat along dimension 1, of vectors along 0."""

def hypot(input: Operand, other: Operand) -> Tensor:
    """sqrt(x^2 + y^2), without overflow; the gradient at (0, 0) is 0"""

def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """x plus alpha source, whose slice i is added to the slice index[i] of x along `dim`."""

def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """x with slice i of the source in place of its slice index[i] along `dim`."""

def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """x with `value`, a number or a 0-d Tensor, in the slices along `dim` that the index names."""

def index_put(input: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Tensor:
    """x with x[indices] = values; accumulate=True adds them, where indices repeat too."""

def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of x along `dim` that a 1-D index of integers names, in its order."""

def inner(input: Tensor, other: Tensor) -> Tensor:
    """sum_k x[..., k] y[..., k] over the last dimensions: (*A, k) and (*B, k) -> (*A, *B)."""

def inverse(input: Tensor) -> Tensor:
    """x^-1 of square matrices (..., n, n); RuntimeError for a singular one."""

def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: builtins.bool = False) -> Tensor:
    """|x - y| <= atol + rtol |y|, element by element: y is the reference."""

def isfinite(input: Tensor) -> Tensor:
    """It is neither inf nor NaN: bool"""

def isinf(input: Tensor) -> Tensor:
    """It is inf or -inf: bool"""

def isnan(input: Tensor) -> Tensor:
    """It is not a number: bool"""

def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of x times all of y, side by side as x's elements are."""

def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesIndices:
    """(values, indices) of the k-th smallest along `dim`, k from 1; the first where several tie."""

def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """x 2^y"""

def le(input: Operand, other: Operand) -> Tensor:
    """x <= y: bool"""

def leaky_relu(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope x; the derivative at 0 is negative_slope"""

def lerp(input: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """x + weight (end - x): x at weight 0, `end` at 1, both exactly if the weight is a number"""

def lgamma(input: Tensor) -> Tensor:
    """log |Gamma(x)|, and Gamma(n) = (n - 1)!; inf at 0, -1, -2, ..."""

def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """input W^T + b: (..., in), (out, in), (out,) -> (..., out)."""

def linspace(start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` evenly spaced numbers from start to end, both included."""

def log(input: Tensor) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below, as in PyTorch (no warning)."""

def log10(input: Tensor) -> Tensor:
    """Logarithm to the base 10; -inf at 0, NaN below"""

def log1p(input: Tensor) -> Tensor:
    """log(1 + x), exact near 0; -inf at -1, NaN below"""

def log2(input: Tensor) -> Tensor:
    """Logarithm to the base 2, exact for powers of 2; -inf at 0, NaN below"""

def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """x - log sum e^x along `dim`; exact where softmax would be 0. RuntimeError for integers."""

def logaddexp(input: Operand, other: Operand) -> Tensor:
    """log(e^x + e^y), without overflow"""

def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """log sum e^x of all up to each, along `dim`: log2(n) times logaddexp, by doubling strides."""

def logdet(input: Tensor) -> Tensor:
    """log det of (..., n, n); NaN where the determinant is negative"""

def logical_and(input: Operand, other: Operand) -> Tensor:
    """Both are non-zero: bool"""

def logical_not(input: Tensor) -> Tensor:
    """It is zero: bool"""

def logical_or(input: Operand, other: Operand) -> Tensor:
    """At least one is non-zero: bool"""

def logical_xor(input: Operand, other: Operand) -> Tensor:
    """Exactly one is non-zero: bool"""

def logit(input: Tensor, eps: float | None = None) -> Tensor:
    """log(x / (1 - x)), the inverse of sigmoid; with eps, of x held within [eps, 1 - eps]"""

def logsumexp(input: Tensor, dim: Dim, keepdim: bool = False) -> Tensor:
    """log sum e^x over `dim`, shifted by the largest x so that nothing overflows."""

def lt(input: Operand, other: Operand) -> Tensor:
    """x < y: bool"""

def lu(A: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """(LU, pivots) of square matrices: U, and L below its diagonal, whose ones are not stored."""

def lu_unpack(LU_data: Tensor, LU_pivots: Tensor) -> PLU:
    """(P, L, U) with A = P L U, from lu(A)"""

def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """x with `value` where the mask is True, in x's dtype: integers take its integer part."""

def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """x with the first elements of the source, in C order, where the mask (bool) is True."""

def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements of x where the mask (bool, broadcast) is True, in C order as a 1-D tensor."""

def matmul(input: Tensor, other: Tensor) -> Tensor:
    """Matrix product over the last two dimensions, broadcast over the others; 1-D as in PyTorch."""

def max(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """max(x): the largest value. max(x, dim): (values, indices), the first where several tie."""

def maximum(input: Operand, other: Operand) -> Tensor:
    """The larger one; NaN wins, and at a tie each gets half of the gradient"""

def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Arithmetic mean over `dim`; NaN of nothing, RuntimeError for integers."""

def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle value, of two the lower; of all, where ties share the gradient evenly; or, along"""

def meshgrid(*tensors: Any, indexing: Literal['ij', 'xy'] = 'ij') -> tuple[Tensor, ...]:
    """A grid from 1-D tensors, or a list of them: out[k][i, j, ...] runs over tensors[k]."""

def min(input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """min(x), min(x, dim) and min(x, y): as for max."""

def minimum(input: Operand, other: Operand) -> Tensor:
    """The smaller one; NaN wins, and at a tie each gets half of the gradient"""

def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """Product of two matrices: (n, m) and (m, p) -> (n, p); nothing broadcasts."""

def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """Take dimension `source` out and put it in at `destination`, or several each; a view."""

def mul(input: Operand, other: Operand) -> Tensor:
    """x y, element by element; @ is the matrix product"""

def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None) -> Tensor:
    """Indices drawn in proportion to each row of non-negative weights, (n,) or (m, n)."""

def multiply(input: Operand, other: Operand) -> Tensor:
    """x y, element by element; @ is the matrix product"""

def mv(input: Tensor, vec: Tensor) -> Tensor:
    """Matrix times vector: (n, m) and (m) -> (n)."""

def nan_to_num(input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """`nan` for NaN, `posinf` for inf, `neginf` for -inf: else the dtype's largest and smallest."""

def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over `dim` of what is not NaN; NaN if nothing is left."""

def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over `dim` of what is not NaN; its gradient at NaN is 0."""

def narrow(input: Tensor, dim: int, start: int, length: int) -> Tensor:
    """`length` slices along `dim`, from `start`; a view."""

def ne(input: Operand, other: Operand) -> Tensor:
    """x != y: bool; true of NaN"""

def neg(input: Tensor) -> Tensor:
    """-x; integers of uint8 wrap around"""

def negative(input: Tensor) -> Tensor:
    """-x; integers of uint8 wrap around"""

def nonzero(input: Tensor) -> Tensor:
    """The indices of the non-zero elements, int64 (count, x.ndim), one row each."""

def norm(input: Tensor, p: Any = 2, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """(sum |x|^p)^(1/p); p = inf is the largest |x|, p = 0 counts what is not 0."""

def normal(mean: Any, std: Any, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Normal with the given mean and standard deviation, numbers or Tensors, which broadcast."""

def one_hot(input: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (..., num_classes): 1 at the class, else 0; -1 takes the largest class + 1."""

def ones(size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1, of the default dtype unless given: ones(2, 3) or ones((2, 3))."""

def ones_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 1, of the input's shape, dtype and device."""

def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """x_i y_j of two vectors: (n) and (m) -> (n, m)."""

def pad(input: Tensor, pad: Sequence[int], mode: str = 'constant', value: float = 0.0) -> Tensor:
    """Pad the last len(pad) / 2 dimensions; `pad` is (before, after) of the last one first."""

def permute(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """Dimension i of the output is dimension dims[i] of the input; a view."""

def polygamma(n: int, input: Tensor) -> Tensor:
    """The n-th derivative of digamma, n >= 0; RuntimeError for another n."""

def pow(input: Operand, exponent: Operand) -> Tensor:
    """x to the power y. The gradient of 0^y is 0 for y >= 0, and that of 0^0 for x too."""

def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Product over `dim`, by folding halves onto each other: right at any order, zeros or not."""

def quantile(input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = 'linear') -> Tensor:
    """The value below which a share q in [0, 1] of the elements lies: at place q (n - 1) in order."""

def rand(size: Any = (), *more: int, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform on [0, 1), from `generator` (the default one unless given); floating dtypes only."""

def rand_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Uniform on [0, 1), of the input's shape, dtype and device."""

def randint(low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None, dtype: Any = None, device: Any = None) -> Tensor:
    """Integers uniform on low..high - 1 (int64); randint(high, size) starts at 0."""

def randint_like(input: Tensor, low: int, high: int | None = None, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Integers uniform on low..high - 1 (from 0 with one bound), in the input's shape and dtype."""

def randn(size: Any = (), *more: int, generator: Generator | None = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Standard normal, of the given size; floating dtypes only."""

def randn_like(input: Tensor, *, generator: Generator | None = None, dtype: Any = None) -> Tensor:
    """Standard normal, of the input's shape, dtype and device."""

def randperm(n: int, *, generator: Generator | None = None, device: Any = None) -> Tensor:
    """A random order of 0..n - 1, int64 (n)."""

def ravel(input: Tensor) -> Tensor:
    """All elements as one dimension; a view if it can be."""

def reciprocal(input: Tensor) -> Tensor:
    """1 / x; inf at 0"""

def relu(input: Tensor) -> Tensor:
    """max(x, 0); the derivative at 0 is 0"""

def remainder(input: Operand, other: Operand) -> Tensor:
    """x - y floor(x / y): the sign is y's, as for Python's %. RuntimeError for an integer by 0."""

def repeat_interleave(input: Tensor, repeats: int | Tensor, dim: int | None = None) -> Tensor:
    """Each element (or each slice along `dim`) `repeats` times in a row: a number, or one for each."""

def reshape(input: Tensor, shape: Any = (), *more: int) -> Tensor:
    """The same elements, in C order, in another shape; one size may be -1. A view if it can be."""

def result_type(*operands: Any) -> DType:
    """PyTorch's promotion: tensors with dimensions first, then 0-d ones, then Python numbers."""

def roll(input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """Shift along dimensions; what falls off comes in at the other end. No dims: flattened."""

def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by k right angles, from the first of the two dimensions towards the second."""

def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """The nearest multiple of 10^-decimals; halves go to the even one, and the gradient is 0"""

def rsqrt(input: Tensor) -> Tensor:
    """1 / sqrt(x); inf at 0, NaN below"""

def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """x with, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; src (or value) may be a number."""

def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """x plus, for dim = 1, src[i][j][k] at [i][index[i][j][k]][k]; the adjoint of gather."""

def searchsorted(sorted_sequence: Tensor, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None, sorter: Tensor | None = None) -> Tensor:
    """Where each of the values would have to stand, so that the sequence stays in order."""

def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice `index` along `dim`, without that dimension; a view, as x[:, index]."""

def sigmoid(input: Tensor) -> Tensor:
    """1 / (1 + e^-x). An overflowing e^-x is a right answer here: 1 / inf = 0."""

def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1; of NaN it is NaN; the gradient is 0"""

def silu(input: Tensor) -> Tensor:
    """x sigmoid(x), also called swish (Ramachandran et al. 2017)"""

def sin(input: Tensor) -> Tensor:
    """Sine, x in radians"""

def sinc(input: Tensor) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0"""

def sinh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / 2"""

def slogdet(input: Tensor) -> Slogdet:
    """(sign, log |det|) of (..., n, n), without overflow; (0, -inf) for a singular matrix."""

def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """e^x / sum e^x along `dim`; the shape stays. RuntimeError for integers."""

def softplus(input: Tensor) -> Tensor:
    """log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which does not overflow"""

def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = True) -> ValuesIndices:
    """(values, indices) in order along `dim`; always stable."""

def split(tensor: Tensor, split_size: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Views of split_size slices each (the last may be smaller), or of the given sizes."""

def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """split, by a list of sizes"""

def sqrt(input: Tensor) -> Tensor:
    """Square root; NaN below 0, and at 0 the gradient is inf"""

def square(input: Tensor) -> Tensor:
    """x^2; of bools in int64"""

def squeeze(input: Tensor, dim: int | Sequence[int] | None = None) -> Tensor:
    """Drop dimensions of size 1: all, or those of `dim` (an int or several) that have size 1."""

def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Join along a new dimension, which is `dim`; all shapes must be equal."""

def std(input: Tensor, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, correction: int | None = None) -> Tensor:
    """Standard deviation, the root of var; its gradient at 0 is 0."""

def std_mean(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, correction: int | None = None) -> tuple[Tensor, Tensor]:
    """(std, mean) over `dim`; the arguments are those of std"""

def sub(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x - alpha y"""

def subtract(input: Operand, other: Operand, *, alpha: float = 1) -> Tensor:
    """x - alpha y"""

def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """Sum over `dim` (None: all, an int or several); bools and integers add up in int64."""

def t(input: Tensor) -> Tensor:
    """Matrix transpose of a tensor with at most two dimensions; a view."""

def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements of the flattened x at the index (integers), in the index's shape."""

def take_along_dim(input: Tensor, indices: Tensor, dim: int) -> Tensor:
    """NumPy's take_along_axis: gather with the other dimensions broadcast; `dim` must be given."""

def tan(input: Tensor) -> Tensor:
    """Tangent, x in radians"""

def tanh(input: Tensor) -> Tensor:
    """(e^x - e^-x) / (e^x + e^-x)"""

def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A new Tensor with a copy of `data`: numbers, nested lists, an array or a Tensor."""

def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views: n nearly equal ones, the larger first, or parted before each of the given indices."""

def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The product summed over `dims`: the last n dimensions of a with the first n of b, or two"""

def tile(input: Tensor, dims: Any = (), *more: int) -> Tensor:
    """NumPy's tile: as repeat, and fewer counts than dimensions are of the last ones."""

def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesIndices:
    """(values, indices) of the k largest (or smallest) along `dim`, always in order."""

def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal; of bools and integers in int64."""

def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Swap two dimensions; a view."""

def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of each matrix (..., n, m): 0 where column - row > diagonal."""

def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of each matrix (..., n, m): 0 where column - row < diagonal."""

def true_divide(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """x / y; of integers too it is the true quotient, and x / 0 is inf or NaN."""

def trunc(input: Tensor) -> Tensor:
    """x without its fraction, towards 0; the gradient is 0"""

def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along `dim`, without it; views."""

def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """Split one dimension into several of the given sizes; one may be -1."""

def unique(input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None) -> Any:
    """The different elements (along `dim`, the different slices), always in order."""

def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A new dimension of size 1 at `dim`: (A, B) becomes (A, 1, B) for dim = 1."""

def var(input: Tensor, dim: Dim = None, unbiased: bool | None = None, keepdim: bool = False, correction: int | None = None) -> Tensor:
    """Variance over `dim`: squared deviations summed, over n - correction (1 unless given)."""

def var_mean(input: Tensor, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, correction: int | None = None) -> tuple[Tensor, Tensor]:
    """(var, mean) over `dim`; the arguments are those of var"""

def vstack(tensors: Sequence[Tensor]) -> Tensor:
    """One below the other: cat along dimension 0, vectors as rows."""

@overload
def where(condition: Any) -> tuple[Tensor, ...]:
    """x where the condition holds, else y; with the condition alone, the indices where it holds"""

@overload
def where(condition: Any, input: Any, other: Any) -> Tensor:
    """x where the condition holds, else y; with the condition alone, the indices where it holds"""

def xlogy(input: Operand, other: Operand) -> Tensor:
    """x log y, and 0 where x = 0, whatever y is (but for NaN); there the gradients are finite too"""

def zeros(size: Any = (), *more: int, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0, of the default dtype unless given: zeros(2, 3) or zeros((2, 3))."""

def zeros_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """All 0, of the input's shape, dtype and device."""

__all__ = ['abs', 'absolute', 'acos', 'acosh', 'add', 'addcdiv', 'addcmul', 'addmm', 'addmv', 'addr', 'all', 'allclose', 'amax', 'amin', 'aminmax', 'any', 'arange', 'arccos', 'arccosh', 'arcsin', 'arcsinh', 'arctan', 'arctan2', 'arctanh', 'argmax', 'argmin', 'argsort', 'as_tensor', 'asin', 'asinh', 'atan', 'atan2', 'atanh', 'atleast_1d', 'atleast_2d', 'atleast_3d', 'baddbmm', 'bernoulli', 'bincount', 'bitwise_and', 'bitwise_not', 'bitwise_or', 'bitwise_xor', 'block_diag', 'bmm', 'broadcast_tensors', 'broadcast_to', 'bucketize', 'cat', 'cdist', 'ceil', 'cholesky', 'chunk', 'clamp', 'clamp_max', 'clamp_min', 'clip', 'clone', 'column_stack', 'concat', 'concatenate', 'copysign', 'cos', 'cosh', 'count_nonzero', 'cummax', 'cummin', 'cumprod', 'cumsum', 'det', 'diag', 'diag_embed', 'diagonal', 'diff', 'digamma', 'dist', 'div', 'divide', 'dot', 'dstack', 'einsum', 'elu', 'empty', 'empty_like', 'eq', 'equal', 'erf', 'erfc', 'erfinv', 'exp', 'exp2', 'expm1', 'eye', 'fix', 'flatten', 'flip', 'fliplr', 'flipud', 'float_power', 'floor', 'floor_divide', 'fmax', 'fmin', 'fmod', 'frac', 'from_numpy', 'full', 'full_like', 'gather', 'ge', 'gelu', 'ger', 'gt', 'hstack', 'hypot', 'index_add', 'index_copy', 'index_fill', 'index_put', 'index_select', 'inner', 'inverse', 'isclose', 'isfinite', 'isinf', 'isnan', 'kron', 'kthvalue', 'ldexp', 'le', 'leaky_relu', 'lerp', 'lgamma', 'linear', 'linspace', 'log', 'log10', 'log1p', 'log2', 'log_softmax', 'logaddexp', 'logcumsumexp', 'logdet', 'logical_and', 'logical_not', 'logical_or', 'logical_xor', 'logit', 'logsumexp', 'lt', 'lu', 'lu_unpack', 'masked_fill', 'masked_scatter', 'masked_select', 'matmul', 'max', 'maximum', 'mean', 'median', 'meshgrid', 'min', 'minimum', 'mm', 'movedim', 'mul', 'multinomial', 'multiply', 'mv', 'nan_to_num', 'nanmean', 'nansum', 'narrow', 'ne', 'neg', 'negative', 'nonzero', 'norm', 'normal', 'one_hot', 'ones', 'ones_like', 'outer', 'pad', 'permute', 'polygamma', 'pow', 'prod', 'quantile', 'rand', 'rand_like', 'randint', 'randint_like', 'randn', 'randn_like', 'randperm', 'ravel', 'reciprocal', 'relu', 'remainder', 'repeat_interleave', 'reshape', 'result_type', 'roll', 'rot90', 'round', 'rsqrt', 'scatter', 'scatter_add', 'searchsorted', 'select', 'sigmoid', 'sign', 'silu', 'sin', 'sinc', 'sinh', 'slogdet', 'softmax', 'softplus', 'sort', 'split', 'split_with_sizes', 'sqrt', 'square', 'squeeze', 'stack', 'std', 'std_mean', 'sub', 'subtract', 'sum', 't', 'take', 'take_along_dim', 'tan', 'tanh', 'tensor', 'tensor_split', 'tensordot', 'tile', 'topk', 'trace', 'transpose', 'tril', 'triu', 'true_divide', 'trunc', 'unbind', 'unflatten', 'unique', 'unsqueeze', 'var', 'var_mean', 'vstack', 'where', 'xlogy', 'zeros', 'zeros_like']

"""A stand-in for CuPy that computes on the host and is as strict as CuPy is: for testing
device="cuda" where there is no GPU.

Its `ndarray` is no numpy.ndarray. It refuses to become one (`np.asarray(x)`), to be mixed with
one, and everything that CuPy 14 does not have: functions by FUNCTIONS and UFUNCS, whose names and
parameters test_device_cuda.py compares with the real CuPy's where that is installed. As in CuPy,
results are never scalars, fresh memory is in C order (whatever the order of the inputs), and
integer indices that are out of bounds wrap around. Fresh memory is poisoned. Raw kernels run in
the emulator, through tinygen's own launch code.

WORK counts what a GPU would be given to do (kernels, products, copies, fills) and who waits for it.

It says nothing of what a GPU does: of speed, of rounding, of the order in which work ends.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
import types
from collections import Counter
from typing import Any

import numpy as np

from tinygen.cuda import source
from tinygen.cuda.emulator import HostModule

NO_CONVERSION = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a "
    "NumPy array explicitly."
)
UFUNCS = """
    abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_or
    bitwise_xor cbrt ceil copysign cos cosh divide equal exp exp2 expm1 fabs floor floor_divide
    fmax fmin fmod greater greater_equal heaviside hypot invert isfinite isinf isnan left_shift
    less less_equal log log10 log1p log2 logaddexp logical_and logical_not logical_or
    logical_xor maximum minimum multiply negative not_equal positive power reciprocal remainder
    right_shift rint sign signbit sin sinh sqrt square subtract tan tanh true_divide trunc
""".split()
# Where the real one has annotations, only the names and the defaults are repeated here.
FUNCTIONS = """
    all(a, axis=None, out=None, keepdims=False)
    any(a, axis=None, out=None, keepdims=False)
    amax(a, axis=None, out=None, keepdims=False)
    amin(a, axis=None, out=None, keepdims=False)
    max(a, axis=None, out=None, keepdims=False)
    min(a, axis=None, out=None, keepdims=False)
    sum(a, axis=None, dtype=None, out=None, keepdims=False)
    prod(a, axis=None, dtype=None, out=None, keepdims=False)
    mean(a, axis=None, dtype=None, out=None, keepdims=False)
    cumsum(a, axis=None, dtype=None, out=None)
    argmax(a, axis=None, dtype=None, out=None, keepdims=False)
    argmin(a, axis=None, dtype=None, out=None, keepdims=False)
    argsort(a, axis=-1, kind=None)
    sort(a, axis=-1, kind=None)
    nonzero(a)
    where(condition, x=None, y=None)
    clip(a, a_min, a_max, out=None)
    round(a, decimals=0, out=None)
    around(a, decimals=0, out=None)
    concatenate(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
    stack(tup, axis=0, out=None, *, dtype=None, casting='same_kind')
    squeeze(a, axis=None)
    flip(a, axis=None)
    roll(a, shift, axis=None)
    repeat(a, repeats, axis=None)
    tril(m, k=0)
    triu(m, k=0)
    broadcast_to(array, shape)
    transpose(a, axes=None)
    moveaxis(a, source, destination)
    swapaxes(a, axis1, axis2)
    reshape(a, newshape, order='C', *, copy=None)
    dot(a, b, out=None)
    einsum(*operands, **kwargs)
    copyto(dst, src, casting='same_kind', where=None)
    copy(a, order='K')
    zeros_like(a, dtype=None, order='K', subok=None, shape=None)
    ones_like(a, dtype=None, order='K', subok=None, shape=None)
    full_like(a, fill_value, dtype=None, order='K', subok=None, shape=None)
    empty_like(prototype, dtype=None, order='K', subok=None, shape=None)
    shape(a)
    ndim(a)
    size(a, axis=None)
    result_type(*arrays_and_dtypes)
    isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False)
    meshgrid(*xi, **kwargs)
    diagonal(a, offset=0, axis1=0, axis2=1)
    searchsorted(a, v, side='left', sorter=None)
    bincount(x, weights=None, minlength=None)
    unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, \
        equal_nan=True)
    broadcast_arrays(*args)
"""
LINALG = """
    inv(a)
    solve(a, b)
    det(a)
    slogdet(a)
    cholesky(a)
    qr(a, mode='reduced')
    eigh(a, UPLO='L')
    svd(a, full_matrices=True, compute_uv=True)
"""
VIEWS = """
    broadcast_to transpose moveaxis swapaxes squeeze flip diagonal broadcast_arrays shape ndim size
    result_type empty_like reshape
""".split()  # of TABLE; a reshape that copies counts as a copy
WORK: Counter[tuple[str, str]] = Counter()  # (kind, name): how often; kinds are KINDS
KINDS = ("launch", "copy", "fill", "upload", "sync")
KIND_OF = {"copy": "copy", "copyto": "copy", "zeros_like": "fill", "ones_like": "fill",
           "full_like": "fill", "zeros": "fill", "ones": "fill", "full": "fill"}  # fmt: skip
KEEPS_LAYOUT = {"copy", "zeros_like", "ones_like", "full_like", "empty_like"}
SCALARS = (bool, int, float, np.generic)
ADDABLE = ("int32", "uint32", "uint64", "float16", "float32", "float64")  # by atomicAdd


def signatures(text: str = FUNCTIONS) -> dict[str, inspect.Signature]:
    """FUNCTIONS or LINALG, parsed."""
    found: dict[str, Any] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        exec(f"def {line}: pass", found)
    return {name: inspect.signature(f) for name, f in found.items() if name != "__builtins__"}


def poison(shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """Fresh memory: NaN, or a large number."""
    array = np.empty(shape, dtype, order)
    array.fill(np.nan if array.dtype.kind == "f" else 77)
    return array


def did(name: str, kind: str = "launch") -> None:
    WORK[kind, name] += 1


def _root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _operand(x: Any, scalars: bool = True) -> Any:
    """The host array behind an argument; scalars as they are; host arrays are refused."""
    if isinstance(x, ndarray):
        return x._host
    if isinstance(x, np.ndarray) or not (scalars and isinstance(x, SCALARS)):
        raise TypeError(f"Unsupported type {type(x)}")
    return x


def _device(result: Any, *given: Any, layout: bool = False) -> Any:
    """A result on the "GPU": a view of one of the arguments, or fresh memory in C order."""
    if isinstance(result, (tuple, list)):
        return type(result)(_device(r, *given) for r in result)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    result = np.asarray(result)
    for x in given:
        if isinstance(x, ndarray) and _root(result) is _root(x._host):
            return ndarray._of(result, x if x.base is None else x.base)
    fresh = result.copy(order="K") if layout else np.array(result, order="C")
    return ndarray._of(fresh)


class Flags:
    """What CuPy's flags hold: there is no `writeable` among them."""

    def __init__(self, array: ndarray) -> None:
        flags = array._host.flags
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = array.base is None


class ndarray:  # noqa: N801  (CuPy's name)
    """A cupy.ndarray, as far as tinygen can tell."""

    __slots__ = ("_host", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, shape: Any, dtype: Any = float, order: str = "C") -> None:
        self._host, self.base = poison(shape, dtype, order), None

    @classmethod
    def _of(cls, host: np.ndarray, base: ndarray | None = None) -> ndarray:
        out = cls.__new__(cls)
        out._host, out.base = host, base
        return out

    shape = property(lambda self: self._host.shape)
    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    strides = property(lambda self: self._host.strides)
    flags = property(lambda self: Flags(self))
    T = property(lambda self: self.transpose())

    @property
    def data(self) -> Any:
        """A memory pointer, as good as CuPy's: its allocations start at multiples of 512, ours of
        16, which is as much as any kernel asks for."""
        return types.SimpleNamespace(ptr=self._host.ctypes.data)

    # --- to the host: only when asked for

    def get(self, stream: Any = None, order: str = "C") -> np.ndarray:
        did("get", "sync")
        return self._host.copy(order=order)

    def __array__(self, dtype: Any = None) -> Any:
        raise TypeError(NO_CONVERSION)

    def item(self) -> Any:
        did("item", "sync")
        return self._host.item()

    def tolist(self) -> Any:
        did("tolist", "sync")
        return self._host.tolist()

    def __bool__(self) -> bool:
        did("__bool__", "sync")
        return bool(self._host)

    def __int__(self) -> int:
        did("__int__", "sync")
        return int(self._host.item())

    def __float__(self) -> float:
        did("__float__", "sync")
        return float(self._host.item())

    def __format__(self, spec: str) -> str:
        return format(self._host[()] if self.ndim == 0 else self._host, spec)

    def __repr__(self) -> str:
        return repr(self._host)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # --- NumPy's two protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        did(ufunc.__name__)
        if ufunc.__name__ == "matmul" and method == "__call__" and not kwargs:
            return _device(ufunc(*(_operand(x, scalars=False) for x in inputs)))
        if ufunc.__name__ not in UFUNCS or method != "__call__":
            return NotImplemented
        (out,) = kwargs.pop("out", (None,))
        if set(kwargs) - {"dtype", "casting"}:
            raise TypeError(f"Wrong arguments {kwargs}")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError(f"return arrays must be of type ndarray, got {type(out)}")
        host = ufunc(*map(_operand, inputs), out=None if out is None else out._host, **kwargs)
        return _device(host) if out is None else out

    def __array_function__(self, func: Any, kinds: Any, args: Any, kwargs: Any) -> Any:
        tables = {"numpy": TABLE, "numpy.linalg": LINALG_TABLE}
        found = tables.get(func.__module__, {}).get(func.__name__)
        return NotImplemented if found is None else found(*args, **kwargs)

    # --- methods

    def __getitem__(self, key: Any) -> ndarray:
        plain, advanced = _key(self, key)
        found = self._host[plain]
        if advanced:
            did("take")
        return ndarray._of(np.array(found, order="C")) if advanced else _device(found, self)

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        if not isinstance(value, (ndarray, np.ndarray, *SCALARS)):
            raise TypeError(f"Unsupported type {type(value)}")
        did("set", "copy" if isinstance(value, ndarray) else "fill")
        self._host[_key(self, key)[0]] = value._host if isinstance(value, ndarray) else value

    def scatter_add(self, key: Any, value: Any) -> None:
        if self.dtype.name not in ADDABLE:
            raise TypeError(f"cupyx.scatter_add only supports {ADDABLE} as data type")
        did("scatter_add")
        np.add.at(self._host, _key(self, key)[0], _operand(value))

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        return self._looked_at("reshape", self._host.reshape(*shape, order=order))

    def transpose(self, *axes: Any) -> ndarray:
        return _device(self._host.transpose(*axes), self)

    def view(self, dtype: Any) -> ndarray:
        return _device(self._host.view(dtype), self)

    def ravel(self, order: str = "C") -> ndarray:
        return self._looked_at("ravel", self._host.ravel(order))

    def _looked_at(self, name: str, host: np.ndarray) -> ndarray:
        out = _device(host, self)
        if out.base is None:
            did(name, "copy")
        return out

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, copy: bool = True) -> Any:
        if not copy and self.dtype == dtype:
            return self
        did("astype", "copy")
        return ndarray._of(self._host.astype(dtype, order=order))

    def copy(self, order: str = "C") -> ndarray:
        did("copy", "copy")
        return ndarray._of(self._host.copy(order=order))

    def __copy__(self) -> ndarray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> ndarray:
        return self.copy()

    def fill(self, value: Any) -> None:
        self[...] = value

    def __getattr__(self, name: str) -> Any:
        methods = "sum prod mean max min any all argmax argmin argsort cumsum nonzero squeeze clip"
        if name not in methods.split():
            raise AttributeError(f"cupy.ndarray has no {name!r} (or the stand-in lacks it)")
        return functools.partial(TABLE[name], self)


ndarray.__module__ = "cupy"


def _key(x: ndarray, key: Any) -> tuple[Any, bool]:
    """The index for the host, integers out of bounds wrapped; is it an array's?"""
    parts, axis, advanced, plain = key if isinstance(key, tuple) else (key,), 0, False, []
    used = sum(p.ndim if getattr(p, "dtype", None) == np.bool_ else 1 for p in parts
               if p is not None and p is not Ellipsis)  # fmt: skip
    for p in parts:
        if isinstance(p, np.ndarray):
            raise TypeError("an index on the host: each use of it would be a copy to the GPU")
        if isinstance(p, list):
            p = ndarray._of(np.asarray(p))
        if isinstance(p, ndarray):
            advanced = True
            if p.dtype.kind not in "iub":
                raise IndexError("arrays used as indices must be of integer or boolean type.")
            size = x.shape[axis] if x.ndim else 0
            wraps = p.dtype.kind != "b" and size
            plain.append(p._host % size if wraps else p._host)
        else:
            plain.append(p)
        if p is Ellipsis:
            axis += x.ndim - used
        elif p is not None:
            axis += p.ndim if getattr(p, "dtype", None) == np.bool_ else 1
    if not any(p is Ellipsis for p in plain):
        plain.append(Ellipsis)  # x[0] of a vector is a view of 0 dimensions, not a number
    return tuple(plain), advanced


def _operators() -> None:
    names = "add sub mul truediv floordiv mod pow matmul and or xor lt le gt ge eq ne".split()
    numpy_names = "add subtract multiply divide floor_divide remainder power matmul bitwise_and \
        bitwise_or bitwise_xor less less_equal greater greater_equal equal not_equal".split()
    for name, numpy_name in zip(names, numpy_names, strict=True):
        ufunc = getattr(np, numpy_name)

        def method(self: ndarray, other: Any, ufunc: Any = ufunc) -> Any:
            if getattr(other, "__array_ufunc__", self) is None:
                return NotImplemented
            return ufunc(self, other)

        def reflected(self: ndarray, other: Any, ufunc: Any = ufunc) -> Any:
            return ufunc(other, self)

        def in_place(self: ndarray, other: Any, ufunc: Any = ufunc) -> Any:
            return ufunc(self, other, out=self)

        setattr(ndarray, f"__{name}__", method)
        if hasattr(operator, f"__i{name.strip('_')}__"):
            setattr(ndarray, f"__r{name}__", reflected)
            setattr(ndarray, f"__i{name}__", in_place)
    ndarray.__neg__ = lambda self: np.negative(self)  # type: ignore[attr-defined]
    ndarray.__abs__ = lambda self: np.absolute(self)  # type: ignore[attr-defined]
    ndarray.__invert__ = lambda self: np.invert(self)  # type: ignore[attr-defined]


_operators()


def _function(name: str, signature: inspect.Signature, module: Any = np) -> Any:
    """cupy.name: only these parameters, only device arrays among them."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}() {error}") from None
        given = [
            x for a in bound.arguments.values() for x in (a if type(a) in (tuple, list) else (a,))
        ]
        if any(isinstance(x, np.ndarray) for x in given):
            raise TypeError(f"Unsupported type {np.ndarray}")
        if name in ("concatenate", "stack") and not all(isinstance(x, ndarray) for x in args[0]):
            raise TypeError("Only cupy arrays can be concatenated")
        if kwargs.get("kind") not in (None, "stable"):
            raise ValueError("kind must be None or 'stable'")
        axis = bound.arguments.get("axis")
        if axis not in (None, ()) and isinstance(given[0], ndarray) and given[0].ndim == 0:
            raise np.exceptions.AxisError(f"axis {axis} is out of bounds for array of dimension 0")
        out = kwargs.get("out")
        if name not in VIEWS:
            did(name, KIND_OF.get(name, "launch"))
        result = getattr(module, name)(*_hosts(args), **_hosts(kwargs))
        result = tuple(result) if isinstance(result, tuple) else result  # a named one, too
        if name == "diagonal":  # NumPy's is read-only
            result.flags.writeable = True
        if name == "empty_like":
            result[...] = poison((), result.dtype)
        found = out if out is not None else _device(result, *given, layout=name in KEEPS_LAYOUT)
        if name == "reshape" and found.base is None:
            did(name, "copy")
        return found

    return call


def _hosts(x: Any) -> Any:
    if isinstance(x, ndarray):
        return x._host
    if type(x) in (tuple, list):
        return type(x)(_hosts(item) for item in x)
    drop = {"subok": None, "where": None}
    return (
        {k: _hosts(v) for k, v in x.items() if k not in drop or v is not None}
        if type(x) is dict
        else x
    )


TABLE = {name: _function(name, signature) for name, signature in signatures().items()}
LINALG_TABLE = {
    name: _function(name, signature, np.linalg) for name, signature in signatures(LINALG).items()
}


# --- the modules --------------------------------------------------------------------------------


class CompileException(Exception):  # noqa: N818
    pass


class OutOfMemoryError(MemoryError):
    pass


class RawModule:
    """Kernels of one .cu file, run by the emulator in plain mode."""

    def __init__(self, code: str, options: Any = (), name_expressions: Any = None) -> None:
        self.source = source.read(code.split('"')[1])
        self.names = tuple(name_expressions or self.source.kernels)

    def compile(self) -> None:
        self.module = HostModule(self.source, self.names, check=False, seed=None)

    def get_function(self, name: str) -> Any:
        signature = self.source.kernels[name.split("<")[0]]

        def launch(grid: Any, block: Any, args: Any, shared_mem: int = 0) -> None:
            for p, a in zip(signature.parameters, args, strict=True):
                null = isinstance(a, np.ndarray) and a.dtype == np.uint64 and not a
                assert p.pointer == (isinstance(a, ndarray) or null), f"{p.name}: {type(a)}"
            did(name)
            given = [a if isinstance(a, ndarray) or not p.pointer else None
                     for p, a in zip(signature.parameters, args, strict=True)]  # fmt: skip
            self.module.launch(name, signature, grid, block, _hosts(given), shared_mem)

        return launch


def array(obj: Any, dtype: Any = None, copy: bool = True, order: str = "K") -> ndarray:
    if isinstance(obj, ndarray):
        return obj if not copy and dtype in (None, obj.dtype) else obj.astype(dtype or obj.dtype)
    did("array", "upload")
    return ndarray._of(np.array(obj, dtype, order="C"))


def asarray(a: Any, dtype: Any = None, order: Any = None) -> ndarray:
    return array(a, dtype, copy=False)


def modules() -> dict[str, types.ModuleType]:
    """cupy and cupyx, for sys.modules."""
    made = {n: types.ModuleType(n) for n in ("cupy", "cupyx", "cupyx.scipy", "cupyx.scipy.special")}
    cupy = made["cupy"]
    vars(cupy).update(TABLE, ndarray=ndarray, array=array, asarray=asarray, RawModule=RawModule)
    vars(cupy).update({n: getattr(np, n) for n in UFUNCS})
    for name in ("zeros", "ones", "full", "eye", "arange", "linspace"):
        setattr(cupy, name, _created(getattr(np, name)))
    cupy.empty = lambda shape, dtype=float, order="C": ndarray(shape, dtype, order)
    cupy.asnumpy = lambda a: a.get()
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1, driverGetVersion=lambda: 12090, runtimeGetVersion=lambda: 12090,
        memGetInfo=lambda: (2**30, 2**33),
    )  # fmt: skip
    cupy.cuda = types.SimpleNamespace(
        is_available=lambda: True,
        runtime=runtime,
        compiler=types.SimpleNamespace(CompileException=CompileException),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        Device=lambda: types.SimpleNamespace(compute_capability="90"),
        get_current_stream=lambda: types.SimpleNamespace(synchronize=lambda: None),
    )
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(
        free_bytes=lambda: 2**20, used_bytes=lambda: 5
    )
    made["cupyx"].scatter_add = lambda a, slices, value: a.scatter_add(slices, value)
    for function in (math.erf, math.erfc):
        setattr(made["cupyx.scipy.special"], function.__name__, _special(function))
    return made


def _special(function: Any) -> Any:
    def call(x: ndarray) -> ndarray:
        did(function.__name__)
        values = np.vectorize(function, otypes=[x.dtype])
        return ndarray._of(values(x._host) if x.size else x._host.copy())

    return call


def _created(function: Any) -> Any:
    def create(*args: Any, **kwargs: Any) -> ndarray:
        if any(isinstance(a, np.ndarray) for a in args):
            raise TypeError(f"Unsupported type {np.ndarray}")
        did(function.__name__, KIND_OF.get(function.__name__, "launch"))
        return ndarray._of(function(*args, **kwargs))

    return create


def install(monkeypatch: Any) -> types.ModuleType:
    """Make `import cupy` find the stand-in, and tinygen find a GPU."""
    from tinygen import backend
    from tinygen.cuda import library

    made = modules()
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(backend, "cupy_packages", lambda: ["cupy-cuda12x 14.2.0"])
    monkeypatch.setattr(library, "_loaded", {})
    backend.problem.cache_clear()
    return made["cupy"]

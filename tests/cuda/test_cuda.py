"""The launch layer: what it reads from a .cu file, what it casts, what it refuses, and what it
says without a GPU."""

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen as tg
from tinygen import backend, cuda
from tinygen.cuda import convolution, gpu, source
from tinygen.nn import functional as F
from tinygen.testing import check_grads, sample

emulated_here = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the emulator needs Linux and g++ or clang++"
)
ROOT = Path(cuda.__file__).parents[2]
TEXT = """
struct Sizes { int n, m; float scale; long long total; };  // struct Other { int commented_out; };
/* extern "C" __global__ void not_a_kernel(float* y) { } */
extern "C" __global__ void __launch_bounds__(64) f(float* __restrict__ y, const float* x, int n,
float a, long long big,
                                                   unsigned char flag) {
    if (threadIdx.x < n) y[threadIdx.x] = a * x[threadIdx.x] + big + flag;
}
extern "C" __global__ void g(double* y, Sizes s) { y[0] = s.n + 10 * s.m + s.scale +
(double)s.total; } extern "C" __global__ void h(int* y, const float4* v) { y[0] = v[0].w; }
template <int N> __global__ void t(int* y) { y[0] = N; }
"""


@pytest.fixture
def k(tmp_path):
    if not cuda.emulator_available():
        pytest.skip("the emulator needs Linux and g++ or clang++")
    (tmp_path / "demo.cu").write_text(TEXT)
    return cuda.emulate(tmp_path / "demo.cu", instances=("t<7>",))


def zeros(n=4, dtype=np.float32):
    return np.zeros(n, dtype)


# ---- what the text says


def test_signatures():
    found = source.parse(TEXT)
    assert list(found) == ["f", "g", "h", "t"]
    f = found["f"]
    assert [p.dtype for p in f.parameters] == [
        np.float32,
        np.float32,
        np.int32,
        np.float32,
        np.int64,
        np.uint8,
    ]
    assert [p.pointer for p in f.parameters] == [True, True, False, False, False, False]
    assert [p.const for p in f.parameters][:2] == [False, True]
    assert (f.max_threads, f.extern_c, found["t"].template, found["h"].parameters[1].align) == (
        64,
        True,
        True,
        16,
    )
    assert found["g"].parameters[1].dtype.itemsize == 24  # as C lays it out: 3 x 4, 4 to pad, 8
    with pytest.raises(
        ValueError, match="parameter 'Unknown z' has a type the launch layer does not know"
    ):
        source.parse('extern "C" __global__ void f(Unknown z) {}')
    with pytest.raises(ValueError, match="no __global__ function found"):
        source.parse("void f() {}", "empty.cu")


def test_own_files_are_found_by_name_and_a_missing_one_is_named():
    assert source.read("conv2d.cu").path.name == "conv2d.cu"
    with pytest.raises(FileNotFoundError, match="no kernel file nothing.cu"):
        source.read("nothing.cu")


def test_kernels_are_found_in_an_installed_package_too(tmp_path, monkeypatch):
    package = tmp_path / "site" / "tinygen"
    (package / "cuda").mkdir(parents=True)
    monkeypatch.setattr(source, "__file__", str(package / "cuda" / "source.py"))
    with pytest.raises(FileNotFoundError, match="reinstall tinygen"):
        source.kernel_folder()
    (package / "kernels").mkdir()
    (package / "kernels" / "conv2d.cu").touch()
    assert source.kernel_folder() == package / "kernels"


# ---- launches


def test_numbers_are_cast_to_the_parameters_type(k):
    y, x = zeros(), np.arange(4, dtype=np.float32)
    k.f(1, 32, y, x, np.int64(4), 2, 2**33, 1)  # an int for a float, 64 bits for 32
    assert (y == np.float32(2 * x.astype(float) + 2**33 + 1)).all()
    out = zeros(1, np.float64)
    k.g(1, 1, out, (1, 2, 0.5, 2**40))
    assert out[0] == 21.5 + 2**40
    i = zeros(1, np.int32)
    k.h(1, 1, i, np.arange(4, dtype=np.float32))
    assert i[0] == 3
    k["t<7>"](1, 1, i)
    assert i[0] == 7
    assert dir(k) == ["f", "g", "h", "t<7>"]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            {0: zeros(4, np.float64)},
            TypeError,
            r"argument 'y' .*expected dtype float32, got float64",
        ),
        (
            {1: zeros(8)[::2]},
            ValueError,
            r"argument 'x' .*must be C-contiguous, has shape \(4,\) and strides \(8,\)",
        ),
        ({1: [1.0, 2.0]}, TypeError, "needs a NumPy array, got list"),
        ({2: 4.0}, TypeError, r"argument 'n' \(int\): expected an integer, got 4.0"),
        ({2: 2**31}, OverflowError, "2147483648 does not fit in int32"),
        ({3: "2"}, TypeError, "expected a number, got str"),
        ({3: zeros(2)}, TypeError, r"expected a number, got an array of shape \(2,\)"),
        ({5: 256}, OverflowError, "256 does not fit in uint8"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_by_name(k, change, error, message):
    args = [zeros(), zeros(), 4, 2.0, 0, 0]
    for i, value in change.items():
        args[i] = value
    with pytest.raises(error, match=message):
        k.f(1, 32, *args)


def test_sizes_past_the_limits_are_refused(k):
    args = [zeros(), zeros(), 4, 2.0, 0, 0]
    for grid in (0, 2**31, (1, 65536), (1, 1, 65536), (1, 1, 1, 1)):
        with pytest.raises(ValueError, match="kernel 'f': grid"):
            k.f(grid, 32, *args)
    with pytest.raises(ValueError, match="kernel 'f': block 1025"):
        k.f(1, 1025, *args)
    with pytest.raises(ValueError, match="65 threads a block, at most 64 allowed"):
        k.f(1, 65, *args)
    with pytest.raises(ValueError, match="1028 threads a block, at most 1024"):
        k.g(1, (257, 4), zeros(1, np.float64), (1, 1, 1, 1))
    with pytest.raises(ValueError, match="shared_mem=300000"):
        k.f(1, 32, *args, shared_mem=300000)
    with pytest.raises(TypeError, match=r"takes 6 arguments, got 2: f\(float\* __restrict__ y"):
        k.f(1, 32, *args[:2])
    with pytest.raises(TypeError, match=r"expected a tuple of 4 numbers \(n, m, scale, total\)"):
        k.g(1, 1, zeros(1, np.float64), (1, 2))
    read_only = zeros()
    read_only.flags.writeable = False
    with pytest.raises(ValueError, match="'y' .*read-only"):
        k.f(1, 32, read_only, *args[1:])
    k.f(1, 32, args[0], read_only, *args[2:])


@pytest.mark.parametrize(
    "value, error, message",
    [
        ((1.0, 2, 0.5, 3), TypeError, r"argument 's\.n' \(.*\): expected an integer, got 1.0"),
        ((1, 2, "3", 4), TypeError, r"argument 's\.scale' .*expected a number, got str"),
        ((2**31, 2, 0.5, 3), OverflowError, r"'s\.n' .*2147483648 does not fit in int32"),
        ((1, 2, 0.5, 3, 4), TypeError, "expected a tuple of 4 numbers"),
    ],
)
def test_wrong_members_of_a_struct_are_refused_by_name(k, value, error, message):
    with pytest.raises(error, match=message):
        k.g(1, 1, zeros(1, np.float64), value)


def test_a_struct_of_numpys_numbers_is_the_struct_of_pythons(k):
    out = zeros(2, np.float64)
    k.g(1, 1, out[:1], (1, 2, 0.3, 2**40))
    k.g(1, 1, out[1:], (np.int64(1), np.uint8(2), np.float64(0.3), np.int64(2**40)))
    assert out[0] == out[1] > 2**40


def test_a_name_that_is_no_kernel(k):
    with pytest.raises(AttributeError, match="demo.cu has no kernel 'q'; it has f, g, h, t<7>"):
        k.q(1, 1)
    with pytest.raises(ValueError, match=r"has no kernel 's<1>'; it has f, g, h, t"):
        cuda.emulate(k._source.path, instances=("s<1>",))


# ---- gradients of CPU tensors through the emulated kernels


WINDOWS = st.tuples(
    st.integers(1, 2), st.integers(0, 1), st.integers(1, 2), st.sampled_from([1, 2])
)


@emulated_here
@settings(max_examples=6, deadline=None)
@given(WINDOWS, st.integers(0, 99))
def test_second_order_gradients_through_the_emulated_kernels(window, seed):
    stride, padding, dilation, groups = window
    rng = np.random.default_rng(seed)
    x = tg.tensor(rng.standard_normal((2, 2 * groups, 5, 6)), requires_grad=True)
    w = tg.tensor(rng.standard_normal((2 * groups, 2, 2, 3)), requires_grad=True)
    u = tg.tensor(rng.standard_normal((2 * groups, 2, 2, 3)), requires_grad=True)
    with cuda.emulated():
        check_grads(
            lambda x, w: F.conv2d(x, w, None, stride, padding, dilation, groups), x, w, order=2
        )
        check_grads(
            lambda x, w: F.conv_transpose2d(x, w, None, stride, 0, 0, groups, dilation),
            x,
            u,
            order=2,
        )


@emulated_here
@pytest.mark.parametrize("sizes", [(4, 8, 4), (1, 8, 1), (3, 5, 2)])
def test_a_gradient_penalty_through_the_fast_kernels_equals_numpys(sizes):
    """WGAN-GP's second derivative in float32: every kernel serves as forward, gradient and
    gradient of gradient."""

    def penalty():
        a, b, c = sizes
        rng = np.random.default_rng(1)
        x = tg.tensor(rng.standard_normal((2, a, 8, 8)), dtype=tg.float32, requires_grad=True)
        w = tg.tensor(rng.standard_normal((b, a, 3, 3)) / 3, dtype=tg.float32, requires_grad=True)
        v = tg.tensor(rng.standard_normal((b, c, 4, 4)) / 4, dtype=tg.float32, requires_grad=True)
        h = F.conv_transpose2d(F.conv2d(x, w, None, 2, 1).tanh(), v, None, 2, 1)
        (g,) = tg.autograd.grad(h.tanh().sum(), [x], create_graph=True)
        return [
            d.numpy()
            for d in tg.autograd.grad(
                ((g * g).sum((1, 2, 3)).sqrt() - 1).square().mean(), [x, w, v]
            )
        ]

    expected = penalty()
    with cuda.emulated():
        found = penalty()
    for e, f in zip(expected, found, strict=True):
        np.testing.assert_allclose(f, e, rtol=1e-4, atol=1e-5 * np.abs(e).max())


@emulated_here
def test_only_within_emulated_do_cpu_tensors_run_on_kernels():
    x = zeros()
    assert not cuda.uses_kernels(x)
    with pytest.raises(ZeroDivisionError), cuda.emulated():
        assert cuda.uses_kernels(x)
        raise ZeroDivisionError
    assert not cuda.uses_kernels(x)


@emulated_here
def test_half_precision_goes_through_float32():
    x, w = (sample(shape, 1).astype(np.float16) for shape in ((1, 4, 4, 4), (4, 4, 3, 3)))
    numbers = ((1, 1), (1, 1), (1, 1), 1)
    for f, more in ((cuda.conv2d, ()), (cuda.conv_transpose2d, ((0, 0),))):
        exact = f(x.astype(np.float32), w.astype(np.float32), *numbers, *more)
        out = f(x, w, *numbers, *more)
        assert out.dtype == np.float16 and np.array_equal(out, exact.astype(np.float16))
    exact = cuda.conv2d_weight(x.astype(np.float32), x.astype(np.float32), (3, 3), *numbers)
    out = cuda.conv2d_weight(x, x, (3, 3), *numbers)
    assert out.dtype == np.float16 and np.array_equal(out, exact.astype(np.float16))


# ---- without a GPU, and with a CuPy that only remembers what it was told


def without(code):
    """Run in a fresh interpreter in which CuPy is not installed."""
    block = """
import sys, importlib.metadata as m
sys.modules["cupy"] = None
def gone(name): raise m.PackageNotFoundError(name)
m.version = gone
"""
    subprocess.run(
        [sys.executable, "-c", block + code], env={"PYTHONPATH": str(ROOT), "PATH": ""}, check=True
    )


def test_without_cupy():
    without("""
from tinygen import cuda
assert not cuda.is_available()
assert cuda.problem().startswith("CuPy is not installed: pip install 'tinygen[cuda12]'")
for call in (cuda.synchronize, cuda.memory_allocated, lambda: cuda.load("conv2d.cu")):
    try:
        call()
    except RuntimeError as e:
        assert "CuPy is not installed" in str(e)
    else:
        raise AssertionError(call)
""")


def test_importing_tinygen_cuda_imports_no_cupy():
    heavy = "{'cupy', 'torch', 'matplotlib', 'hypothesis'}"
    code = f"import sys, tinygen.cuda; assert not {heavy} & set(sys.modules)"
    subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT), "PATH": ""}, check=True
    )


class FakeKernel:
    def __init__(self):
        self.calls, self.max_dynamic_shared_size_bytes = [], 0

    def __call__(self, grid, block, args, shared_mem=0):
        self.calls.append((grid, block, args, shared_mem))


@pytest.fixture
def fake_cupy(monkeypatch):
    """A module named cupy with as much of its interface as gpu.py uses."""
    cupy = types.ModuleType("cupy")

    class CompileException(Exception):
        pass

    class RawModule:
        def __init__(self, code, options, name_expressions):
            self.code, self.names, self.kernels = code, name_expressions, {}

        def compile(self):
            if "syntax error" in self.code:
                raise CompileException("demo.cu(3): error: identifier undefined")

        def get_function(self, name):
            return self.kernels.setdefault(name, FakeKernel())

    class ndarray(np.ndarray):
        data = types.SimpleNamespace(ptr=512)

    ndarray.__module__ = "cupy"
    cupy.RawModule, cupy.ndarray = RawModule, ndarray
    runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        driverGetVersion=lambda: 11080,
        runtimeGetVersion=lambda: 12090,
        memGetInfo=lambda: (2**30, 2**33),
    )
    compiler = types.SimpleNamespace(CompileException=CompileException)
    cupy.cuda = types.SimpleNamespace(runtime=runtime, compiler=compiler)
    cupy.get_default_memory_pool = lambda: types.SimpleNamespace(
        free_bytes=lambda: 2**20, used_bytes=lambda: 5
    )
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(backend, "cupy_packages", lambda: ["cupy-cuda12x 14.2.0"])
    gpu.problem.cache_clear()
    yield cupy
    gpu.problem.cache_clear()


def gpu_array(cupy, n, dtype=np.float32):
    return np.zeros(n, dtype).view(cupy.ndarray)


def test_what_reaches_cupy_is_typed(fake_cupy, tmp_path):
    (tmp_path / "demo.cu").write_text(TEXT)
    k = cuda.load(tmp_path / "demo.cu", instances=("t<7>",))
    assert k._module.module.code.startswith('#line 1 "demo.cu"\n')
    assert k._module.module.names == ("f", "g", "h", "t<7>")
    y, x = gpu_array(fake_cupy, 4), gpu_array(fake_cupy, 4)
    k.f((2, 3), 32, y, x, 4, 2, 5, 1, shared_mem=60000)
    function = k._module.functions["f"]
    ((grid, block, args, shared),) = function.calls
    assert (grid, block, shared, function.max_dynamic_shared_size_bytes) == (
        (2, 3, 1),
        (32, 1, 1),
        60000,
        60000,
    )
    assert args[0] is y and [(a.dtype, a.shape) for a in args[2:]] == [
        (np.int32, ()),
        (np.float32, ()),
        (np.int64, ()),
        (np.uint8, ()),
    ]
    with pytest.raises(
        TypeError,
        match=r"'y' .*runs on the GPU and needs a CuPy array, got ndarray; move it by .cuda\(\)",
    ):
        k.f(1, 32, zeros(), x, 4, 2, 5, 1)
    fake_cupy.ndarray.data = types.SimpleNamespace(ptr=516)
    with pytest.raises(ValueError, match="'v' .*must start at a multiple of 16 bytes"):
        k.h(1, 1, gpu_array(fake_cupy, 1, np.int32), gpu_array(fake_cupy, 4))


def test_a_file_that_does_not_compile_gives_the_compilers_message(fake_cupy, tmp_path):
    (tmp_path / "demo.cu").write_text(TEXT + "// syntax error")
    with pytest.raises(RuntimeError, match=r"(?s)demo.cu does not compile:.*demo\.cu\(3\): error"):
        cuda.load(tmp_path / "demo.cu")


def test_out_of_memory_says_how_much_was_asked_and_is_free(fake_cupy):
    class OutOfMemoryError(MemoryError):
        pass

    asked = OutOfMemoryError(
        "Out of memory allocating 3,221,225,472 bytes (allocated so far: 0 bytes)."
    )
    message = "asked for 3,072.0 MiB; 1,024.0 MiB of 8,192.0 MiB are free on the GPU and 1.0 MiB in"
    with pytest.raises(RuntimeError, match=message), cuda.explained():
        raise asked


def test_no_nvrtc_says_what_to_install(fake_cupy):
    with pytest.raises(RuntimeError, match="NVRTC not found: pip install"), cuda.explained():
        raise ImportError("libnvrtc.so.12: cannot open shared object file")

    class DynamicLibNotFoundError(RuntimeError):  # CuPy 14's, from cuda-pathfinder
        pass

    with pytest.raises(RuntimeError, match="NVRTC not found: pip install"), cuda.explained():
        raise DynamicLibNotFoundError('Failure finding "libnvrtc.so"')


def test_two_cupy_packages_and_an_old_driver(fake_cupy, monkeypatch):
    def too_old():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient")

    fake_cupy.cuda.runtime.getDeviceCount = too_old
    assert "driver supports CUDA 11.8, cupy-cuda12x 14.2.0 needs 12.9" in gpu.problem()
    gpu.problem.cache_clear()
    fake_cupy.cuda.runtime.driverGetVersion = lambda: 0
    assert gpu.problem().startswith("no usable GPU: driver not found")
    gpu.problem.cache_clear()
    monkeypatch.setattr(
        backend, "cupy_packages", lambda: ["cupy-cuda12x 14.2.0", "cupy-cuda13x 14.2.0"]
    )
    assert "are both installed and exclude each other" in gpu.problem()


def test_tf32_needs_a_gpu_that_has_it(fake_cupy):
    fake_cupy.cuda.Device = lambda: types.SimpleNamespace(compute_capability="75")
    assert not convolution._tf32_here(gpu_array(fake_cupy, 1), True)
    fake_cupy.cuda.Device = lambda: types.SimpleNamespace(compute_capability="90")
    assert convolution._tf32_here(gpu_array(fake_cupy, 1), True)
    assert not convolution._tf32_here(gpu_array(fake_cupy, 1), False)

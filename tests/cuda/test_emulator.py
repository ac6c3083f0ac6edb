"""The emulator: unedited CUDA runs, and every planted bug is caught before it happens, at the
right line."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tinygen import cuda
from tinygen.cuda import compiler

pytestmark = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the kernel emulator needs Linux and g++ or clang++"
)
FOLDER = Path(__file__).parent / "kernels"
PLANTED = sorted(FOLDER.glob("*.cu"))


def planted(path):
    """The launch sizes, and for each marked line the failures that may be reported there."""
    text = path.read_text()
    sizes = [int(n) for n in re.search(r"// launch: (\d+) (\d+) (\d+)", text).groups()]
    lines = enumerate(text.splitlines(), 1)
    return sizes, {
        i: m[1].split(", ") for i, line in lines if (m := re.search(r"// BUG: (.*)", line))
    }


def launch(path, kernel, seed, check=True):
    (grid, block, shared), _ = planted(path)
    x, y = (
        np.random.default_rng(0).standard_normal(128).astype(np.float32),
        np.zeros(128, np.float32),
    )
    k = cuda.emulate(path, check=check, seed=seed)
    k[kernel](grid, block, y, x, 128, shared_mem=shared)
    return y


def test_there_are_a_dozen_planted_bugs():
    assert len(PLANTED) >= 12


@pytest.mark.parametrize("path", PLANTED, ids=lambda p: p.stem)
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_planted_bug_is_caught_at_its_line(path, seed):
    with pytest.raises(cuda.KernelError) as caught:
        launch(path, "wrong", seed)
    e, (_, marked) = caught.value, planted(path)
    assert e.line in marked and e.kind in marked[e.line], str(e)
    assert str(e).startswith(
        f"{path.name}:{e.line}: {e.kind} in kernel 'wrong': block {e.block} thread {e.thread}"
    )


@pytest.mark.parametrize("path", PLANTED, ids=lambda p: p.stem)
def test_the_right_version_passes_and_thread_order_does_not_matter(path):
    first = launch(path, "right", None)
    assert np.isfinite(first).all() and first.any()
    for seed in range(3):
        np.testing.assert_allclose(launch(path, "right", seed), first, rtol=1e-5)


def test_unchecked_kernels_compute_the_same():
    path = FOLDER / "tree_without_barrier.cu"
    np.testing.assert_array_equal(launch(path, "right", 0, check=False), launch(path, "right", 0))


def compiled(tmp_path, text, name="kernel.cu", **options):
    (tmp_path / name).write_text(text)
    return cuda.emulate(tmp_path / name, **options)


def test_the_bad_store_never_happens(tmp_path):
    k = compiled(tmp_path, 'extern "C" __global__ void f(float* y, int i) { y[i] = 7; }')
    whole = np.zeros(12, np.float32)
    with pytest.raises(
        cuda.KernelError, match=r"writes 4 bytes of argument 'y' 0 bytes past its end \(it has 16\)"
    ):
        k.f(1, 1, whole[4:8], 4)
    with pytest.raises(cuda.KernelError, match=r"4 bytes before its start"):
        k.f(1, 1, whole[4:8], -1)
    assert not whole.any()
    k.f(1, 1, whole[4:8], 3)
    assert whole[7] == 7


def test_a_wild_pointer_and_another_threads_local_array_are_out_of_bounds(tmp_path):
    k = compiled(
        tmp_path,
        """
extern "C" __global__ void wild(float* y) { *(float*)64 = y[0]; }
extern "C" __global__ void local(float* y, int n) {
    __shared__ float* address;
    float mine[8];
    for (int i = 0; i < n; ++i) mine[i] = y[i];
    if (threadIdx.x == 0) address = mine;
    __syncthreads();
    y[threadIdx.x] = address[n - 1];
}""",
    )
    with pytest.raises(cuda.KernelError, match="in no array given to the kernel"):
        k.wild(1, 1, np.zeros(4, np.float32))
    with pytest.raises(cuda.KernelError, match="out of bounds"):
        k.local(1, 2, np.zeros(8, np.float32), 8)


def test_bytes_are_watched_one_by_one(tmp_path):
    k = compiled(
        tmp_path,
        """
extern "C" __global__ void each(unsigned char* y) { y[threadIdx.x] = threadIdx.x; }
extern "C" __global__ void one(unsigned char* y) { y[threadIdx.x / 2] = threadIdx.x; }""",
    )
    y = np.zeros(64, np.uint8)
    k.each(1, 64, y)
    assert (y == np.arange(64)).all()
    with pytest.raises(cuda.KernelError, match="data race"):
        k.one(1, 64, y)


def test_race_between_blocks_names_both_blocks(tmp_path):
    k = compiled(
        tmp_path, 'extern "C" __global__ void f(float* y) { y[0] = blockIdx.x; }', seed=None
    )
    with pytest.raises(
        cuda.KernelError,
        match=r"block \(1, 0, 0\).*block \(0, 0, 0\) thread \(0, 0, 0\) wrote at line 1",
    ):
        k.f(2, 1, np.zeros(1, np.float32))


def test_syncwarp_orders_a_warp_and_nothing_else(tmp_path):
    k = compiled(
        tmp_path,
        """
extern "C" __global__ void f(float* y, int shift) {
    __shared__ float tile[64];
    tile[threadIdx.x] = threadIdx.x;
    __syncwarp();
    y[threadIdx.x] = tile[(threadIdx.x + shift) % 64];
}""",
    )
    y = np.zeros(64, np.float32)
    k.f(1, 64, y, 0)
    with pytest.raises(cuda.KernelError, match="data race|uninitialised"):
        k.f(1, 64, y, 1)
    k2 = compiled(
        tmp_path,
        """
extern "C" __global__ void f(float* y) {
    __shared__ float tile[32];
    tile[threadIdx.x] = threadIdx.x;
    __syncwarp();
    y[threadIdx.x] = tile[31 - threadIdx.x];
}""",
        "warp.cu",
    )
    k2.f(1, 32, y)
    assert (y[:32] == np.arange(31, -1, -1)).all()


def test_shared_memory_starts_as_nan_without_check(tmp_path):
    k = compiled(
        tmp_path,
        """
extern "C" __global__ void f(float* y) { __shared__ float t[4]; if (y[0] > 9) t[0] = 1; y[0] =
t[0]; }""",
        check=False,
    )
    y = np.zeros(1, np.float32)
    k.f(1, 1, y)
    assert np.isnan(y[0])


def test_templates_vectors_atomics_warps_and_three_dimensions(tmp_path):
    k = compiled(
        tmp_path,
        """
template <int N> __global__ void scale(float* y) { y[threadIdx.x] *= N; }
extern "C" __global__ void index(int* y) {
    int i = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    y[b * blockDim.x * blockDim.y * blockDim.z + i] = 100 * threadIdx.z + 10 * threadIdx.y +
    threadIdx.x + 1000 * blockIdx.z;
}
extern "C" __global__ void warp(unsigned* y, int* best) {
    __shared__ float4 rows[8];
    if (threadIdx.x < 8) rows[threadIdx.x] = make_float4(1, 2, 3, 4);
    unsigned odd = __ballot_sync(0xffffffff, threadIdx.x % 2);
    int up = __shfl_up_sync(0xffffffff, (int)threadIdx.x, 1), first = __shfl_sync(0xffffffff,
    (int)threadIdx.x, 0, 8); y[threadIdx.x] = odd + up + 100 * first; atomicMax(best,
    (int)threadIdx.x * 3);
}""",
        instances=("scale<4>",),
    )
    y = np.ones(32, np.float32)
    k["scale<4>"](1, 32, y)
    assert (y == 4).all()
    i = np.zeros((2, 3, 4, 2, 3), np.int32)
    k.index((1, 3, 2), (3, 2, 4), i)
    z, _, c, b, a = np.indices((2, 3, 4, 2, 3))
    assert (i == 1000 * z + 100 * c + 10 * b + a).all()
    u, best, t = np.zeros(32, np.uint32), np.zeros(1, np.int32), np.arange(32)
    k.warp(1, 32, u, best)
    assert (u == 0xAAAAAAAA + np.maximum(t - 1, 0) + 100 * (t // 8 * 8)).all() and best[0] == 93


def test_tensor_core_instruction_is_a_matrix_product(tmp_path):
    k = compiled(
        tmp_path,
        """
extern "C" __global__ void mma(float* d, const float* a, const float* b) {
    int r = threadIdx.x / 4, q = threadIdx.x % 4;
    float c[4] = {1, 1, 1, 1};
    unsigned A[4], B[2];
    for (int i = 0; i < 4; ++i)
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(A[i]) : "f"(a[(r + i % 2 * 8) * 8 + q + i / 2 * 4]));
    for (int i = 0; i < 2; ++i)
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(B[i]) : "f"(b[(q + 4 * i) * 8 + r]));
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, "
        "{%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(A[0]), "r"(A[1]), "r"(A[2]), "r"(A[3]), "r"(B[0]), "r"(B[1]));
    for (int i = 0; i < 4; ++i) d[(r + i / 2 * 8) * 8 + 2 * q + i % 2] = c[i];
}""",
    )
    rng = np.random.default_rng(0)
    a, b, d = (rng.standard_normal(s).astype(np.float32) for s in ((16, 8), (8, 8), (16, 8)))
    k.mma(1, 32, d, a, b)
    error = np.abs(d - (1 + a.astype(float) @ b)).max()
    assert (
        1e-5 < error < 2**-10 * 8 * np.abs(a).max() * np.abs(b).max()
    )  # TF32, neither better nor worse
    small = np.round(a * 8) / 8, np.round(b * 8) / 8  # exact in 10 bits
    k.mma(1, 32, d, *(s.astype(np.float32) for s in small))
    np.testing.assert_allclose(d, 1 + small[0].astype(float) @ small[1], rtol=1e-6, atol=1e-6)


def test_arguments_that_share_memory_still_share_it(tmp_path):
    k = compiled(
        tmp_path,
        'extern "C" __global__ void f(float* y, const float* x) {'
        " y[threadIdx.x] = x[threadIdx.x] + 1; }",
    )
    a = np.arange(8, dtype=np.float32)
    k.f(1, 8, a, a)
    assert (a == np.arange(8) + 1).all()
    with pytest.raises(cuda.KernelError, match="data race"):
        k.f(1, 7, a[:7], a[1:])


def test_a_syntax_error_names_the_files_own_line(tmp_path):
    with pytest.raises(
        RuntimeError, match=r"(?s)bad.cu does not compile.*bad\.cu:3:.*undeclared_name"
    ):
        compiled(
            tmp_path,
            '\nextern "C" __global__ void f(float* y) {\n    y[0] = undeclared_name;\n}\n',
            "bad.cu",
        )


HEADER = """\
__device__ void leave(float* tile, float x) {
    tile[0] = x;
}
__device__ void meet() { __syncthreads(); }
"""
KERNELS = """\
#include "meet.cuh"
extern "C" __global__ void race(float* y) {
    __shared__ float tile[1];
    if (threadIdx.x == 0) leave(tile, 1);
    if (threadIdx.x == 1) y[0] = tile[0];
}
extern "C" __global__ void ahead(float* y) {
    __shared__ float tile[1];
    if (threadIdx.x == 0) tile[0] = y[0];
    if (threadIdx.x == 1) leave(tile, 1);
}
extern "C" __global__ void barriers(float* y) {
    if (threadIdx.x == 0) meet();
    if (threadIdx.x == 1) __syncthreads();
}
#line 4
extern "C" __global__ void same_number(float* y) { threadIdx.x ? __syncthreads() : meet(); }
"""


@pytest.mark.parametrize(
    "kernel, file, line, said",
    [
        ("race", "meet.cu", 5, "of the same block wrote at meet.cuh:2: no barrier"),
        ("ahead", "meet.cuh", 2, "of the same block wrote at meet.cu:9: no barrier"),
        ("barriers", "meet.cuh", 4, "but thread (1, 0, 0) waits at meet.cu:14"),
        ("same_number", "meet.cuh", 4, "but thread (1, 0, 0) waits at meet.cu:4"),
    ],
)
def test_a_report_names_the_header_where_it_happened(tmp_path, kernel, file, line, said):
    (tmp_path / "meet.cuh").write_text(HEADER)
    k = compiled(tmp_path, KERNELS, "meet.cu", seed=None)
    with pytest.raises(cuda.KernelError) as caught:
        k[kernel](1, 2, np.zeros(1, np.float32))
    e, text = caught.value, (tmp_path / file).read_text().splitlines()[line - 1].strip()
    assert (e.file, e.line) == (file, line) and str(e).startswith(f"{file}:{line}: ")
    assert said in str(e) and str(e).endswith(f"\n  {line} | {text}")


def test_without_a_compiler_the_message_says_what_to_install():
    code = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *a: None if name == "ziglang" else find(name, *a)
from tinygen import cuda
assert not cuda.emulator_available()
try:
    cuda.emulate("conv2d.cu")
except RuntimeError as e:
    assert "needs a C++ compiler and found none" in str(e) and "apt install g++" in str(e), e
else:
    raise AssertionError("no error")
"""
    root = Path(cuda.__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", code], env={"PATH": "/nowhere", "PYTHONPATH": str(root)}, check=True
    )


def test_libraries_are_cached_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGEN_CACHE", str(tmp_path / "cache"))
    text = 'extern "C" __global__ void f(float* y) { y[0] = %d; }'
    paths = {compiled(tmp_path, text % n, f"a{n}.cu")._module.path for n in (1, 2, 1)}
    assert len(paths) == 2 and all(tmp_path in p.parents for p in paths)
    again = compiled(tmp_path, text % 1, "a1.cu")._module.path
    assert again in paths and len(list((tmp_path / "cache" / "emulator").glob("a*.so"))) == 2


def test_ucontext_fibers_run_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "EXTRA_FLAGS", ["-DEMU_UCONTEXT"])
    path = FOLDER / "double_buffer.cu"
    np.testing.assert_allclose(launch(path, "right", 0), launch(path, "right", None))
    with pytest.raises(cuda.KernelError, match="data race"):
        launch(path, "wrong", 0)


def test_launches_from_several_threads_wait_for_each_other():
    """Autograd computes two gradients at the same time; the emulated GPU is one."""
    x = np.random.default_rng(0).standard_normal((2, 40, 300)).astype(np.float32)

    def moments(_):
        return np.stack(cuda.fused.moments(x, 40, True, 1e-5))

    first = moments(0)
    with ThreadPoolExecutor(4) as pool:
        assert all((found == first).all() for found in pool.map(moments, range(24)))

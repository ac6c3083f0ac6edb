"""The kernels through NVIDIA's own compilers: no spills, no local memory, tensor cores where
they should be."""

import re
import shutil
import subprocess

import pytest

from tinygen.cuda import nvrtc, source

needs_nvrtc = pytest.mark.skipif(
    nvrtc.library() is None, reason="NVRTC not installed: pip install nvidia-cuda-nvrtc-cu12"
)
needs_nvdisasm = pytest.mark.skipif(
    nvrtc.disassembler() is None, reason="nvdisasm not installed: pip install nvidia-cuda-nvdisasm"
)
needs_nvcc = pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc not installed")
FILES = (
    "conv2d.cu",
    "conv_transpose2d.cu",
    "conv2d_weight.cu",
    "channel_norm.cu",
    "activations.cu",
    "adam.cu",
    "philox.cu",
)
CONVOLUTIONS = FILES[:3]


def compiled(file, arch):
    return nvrtc.compile_cubin(source.read(source.kernel_folder() / file).text, arch, file)


def test_every_kernel_file_is_here():
    assert {p.name for p in source.kernel_folder().glob("*.cu")} == set(FILES)
    assert {p.name for p in source.kernel_folder().glob("*.cuh")} == {"tile.cuh"}


@needs_nvrtc
@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("file", FILES)
def test_nvrtc_compiles_without_spills_or_local_memory(file, arch):
    _, log = compiled(file, arch)
    found = nvrtc.resources(log)
    assert set(found) == set(source.read(source.kernel_folder() / file).kernels)
    for name, r in found.items():
        assert (r.spilled, r.stack) == (0, 0), f"{name} on sm_{arch}: {r}"
        assert r.shared <= 48 * 1024 and 0 < r.registers <= 168, f"{name} on sm_{arch}: {r}"
    assert "warning" not in log


@needs_nvrtc
@needs_nvdisasm
@pytest.mark.parametrize("arch", [80, 90])
@pytest.mark.parametrize("file", CONVOLUTIONS)
def test_machine_code_of_the_fast_kernels(file, arch):
    code = nvrtc.machine_code(compiled(file, arch)[0])
    for name, sass in code.items():
        tensor, copies = (
            sass.count("HMMA.1688.F32.TF32"),
            len(re.findall(r"LDGSTS\.E[.\w]*\.128", sass)),
        )
        assert (tensor >= 32, copies > 0) == (("tf32" in name),) * 2, (
            f"{name}: {tensor} HMMA, {copies} LDGSTS.128"
        )
        if "gemm" in name:
            wide = "LDG.E.128" in sass, "STG.E.128" in sass
            assert wide == ("any" not in name,) * 2, f"{name}: 16-byte loads, stores: {wide}"
            assert "LDS.128" in sass
        assert not re.search(r"\b(LDL|STL|RED|ATOM)", sass), f"{name} uses local memory or atomics"


@needs_nvrtc
@needs_nvdisasm
@pytest.mark.parametrize("file", sorted(set(FILES) - set(CONVOLUTIONS)))
def test_machine_code_of_the_fused_kernels(file):
    """One load from memory for each number, no local memory, no atomics."""
    for name, sass in nvrtc.machine_code(compiled(file, 90)[0]).items():
        assert not re.search(r"\b(LDL|STL|RED|ATOM)", sass), f"{name}: local memory or atomics"
        if file == "activations.cu":
            arrays = sum(p.const for p in source.read("activations.cu").kernels[name].parameters)
            assert (sass.count("LDG"), sass.count("STG")) == (arrays, 1), name


@needs_nvrtc
@needs_nvdisasm
@pytest.mark.parametrize("file", CONVOLUTIONS)
def test_no_division_inside_the_inner_loops(file):
    """A division by a runtime integer needs a reciprocal (MUFU.RCP); all of them come before the
    first multiply-add."""
    for name, sass in nvrtc.machine_code(compiled(file, 90)[0]).items():
        if "gemm" in name or "tf32" in name:
            work = [m.start() for m in re.finditer(r"\b(FFMA|HMMA)\b", sass)]
            inside = sass[work[0] : work[-1]]
            assert "MUFU.RCP" not in inside, name


@needs_nvcc
@pytest.mark.parametrize("file", FILES)
def test_nvcc_agrees(file, tmp_path):
    """And finds the header by itself: the file is compiled as it lies in kernels/."""
    path = source.kernel_folder() / file
    command = [
        "nvcc",
        "-std=c++17",
        "-arch=sm_90",
        "-cubin",
        "--resource-usage",
        "-o",
        str(tmp_path / "out"),
        str(path),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert all(r.spilled == r.stack == 0 for r in nvrtc.resources(run.stdout + run.stderr).values())


@needs_nvrtc
def test_a_syntax_error_names_the_line():
    with pytest.raises(
        RuntimeError, match=r"(?s)bad.cu does not compile for sm_90.*bad\.cu\(2\): error"
    ):
        nvrtc.compile_cubin(
            'extern "C" __global__ void f(float* y) {\n    y[0] = undeclared;\n}', 90, "bad.cu"
        )


@needs_nvrtc
def test_a_spill_is_seen():
    text = """
extern "C" __global__ void f(float* y, int n) {
    float a[64];
    for (int i = 0; i < n; ++i) a[i] = y[i];
    y[n] = a[n / 2];
}"""
    assert nvrtc.resources(nvrtc.compile_cubin(text, 90)[1])["f"].stack > 0

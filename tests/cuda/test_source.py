"""Kernels and their headers: one text for every compiler, in which each line knows where it is
from."""

import re
import types

import numpy as np
import pytest

from tinygen import cuda
from tinygen.cuda import gpu, nvrtc, source

emulated_here = pytest.mark.skipif(
    not cuda.emulator_available(), reason="the emulator needs Linux and g++ or clang++"
)
needs_nvrtc = pytest.mark.skipif(
    nvrtc.library() is None, reason="NVRTC not installed: pip install nvidia-cuda-nvrtc-cu12"
)
MAIN = """\
// #include "in_a_comment.cuh"
/*
#include "in_another.cuh"
*/
#include "scale.cuh"  // SCALE and scaled
#include "deep/first.cuh"
#include <cmath>

extern "C" __global__ void f(float* y) {
    y[0] = scaled(y[0]) + first();
}
"""
FILES = {
    "main.cu": MAIN,
    "scale.cuh": "#pragma once\n#define SCALE 2\n"
    "__device__ float scaled(float x) {\n    return SCALE * x;\n}\n",
    "deep/first.cuh": '#include "second.cuh"\n__device__ float first() { return second(); }',
    "deep/second.cuh": '#include "first.cuh"\n#include "../scale.cuh"\n'
    "__device__ float second() { return SCALE * 100; }\n",
}
REPLACED = {
    ("main.cu", 5),
    ("main.cu", 6),
    ("first.cuh", 1),
    ("second.cuh", 1),
    ("second.cuh", 2),
}


@pytest.fixture
def main(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path / "main.cu"


def edit(path, right, wrong):
    text = path.read_text()
    assert text.count(right) == 1
    path.write_text(text.replace(right, wrong))


def spoil(path, line):
    lines = path.read_text().splitlines()
    lines[line - 1] = "undeclared;" + lines[line - 1]
    path.write_text("\n".join(lines))


def told(text):
    """(file, line, text of the line), as a compiler counts that follows #line."""
    file, number, found = "?", 0, []
    for line in text.splitlines():
        if m := re.fullmatch(r'#line (\d+) "(.*)"', line):
            file, number = m[2], int(m[1])
        else:
            found.append((file, number, line))
            number += 1
    return found


def test_every_line_of_every_file_is_there_once_under_its_own_number(main):
    read = source.read(main)
    assert set(read.files) == {"main.cu", "scale.cuh", "first.cuh", "second.cuh"}
    found = [row for row in told(read.text) if row[2].strip()]
    whole = {
        (file, i, line)
        for file, text in read.files.items()
        for i, line in enumerate(text.splitlines(), 1)
        if line.strip() and (file, i) not in REPLACED
    }
    rest = ("main.cu", 5, "  // SCALE and scaled")  # what stands behind the include
    assert len(found) == len(set(found)) and set(found) == whole | {rest}
    order = [line for _, _, line in found if "__device__" in line or "__global__" in line]
    assert [re.search(r"(\w+)\(", line)[1] for line in order] == ["scaled", "second", "first", "f"]


@pytest.mark.parametrize("file", ["conv2d.cu", "conv_transpose2d.cu", "conv2d_weight.cu"])
def test_the_convolutions_share_one_header(file):
    read = source.read(file)
    assert set(read.files) == {file, "tile.cuh"}
    assert "struct Conv {" in read.files["tile.cuh"] and "struct Conv" not in read.files[file]
    assert read.kernels == source.parse(read.text)


def test_a_header_of_our_own_is_found_from_anywhere_and_one_beside_the_file_goes_first(tmp_path):
    (tmp_path / "mine.cu").write_text('#include "tile.cuh"\n__global__ void f(Conv s) {}')
    assert "mma.sync" in source.read(tmp_path / "mine.cu").text
    (tmp_path / "tile.cuh").write_text("struct Conv { int N; };")
    assert "mma.sync" not in source.read(tmp_path / "mine.cu").text


def test_a_missing_header_is_named_with_the_file_and_line_that_includes_it(main):
    (main.parent / "deep" / "second.cuh").unlink()
    message = r"deep/first\.cuh:1: header second\.cuh is missing: it is not beside that file"
    with pytest.raises(FileNotFoundError, match=message):
        source.read(main)


def test_two_headers_of_one_name_are_refused(main):
    (main.parent / "deep" / "scale.cuh").write_text("#define SCALE 3")
    edit(main.parent / "deep" / "second.cuh", "../scale.cuh", "scale.cuh")
    with pytest.raises(ValueError, match=r"second\.cuh:2: there is another scale\.cuh already"):
        source.read(main)


@emulated_here
def test_an_edited_header_is_compiled_anew(main, tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGEN_CACHE", str(tmp_path / "cache"))

    def run():
        k, y = cuda.emulate(main), np.ones(1, np.float32)
        k.f(1, 1, y)
        return float(y[0]), k._module.path

    value, library = run()
    assert value == 202 and run() == (value, library)
    edit(main.parent / "scale.cuh", "SCALE 2", "SCALE 3")
    again, rebuilt = run()
    assert again == 303 and rebuilt != library


@emulated_here
def test_an_edit_of_the_convolutions_header_reaches_the_convolution(tmp_path, monkeypatch):
    for name in ("conv2d.cu", "tile.cuh"):
        (tmp_path / name).write_text((cuda.kernel_folder() / name).read_text())
    x, w = np.ones((1, 4, 4, 4), np.float32), np.ones((4, 4, 1, 1), np.float32)

    def run():
        k = cuda.emulate(tmp_path / "conv2d.cu", check=False)
        monkeypatch.setattr(cuda.convolution, "kernels", lambda file, like: k)
        options = (1, 1), (0, 0), (1, 1), 1
        return cuda.convolution.conv2d(x, w, *options, version="gemm_64x64")

    assert (run() == 4).all()
    edit(tmp_path / "tile.cuh", "+= a[i] * b[j]", "+= 2 * a[i] * b[j]")
    assert (run() == 8).all()


def test_what_cupy_hashes_and_compiles_holds_the_header(main, monkeypatch):
    """CuPy's cache goes by the text that it is given."""
    raw = types.SimpleNamespace(compile=lambda: None, get_function=lambda name: None)
    given = []
    cupy = types.ModuleType("cupy")
    cupy.RawModule = lambda code, **options: given.append(code) or raw
    monkeypatch.setattr(gpu, "cupy", lambda: cupy)
    cuda.load(main)
    edit(main.parent / "scale.cuh", "SCALE 2", "SCALE 3")
    cuda.load(main)
    assert ["#define SCALE 2" in code for code in given] == [True, False]
    assert all('#include "' not in source.COMMENT.sub("", code) for code in given)


@emulated_here
@pytest.mark.parametrize("file, line", [("scale.cuh", 4), ("second.cuh", 3), ("main.cu", 10)])
def test_a_compilers_error_names_the_file_and_line(main, file, line):
    spoil(next(main.parent.rglob(file)), line)
    with pytest.raises(RuntimeError, match=rf"(?s)main\.cu does not compile.*{file}:{line}:"):
        cuda.emulate(main)


@needs_nvrtc
@pytest.mark.parametrize("file, line", [("scale.cuh", 4), ("first.cuh", 2), ("main.cu", 10)])
def test_nvrtcs_error_names_the_file_and_line(main, file, line):
    edit(main, "#include <cmath>", "")  # NVRTC has no standard headers
    log = nvrtc.compile_cubin(source.read(main).text, 90, "main.cu")[1]
    assert "warning" not in log
    spoil(next(main.parent.rglob(file)), line)
    with pytest.raises(RuntimeError, match=rf"{file}\({line}\): error"):
        nvrtc.compile_cubin(source.read(main).text, 90, "main.cu")

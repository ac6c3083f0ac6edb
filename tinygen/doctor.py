"""`tinygen doctor`: what is installed, which devices work, and what to install otherwise.

Each probe looks at one thing and returns Findings. A probe that fails becomes a Finding that says
so: a broken installation is what a doctor is for, so nothing here may end in a traceback.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = [
    "Finding",
    "SECTIONS",
    "as_json",
    "as_text",
    "blas",
    "examine",
    "tinygen_version",
    "works",
]

OK, NO, WARN, FAIL = "ok", "no", "warn", "FAIL"  # NO: not there, and nothing else is wrong

OPTIONAL = (  # package, what it is for, what pip installs for it
    ("matplotlib", "pictures", "'tinygen[plot]'"),
    ("pillow", "pictures: GIF, quick PNG", "'tinygen[plot]'"),
    ("tqdm", "progress bars", "tqdm"),
    ("pooch", "downloads of data sets", "pooch"),
    ("ipykernel", "lessons (notebooks)", "'tinygen[lessons]'"),
    ("pytest", "the test suite", "'tinygen[test]'"),
    ("hypothesis", "property tests of your own ops", "'tinygen[test]'"),
    ("torch", "comparisons with PyTorch; never needed", "'tinygen[bench]'"),
)


@dataclass
class Finding:
    """One line of the report: how it stands, what it is, and what to do where that is wanted."""

    name: str
    state: str
    value: str = "-"
    note: str = ""
    advice: str = ""

    def __post_init__(self) -> None:
        self.note, self.advice = " ".join(self.note.split()), " ".join(self.advice.split())


def version_of(package: str) -> str:
    """Its installed version, without importing it; empty where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


# --- probes -----------------------------------------------------------------------------------


def probe_tinygen() -> list[Finding]:
    return [Finding("tinygen", OK, tinygen_version(), str(Path(__file__).parent))]


def tinygen_version() -> str:
    import tinygen

    version = getattr(tinygen, "__version__", "") or version_of("tinygen")
    return str(version or "unknown version")


def probe_python() -> list[Finding]:
    enough = sys.version_info >= (3, 11)
    note = f"{sys.executable}, {platform.system()} {platform.machine()}"
    advice = "" if enough else "tinygen needs Python 3.11 or newer"
    return [Finding("python", _state(enough), platform.python_version(), note, advice)]


def _state(good: bool) -> str:
    return OK if good else FAIL


def probe_numpy() -> list[Finding]:
    import numpy as np

    enough = int(np.__version__.split(".")[0]) >= 2
    advice = "" if enough else "pip install 'numpy>=2.0'"
    return [Finding("numpy", _state(enough), np.__version__, blas(), advice)]


def blas() -> str:
    """The library that NumPy multiplies matrices with, and its threads, as far as they are told."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")  # type: ignore[call-overload, unused-ignore]
    found = config.get("Build Dependencies", {}).get("blas", {})
    threads = blas_threads()
    count = f"{threads} thread{'s' * (threads != 1)}" if threads else "threads unknown"
    return f"BLAS: {found.get('name', 'unknown')} {found.get('version', '')}, {count}"


def blas_threads() -> int:
    """How many threads NumPy's BLAS uses, asked of the loaded library itself; 0 where unknown."""
    maps = Path("/proc/self/maps")
    text = maps.read_text() if maps.exists() else ""
    for library in sorted(set(re.findall(r"/\S*(?:blas|mkl_rt|blis)[^/\s]*$", text, re.M))):
        handle = ctypes.CDLL(library)
        for call in (
            "scipy_openblas_get_num_threads64_", "scipy_openblas_get_num_threads",
            "openblas_get_num_threads64_", "openblas_get_num_threads",
            "MKL_Get_Max_Threads", "bli_thread_get_num_threads",
        ):  # fmt: skip
            if hasattr(handle, call):
                return int(getattr(handle, call)())
    return 0


def probe_optional() -> list[Finding]:
    return [_optional(*row) for row in OPTIONAL]


def _optional(package: str, purpose: str, requirement: str) -> Finding:
    version = version_of(package)
    if version:
        return Finding(package, OK, version, purpose)
    return Finding(package, NO, "-", purpose, f"{purpose}: pip install {requirement}")


def probe_cpu() -> list[Finding]:
    """Does a gradient come out right?"""
    import tinygen

    x = tinygen.tensor([1.0, 2.0, 3.0], requires_grad=True)
    grad = tinygen.autograd.grad((x * x).sum(), x)[0].tolist()
    if grad != [2.0, 4.0, 6.0]:
        return [Finding("cpu", FAIL, "broken", f"the gradient of sum(x^2) at 1, 2, 3 is {grad}")]
    note = f"{free_memory()} free; a gradient comes out right"
    return [Finding("cpu", OK, f"{cores()} cores", note)]


def cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def free_memory() -> str:
    """What new arrays can use without swapping, as the kernel estimates it."""
    info = Path("/proc/meminfo")
    found = re.search(r"MemAvailable:\s+(\d+) kB", info.read_text()) if info.exists() else None
    return f"{int(found[1]) / 2**20:.1f} GiB" if found else "unknown memory"


def probe_emulator() -> list[Finding]:
    from .cuda import compiler as emulator

    purpose = "runs the CUDA kernels on the CPU, for tests and lessons"
    try:
        compiler = " ".join(emulator.compiler())
    except RuntimeError as error:
        return [Finding("emulator", NO, "-", purpose, str(error))]
    if not emulator.available():
        return [Finding("emulator", NO, "-", f"{purpose}; on Linux only")]
    return [Finding("emulator", OK, Path(compiler).name, purpose)]


def probe_driver() -> list[Finding]:
    driver, gpus = cuda_driver()
    if not driver:
        return [Finding("driver", NO, "-", "no NVIDIA driver found")]
    runs = Finding("driver", OK, f"CUDA {_cuda(driver)}", "the newest CUDA that this driver runs")
    return [runs, *[Finding("gpu", OK, *gpu) for gpu in gpus]]


@cache
def cuda_driver() -> tuple[int, list[tuple[str, str]]]:
    """The newest CUDA that the driver runs, as 1000 major + 10 minor (0: none), and the GPUs.

    Asks the driver's own library: needs no CUDA toolkit and no CuPy.
    """
    try:
        lib = ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return 0, []
    version, count = ctypes.c_int(), ctypes.c_int()
    lib.cuDriverGetVersion(ctypes.byref(version))
    if lib.cuInit(0) or lib.cuDeviceGetCount(ctypes.byref(count)):
        return version.value, []
    return version.value, [_gpu(lib, i) for i in range(count.value)]


def _gpu(lib: Any, index: int) -> tuple[str, str]:
    handle, text, size = ctypes.c_int(), ctypes.create_string_buffer(128), ctypes.c_size_t()
    lib.cuDeviceGet(ctypes.byref(handle), index)
    lib.cuDeviceGetName(text, len(text), handle)
    lib.cuDeviceTotalMem_v2(ctypes.byref(size), handle)
    return text.value.decode(errors="replace"), f"{size.value / 2**30:.0f} GiB"


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


def cupy_packages() -> list[str]:
    """The installed CuPy packages with their versions. They exclude each other."""
    names = ("cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy")
    return [f"{name} {version_of(name)}" for name in names if version_of(name)]


def probe_cupy() -> list[Finding]:
    packages, driver = cupy_packages(), cuda_driver()[0]
    if len(packages) > 1:
        names = " ".join(package.split()[0] for package in packages)
        advice = f"keep one CuPy: pip uninstall {names}; then {_install(driver)}"
        return [Finding("cupy", FAIL, "conflict", f"installed: {', '.join(packages)}", advice)]
    if not packages:
        return [Finding("cupy", NO, "-", "arrays on the GPU", _install(driver) if driver else "")]
    name, version = packages[0].split()
    return [Finding("cupy", OK, version, f"arrays on the GPU ({name})")]


def _install(driver: int) -> str:
    if 0 < driver < 12000:
        return f"update the NVIDIA driver: it runs CUDA {_cuda(driver)}, tinygen needs 12 or newer"
    extra = "cuda13" if driver >= 13000 else "cuda12"
    return f"device=\"cuda\": pip install 'tinygen[{extra}]'"


def probe_runtime() -> list[Finding]:
    """CuPy's CUDA runtime and its kernel compiler NVRTC, which must be of one major version."""
    if len(cupy_packages()) != 1:
        return []
    import cupy  # type: ignore[import-not-found, import-untyped, unused-ignore]

    driver, runtime = cuda_driver()[0], cupy.cuda.runtime.runtimeGetVersion()
    nvrtc = "{}.{}".format(*cupy.cuda.nvrtc.getVersion())
    too_new = 0 < driver // 1000 < runtime // 1000
    apart = nvrtc.partition(".")[0] != str(runtime // 1000)
    return [
        Finding(
            "runtime", FAIL if too_new else OK, f"CUDA {_cuda(runtime)}", "CuPy's",
            f"the driver runs CUDA {_cuda(driver)} at most: {_install(driver)}" if too_new else "",
        ),
        Finding(
            "nvrtc", WARN if apart else OK, nvrtc, "compiles kernels/*.cu for the GPU",
            f"NVRTC {nvrtc} beside runtime {_cuda(runtime)}: install one CUDA's" if apart else "",
        ),
    ]  # fmt: skip


def probe_cuda() -> list[Finding]:
    """Does the GPU compute?"""
    from . import cuda

    if not cuda_driver()[0]:
        return [Finding("cuda", NO, "-", "no GPU: use device='cpu'")]
    problem = cuda.problem()
    if problem:
        return [Finding("cuda", FAIL if cupy_packages() else NO, "-", problem)]
    import cupy

    total = int(cupy.arange(4).sum())
    note = "`tinygen doctor --gpu` checks the kernels"
    return [Finding("cuda", _state(total == 6), "computes" if total == 6 else "broken", note)]


def probe_data() -> list[Finding]:
    from .data import load
    from .data.sources import SOURCES

    return [_data(load, name, source.package) for name, source in SOURCES.items()]


def _data(load: Callable[..., Any], name: str, package: str) -> Finding:
    """Reads the test half of the set, so that a damaged file shows here."""
    try:
        images = load(name, "test").images
    except FileNotFoundError:
        note = f"tinygen.data.load({name!r}, download=True)"
        return Finding(name, NO, "-", f"{note}, or apt install {package}" if package else note)
    except (ValueError, OSError) as error:
        return Finding(name, FAIL, "damaged", advice=f"{name}: {error}")
    return Finding(name, OK, "{} x {} x {}".format(*images.shape[1:]), "found")


SECTIONS: dict[str, tuple[str, ...]] = {  # probes by name, so that tests can replace them
    "Base": ("tinygen", "python", "numpy"),
    "Optional packages": ("optional",),
    "Devices": ("cpu", "emulator", "driver", "cupy", "runtime", "cuda"),
    "Data sets": ("data",),
}


# --- report -----------------------------------------------------------------------------------


def examine() -> dict[str, list[Finding]]:
    """{section: findings}. A probe that raises is itself a finding."""
    return {
        title: [finding for probe in probes for finding in _isolated(probe)]
        for title, probes in SECTIONS.items()
    }


def _isolated(probe: str) -> list[Finding]:
    try:
        found: list[Finding] = globals()[f"probe_{probe}"]()
        return found
    except Exception as error:  # whatever a broken package raises
        return [Finding(probe, FAIL, "broken", f"{type(error).__name__}: {error}")]


def works(report: dict[str, list[Finding]]) -> bool:
    """Can tinygen be used on the CPU?"""
    needed = [f for findings in report.values() for f in findings if f.name in ("cpu", "numpy")]
    return bool(needed) and all(finding.state == OK for finding in needed)


def as_json(report: dict[str, list[Finding]]) -> dict[str, Any]:
    sections = {title: [asdict(f) for f in findings] for title, findings in report.items()}
    return {"ok": works(report), "sections": sections}


def as_text(report: dict[str, list[Finding]], colour: bool = False) -> str:
    """Aligned columns: state, name, what was found, what it is for; then what to do."""
    findings = [finding for section in report.values() for finding in section]
    lines = []
    for title, section in report.items():
        lines += [title, *_table(section, max(len(f.name) for f in findings), colour), ""]
    advice = dict.fromkeys(finding.advice for finding in findings if finding.advice)
    if advice:
        lines += ["What to do, if you want it", *[f"  {text}" for text in advice], ""]
    return "\n".join([*lines, _verdict(report)])


def _table(section: list[Finding], names: int, colour: bool) -> list[str]:
    values = max((len(finding.value) for finding in section), default=0)
    return [
        f"  {_coloured(f.state, colour)}  {f.name:<{names}}  {f.value:<{values}}  {f.note}".rstrip()
        for f in section
    ]


def _coloured(state: str, colour: bool) -> str:
    code = {OK: "32", FAIL: "31", WARN: "33"}.get(state) if colour else None
    return f"\033[{code}m{state:<4}\033[0m" if code else f"{state:<4}"


def _verdict(report: dict[str, list[Finding]]) -> str:
    if not works(report):
        return "tinygen does not work here: see the lines marked FAIL."
    cuda = any(f.name == "cuda" and f.state == OK for section in report.values() for f in section)
    return "tinygen works here: device='cpu'" + (" and device='cuda'." if cuda else ".")

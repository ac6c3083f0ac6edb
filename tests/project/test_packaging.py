"""What a stranger gets: build sdist and wheel, install the wheel in a clean venv, use it elsewhere.

The wheel is built from the sdist, so a file that is missing from either is missing here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import tinygen

ROOT = Path(tinygen.__file__).parent.parent
FOLDERS = ("tinygen", "kernels", "examples", "lessons")
PARTS = (*FOLDERS, "pyproject.toml", "setup.py", "README.md", "LICENSE")
JUNK = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.so")

pytestmark = pytest.mark.skipif(
    not all((ROOT / part).exists() for part in PARTS),
    reason="tinygen is installed here, not checked out: there is nothing to build",
)

FIRST_PROGRAM = """
import pathlib
import tinygen as tg

x = tg.tensor([1.0, 2.0], requires_grad=True)
(x * x).sum().backward()
assert x.grad.tolist() == [2.0, 4.0]
assert len(tg.data.load("digits").images) > 1000
print(pathlib.Path(tg.__file__).parent)
"""
KERNELS = """
import numpy as np
import tinygen as tg
from tinygen import cuda

folder = cuda.kernel_folder()
assert (folder / "conv2d.cu").is_file() and any((folder / "emulator").iterdir())
if cuda.emulator_available():
    x, w = tg.randn(1, 2, 5, 5), tg.randn(3, 2, 3, 3)
    expected = tg.nn.functional.conv2d(x, w).numpy()
    with cuda.emulated():
        out = tg.nn.functional.conv2d(x, w).numpy()
    assert np.allclose(out, expected, atol=1e-5)
print(folder)
"""


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder of its own, with nothing of this process's Python about it."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "COVERAGE"))}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=env | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def succeeds(*command: object, cwd: Path, **environment: str) -> str:
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in: a build leaves folders behind."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=JUNK)
        else:
            shutil.copy(ROOT / part, copy / part)
    return copy


@pytest.fixture(scope="module")
def built(checkout: Path) -> tuple[Path, Path]:
    """The sdist, and the wheel that comes out of it."""
    pytest.importorskip("build", reason="building needs: pip install 'tinygen[test]'")
    succeeds(sys.executable, "-m", "build", "--no-isolation", cwd=checkout)
    (sdist,), (wheel,) = ((checkout / "dist").glob(end) for end in ("*.tar.gz", "*.whl"))
    return sdist, wheel


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new venv that holds NumPy and setuptools only."""
    folder = tmp_path_factory.mktemp("venv")
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no venv can be made here (Debian: apt install python3-venv): {error}")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = ("-m", "pip", "install", "-q", "--disable-pip-version-check")
    done = run(python, *install, "numpy>=2.0", "setuptools>=77", cwd=folder)
    if done.returncode:
        pytest.skip(f"NumPy can't be installed in a venv here: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture
def installed(clean: Path, built: tuple[Path, Path], tmp_path: Path) -> Path:
    """The venv's Python with the wheel in it; no index is asked."""
    offline = ("--no-index", "--no-deps", "--force-reinstall")
    succeeds(clean, "-m", "pip", "install", "-q", *offline, built[1], cwd=tmp_path)
    return clean


def sources() -> set[str]:
    """Every file that must be in the wheel, under its name there."""
    found = {
        f"{name}/{path.relative_to(ROOT / folder)}"
        for folder, name, kinds in (
            ("tinygen", "tinygen", (".py", ".npz", ".typed")),
            ("kernels", "tinygen/kernels", None),
            ("examples", "tinygen/examples", (".py",)),
            ("lessons", "tinygen/notebooks", (".ipynb", ".md")),
        )
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        if kinds is None
        or path.suffix in kinds
        or path.name == "py.typed"
        or path.parent.name == "pretrained"
    }
    assert {"tinygen/py.typed", "tinygen/data/digits.npz", "tinygen/kernels/conv2d.cu"} <= found
    assert "tinygen/kernels/tile.cuh" in found
    assert "tinygen/examples/vae.py" in found
    assert {
        "tinygen/models/pretrained/README.md",
        "tinygen/models/pretrained/figures.json",
    } <= found
    return {name.replace(os.sep, "/") for name in found}


def test_wheel_and_sdist_hold_every_file(built: tuple[Path, Path]) -> None:
    sdist, wheel = built
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert sources() <= inside, f"not in the wheel: {sorted(sources() - inside)}"
    strangers = {name for name in inside if not name.startswith(("tinygen/", "tinygen-"))}
    assert not strangers and not any("__pycache__" in name for name in inside), strangers
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    assert {"README.md", "LICENSE", "pyproject.toml", "setup.py"} <= names
    assert {"kernels/conv2d.cu", "kernels/tile.cuh"} <= names


def test_the_wheel_is_small(built: tuple[Path, Path]) -> None:
    megabytes = built[1].stat().st_size / 1e6
    assert megabytes <= 15, f"{megabytes:.1f} MB"


def test_metadata(built: tuple[Path, Path]) -> None:
    archive = zipfile.ZipFile(built[1])
    (name,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
    metadata = archive.read(name).decode()
    assert f"Version: {tinygen.__version__}\n" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:")]
    assert [line for line in required if "extra ==" not in line] == ["Requires-Dist: numpy>=2.0"]
    assert "License-Expression: MIT" in metadata


def test_the_wheel_works_in_a_clean_venv(installed: Path, tmp_path: Path) -> None:
    where = Path(succeeds(installed, "-c", FIRST_PROGRAM, cwd=tmp_path).strip())
    assert where.is_relative_to(installed.parent.parent.resolve()), where
    assert Path(succeeds(installed, "-c", KERNELS, cwd=tmp_path).strip()) == where / "kernels"
    report = succeeds(installed.with_name("tinygen"), "doctor", cwd=tmp_path)
    assert tinygen.__version__ in report and "digits" in report
    assert "--latent" in succeeds(installed, where / "examples" / "vae.py", "--help", cwd=tmp_path)
    lessons = succeeds(installed.with_name("tinygen"), "lessons", cwd=tmp_path)
    assert str(where / "notebooks") in lessons
    succeeds(installed, "-m", "pip", "check", cwd=tmp_path)


def test_the_command_in_a_clean_venv_without_matplotlib(installed: Path, tmp_path: Path) -> None:
    command = installed.with_name("tinygen")
    assert "  gan  " in succeeds(command, "examples", cwd=tmp_path)
    done = run(command, "run", "mixture", "--steps", "2", "--components", "3", cwd=tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert done.stderr.startswith(
        "mixture.py: no pictures: tinygen.plot needs matplotlib and Pillow"
    )
    assert (tmp_path / "runs" / "mixture" / "last.npz").is_file()
    for wrong in (("run", "gan", "--data", "foo"), ("demo", "--epochs", "0"), ("run", "vea")):
        done = run(command, *wrong, cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" not in done.stderr
        assert wrong[-1] in done.stderr.splitlines()[-1]
    for name in (str(tmp_path / "runs" / "mixture" / "last.npz"), "vae-digits"):
        done = run(command, "sample", name, cwd=tmp_path)
        assert done.returncode == 1 and "pip install 'tinygen[plot]'" in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    done = run(command, "lessons", "7", cwd=tmp_path)
    assert "pip install 'tinygen[lessons]'" in done.stderr and list(tmp_path.glob("07_*.ipynb"))


def test_editable(clean: Path, checkout: Path, tmp_path: Path) -> None:
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--force-reinstall")
    succeeds(clean, "-m", "pip", "install", "-q", *offline, "-e", checkout, cwd=tmp_path)
    where = Path(succeeds(clean, "-c", FIRST_PROGRAM, cwd=tmp_path).strip())
    assert where == (checkout / "tinygen").resolve()
    assert Path(succeeds(clean, "-c", KERNELS, cwd=tmp_path).strip()) == where.parent / "kernels"
    demo = succeeds(clean.with_name("tinygen"), "demo", "--help", cwd=tmp_path)
    assert "--latent" in demo or "vae.py" in demo


def test_a_checkout_works_without_installation(checkout: Path, tmp_path: Path) -> None:
    """From its root, and from anywhere with PYTHONPATH; sys.executable may hold another tinygen."""
    for cwd, path in ((checkout, ""), (tmp_path, str(checkout))):
        where = succeeds(sys.executable, "-c", FIRST_PROGRAM, cwd=cwd, PYTHONPATH=path)
        assert Path(where.strip()) == checkout / "tinygen"
        succeeds(sys.executable, "-c", KERNELS, cwd=cwd, PYTHONPATH=path)
        succeeds(sys.executable, "-m", "tinygen", "doctor", cwd=cwd, PYTHONPATH=path)

"""The README's programs run as they stand, and its map names every file there is."""

import re
from pathlib import Path

import pytest

import tinygen
from tinygen.ops.op import REGISTRY

ROOT = Path(tinygen.__file__).parent.parent
README = ROOT / "README.md"
pytestmark = pytest.mark.skipif(not README.exists(), reason="no README beside the package")


def programs() -> list[str]:
    if not README.exists():
        return []
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    return [block for block in blocks if "my_kernel.cu" not in block]  # that file is the reader's


@pytest.mark.parametrize("program", programs(), ids=lambda text: text.splitlines()[-1][:40])
def test_program_runs(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = set(REGISTRY)
    exec(compile(program, str(README), "exec"), {"__name__": "__main__"})
    for name in set(REGISTRY) - before:  # the reader's own op is not one of ours
        del REGISTRY[name]
    printed = capsys.readouterr().out
    if "mean squared error" in printed:
        assert float(printed.split()[3].rstrip(";")) < 0.02


def test_there_are_programs_to_run() -> None:
    assert len(programs()) >= 3


def test_every_file_is_on_the_map() -> None:
    text = README.read_text()
    top = sorted(p for p in (ROOT / "tinygen").iterdir() if not p.name.startswith((".", "_")))
    names = [p.name + "/" if p.is_dir() else p.name for p in top if p.is_dir() or p.suffix == ".py"]
    missing = [name for name in names if f"`{name}`" not in text]
    assert not missing, f"README's map of the code does not name {missing}"
    linked = re.findall(r"\]\(([^)#:]+)\)", text)
    assert all((ROOT / link).exists() for link in linked), linked

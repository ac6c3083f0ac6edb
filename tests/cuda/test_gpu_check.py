"""`make gpu-check` without a GPU: phases that end, hang, die or are skipped, and what the real ones
ask of the library, on the stand-in of fake_cupy.py."""

from __future__ import annotations

import json
import sys
import textwrap
import time
from pathlib import Path

import fake_cupy
import numpy as np
import pytest

import tinygen as tg
from tinygen import backend, cuda
from tinygen.ops import on_gpu

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "speed"

MACHINE = 'print(json.dumps({"gpu": "Some GPU", "date": "2026-01-02T03:04:05"}))'
HANGS = """
    import os, signal
    child = os.fork()
    if child:
        print(json.dumps({"shape": "first", "pids": [os.getpid(), child]}), flush=True)
        print('{"shape": "cut o', end="", flush=True)
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, signal.SIG_IGN)
    time.sleep(600)
"""
SCRIPTS = {
    "machine": MACHINE,
    "good": 'print("hello"); print(json.dumps({"shape": "a", "ok": True}))',
    "wrong": 'print(json.dumps({"shape": "b", "ok": False}))',
    "dies": 'print(json.dumps({"shape": "c", "ok": True}), flush=True); raise OSError("no luck")',
    "hangs": HANGS,
}


@pytest.fixture
def gpu_check(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import gpu_check

    return gpu_check


@pytest.fixture
def phases(gpu_check, monkeypatch):
    """Phases that are the scripts above."""

    def run(names, limit, tmp_path, most=60.0):
        monkeypatch.setattr(gpu_check, "LIMIT", limit)
        monkeypatch.setattr(gpu_check, "RESERVE", 0.5)
        monkeypatch.setattr(gpu_check, "LEAST", 0.2)
        monkeypatch.setattr(gpu_check, "PHASES", dict.fromkeys(("machine", *names), (None, most)))
        code = "import json, time\n"
        monkeypatch.setattr(
            gpu_check,
            "command",
            lambda n: [sys.executable, "-c", code + textwrap.dedent(SCRIPTS[n])],
        )
        start = time.monotonic()
        status = gpu_check.check(tmp_path)
        written = tmp_path / "gpu-Some-GPU-2026-01-02.json"
        result = json.loads(written.read_text()) if written.is_file() else None
        return status, result, time.monotonic() - start

    return run


def test_all_is_well(phases, tmp_path, capsys):
    status, result, _ = phases(["good"], 60.0, tmp_path)
    assert status == 0
    assert result["phases"]["good"]["ended"] == "done"
    assert result["phases"]["good"]["rows"] == [{"shape": "a", "ok": True}]
    assert result["machine"]["gpu"] == "Some GPU"
    out = capsys.readouterr().out
    assert "--- good: done" in out and "1 checks, 0 wrong" in out and "written: " in out


def test_wrong_values_and_a_phase_that_dies_are_failures(phases, tmp_path, capsys):
    status, result, _ = phases(["wrong", "good"], 60.0, tmp_path)
    assert status == 1 and result["phases"]["good"]["ended"] == "done"
    assert "'shape': 'b'" in capsys.readouterr().out
    status, result, _ = phases(["dies", "good"], 60.0, tmp_path)
    assert status == 1 and result["phases"]["good"]["ended"] == "done"
    assert result["phases"]["dies"]["rows"] == [{"shape": "c", "ok": True}]
    assert "no luck" in result["phases"]["dies"]["error"]
    assert "OSError: no luck" in capsys.readouterr().out


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_phase_that_hangs_is_stopped_with_all_that_it_started(phases, tmp_path, capsys):
    """It ignores SIGTERM and has a child; what it said before is kept, and the next phase runs."""
    status, result, seconds = phases(["hangs", "good"], 60.0, tmp_path, most=1.0)
    assert status == 1 and seconds < 30
    assert result["phases"]["hangs"]["ended"] == "stopped after 1 s"
    (row,) = result["phases"]["hangs"]["rows"]
    assert row["shape"] == "first" and not any(map(lives, row["pids"]))
    assert result["phases"]["good"]["ended"] == "done"
    assert "--- hangs: stopped after 1 s" in capsys.readouterr().out


def test_when_the_time_is_over_the_rest_is_skipped_and_the_table_written(phases, tmp_path, capsys):
    status, result, seconds = phases(["hangs", "good"], 2.5, tmp_path)
    assert status == 1 and seconds < 20
    assert result["phases"]["hangs"]["ended"].startswith("stopped after ")
    assert result["phases"]["good"] == {
        "ended": "skipped: the time was over", "seconds": 0.0, "rows": [],
    }  # fmt: skip
    assert "--- good: skipped: the time was over" in capsys.readouterr().out


def test_only_the_last_phase_may_end_unfinished(gpu_check):
    cut = {"ended": "stopped after 3 s", "rows": []}
    assert not gpu_check.right("bits", cut) and gpu_check.right("other tests", cut)
    assert not gpu_check.right("other tests", {"ended": "failed", "rows": []})
    assert not gpu_check.right("other tests", {"ended": "done", "rows": [{"ok": False}]})
    most = sum(seconds for _, seconds in gpu_check.PHASES.values())
    assert gpu_check.LIMIT == 540 and most > gpu_check.LIMIT  # no phase is starved by the caps


def test_without_a_gpu_nothing_is_measured(phases, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(SCRIPTS, "machine", 'print(json.dumps({"problem": "no usable GPU: x"}))')
    status, result, _ = phases(["good"], 60.0, tmp_path)
    assert (status, result) == (0, None)
    assert capsys.readouterr().out == "no usable GPU: x. Nothing was measured.\n"
    monkeypatch.setitem(SCRIPTS, "machine", "raise OSError('driver gone')")
    assert phases(["good"], 60.0, tmp_path)[:2] == (1, None)
    assert "driver gone" in capsys.readouterr().out


def test_the_real_command_runs_a_phase(gpu_check):
    phase = gpu_check.run_phase("machine", 60.0)
    assert phase["ended"] == "done" and len(phase["rows"]) == 1
    assert ("problem" in phase["rows"][0]) != cuda.is_available()


def test_the_tests_tell_failures_as_they_come(gpu_check, tmp_path):
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('i', range(26))\n"
        "def test_right(i): pass\n"
        "def test_wrong(): assert 1 == 2\n"
        "def test_skipped(): pytest.skip('not here')\n"
        "@pytest.fixture\n"
        "def broken(): raise OSError\n"
        "def test_error(broken): pass\n"
    )
    rows = list(gpu_check.run_pytest([str(tmp_path / "test_it.py"), "--rootdir", str(tmp_path)]))
    assert rows[0] == {"counts": {"passed": 25}}
    assert [r["test"].split("::")[1] for r in rows[1:3]] == ["test_wrong", "test_error"]
    assert rows[3]["counts"] == {"passed": 26, "failed": 1, "skipped": 1, "error": 1}
    assert not rows[3]["ok"] and "assert 1 == 2" in rows[3]["said"]
    text = gpu_check.report("tests", {"ended": "done", "seconds": 1.0, "rows": rows})
    assert "test_it.py::test_wrong\nFAILED" in text and "'passed': 26" in text.splitlines()[-1]
    assert not gpu_check.right("tests", {"ended": "stopped after 3 s", "rows": rows[:2]})


# --- the real phases, on the stand-in -------------------------------------------------------------

stand_in = pytest.mark.skipif(
    cuda.is_available() or not cuda.emulator_available(), reason="needs the emulator, and no GPU"
)


@pytest.fixture
def on_stand_in(gpu_check, monkeypatch):
    fake_cupy.install(monkeypatch)
    small = [
        gpu_check.kernels.Shape(4, 6, 8, 3, 1, 1),
        gpu_check.kernels.Shape(8, 3, 4, 4, 2, 1, True),
    ]
    monkeypatch.setattr(gpu_check.kernels, "SHAPES", [s._replace(N=2) for s in [*small, small[0]]])
    yield gpu_check
    backend.problem.cache_clear()


@stand_in
def test_values_and_bits(on_stand_in, monkeypatch):
    monkeypatch.setattr(on_stand_in, "SIZES", (4, 8, 5, 28))
    rows = list(on_stand_in.values())
    assert len(rows) == 6 * 3 * 2 + 7 * 3 + 3 * 2  # relu, leaky_relu, adam have no second order
    assert len({r["shape"] for r in rows if r["shape"] in on_stand_in.FUSED}) == 10
    assert [r for r in rows if not r["ok"]] == []
    rows = list(on_stand_in.bits(repeats=2))
    assert len(rows) == 2 * 3 + 1 and all(r["ok"] for r in rows)


@stand_in
def test_a_wrong_kernel_is_seen(on_stand_in, monkeypatch):
    monkeypatch.setattr(on_stand_in, "SIZES", (4, 8, 5, 28))
    monkeypatch.setattr(on_stand_in, "FUSED", {"silu": on_stand_in.FUSED["silu"]})
    right = cuda.fused.activation
    monkeypatch.setattr(on_gpu, "launch", lambda *a, **k: right(*a, **k) * 1.0001)
    wrong = [r for r in on_stand_in.values() if not r["ok"]]
    assert wrong and {r["shape"] for r in wrong} == {"silu"}
    real, calls = cuda.convolution.conv2d, []

    def unsteady(*args, **options):
        calls.append(1)
        return real(*args, **options) * np.float32(1 + len(calls) % 2 * 1e-6)

    monkeypatch.setattr(cuda.convolution, "conv2d", unsteady)
    assert not all(r["ok"] for r in on_stand_in.bits(repeats=2))


@stand_in
@pytest.mark.parametrize(
    "name", ["1 MLP VAE", "3 DCGAN 28 px", "4 WGAN-GP critic", "5 DDPM U-Net 28 px"]
)
def test_a_training_step_of_each_workload(on_stand_in, name):
    def loss(device):
        tg.manual_seed(0)
        width = 8 if "DCGAN" not in name else 4
        return on_stand_in.steps.STEPS[name](tg, device, batch=2, width=width)().item()

    assert loss("cuda") == pytest.approx(loss("cpu"), rel=1e-4)

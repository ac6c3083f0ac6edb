"""Run: exact resume, kills, Ctrl-C, NaN, bad folders. TINYGEN_KILLS=200 kills that many times."""

import io
import json
import math
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygen import optim
from tinygen import run as run_package
from tinygen.backend import Generator, default_generator
from tinygen.run import Run, through
from tinygen.run.progress import words
from tinygen.serialization import load, save
from tinygen.tape import is_grad_enabled
from tinygen.tensor import wrap

SCRIPT = Path(__file__).with_name("training_script.py")
KILLS = int(os.environ.get("TINYGEN_KILLS", "15"))


class Toy:
    """A parameter that Adam pulls to a noisy target; noise from the default generator."""

    def __init__(self, size=3):
        self.p = wrap(np.linspace(1, 2, size)).requires_grad_()
        self.opt = optim.Adam([self.p], lr=0.1)
        self.ema = optim.EMA([self.p])

    def state_dict(self):
        return {"p": self.p.detach()}

    def load_state_dict(self, state):
        if state["p"].shape != self.p.shape:
            raise RuntimeError(f"p has shape {state['p'].shape}, expected {self.p.shape}")
        self.p._array[...] = state["p"]._array

    def step(self):
        g = self.p._array - default_generator.numpy.normal(size=self.p.shape)
        self.p.grad = wrap(g)
        self.opt.step()
        self.ema.update()
        return float((g**2).sum())

    def tracked(self):
        return {"toy": self, "opt": self.opt, "ema": self.ema}


def train(folder, n, resume=False, stop=None, size=3, **options):
    """Train a Toy up to step n; leave the loop abruptly after step `stop`."""
    default_generator.manual_seed(11)
    toy = Toy(size)
    run = Run(folder, {"n": n}, resume, **options)
    run.track(**toy.tracked())
    for step in run.steps(n):
        run.log(loss=toy.step())
        if step == stop:
            break
    return toy, run


def rows(folder):
    lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in lines]


def content(path):
    """All that must be the same in two runs: not the clock, file sizes and the folder's name."""
    return {k: v for k, v in load(path).items() if k not in ("seconds", "log_bytes", "config")}


def assert_same(a, b, path=""):
    if hasattr(a, "_array"):
        a, b = a._array, b._array
    if isinstance(a, dict):
        assert list(a) == list(b), path
        for key in a:
            assert_same(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, np.ndarray):
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes(), path
    else:
        assert a == b, path


# --- resume ---------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [1, 10, 13, 20])
def test_resume_is_bit_for_bit(tmp_path, stop):
    whole, _ = train(tmp_path / "whole", 30, save_every=10, best="loss")
    train(tmp_path / "cut", 30, stop=stop, save_every=10, best="loss")
    resumed, run = train(tmp_path / "cut", 30, resume=True, save_every=10, best="loss")
    assert run.step == 30
    assert resumed.p._array.tobytes() == whole.p._array.tobytes()
    for name in ("last.npz", "best.npz"):
        assert_same(content(tmp_path / "whole" / name), content(tmp_path / "cut" / name))
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert [row["step"] for row in rows(tmp_path / "cut")] == list(range(1, 31))


def test_a_longer_run_goes_on_from_a_finished_one(tmp_path, capsys):
    whole, _ = train(tmp_path / "whole", 25)
    train(tmp_path / "two", 15)
    longer, _ = train(tmp_path / "two", 25, resume=True)
    assert longer.p._array.tobytes() == whole.p._array.tobytes()
    assert "resuming with another n: 15 then, 25 now" in capsys.readouterr().err
    train(tmp_path / "two", 25, resume=True)
    assert "step 25 of 25: nothing left to do" in capsys.readouterr().err


def test_the_log_has_no_line_twice_even_after_the_loop(tmp_path):
    for resume in (False, True, True):
        _, run = train(tmp_path, 5, resume)
        run.log(test=1.0)
    assert [row.get("test") for row in rows(tmp_path)] == [None] * 5 + [1.0]


def test_a_half_written_line_is_cut(tmp_path):
    train(tmp_path, 10, stop=8, save_every=5)
    with open(tmp_path / "log.jsonl", "a") as log:
        log.write('{"step": 9, "lo')
    train(tmp_path, 10, resume=True)
    assert [row["step"] for row in rows(tmp_path)] == list(range(1, 11))


def test_two_loops_are_two_phases(tmp_path):
    for resume, stop in ((False, 7), (True, None)):
        default_generator.manual_seed(1)
        run = Run(tmp_path, resume=resume, save_every=1)
        seen = []
        for phase, n in enumerate((5, 10)):
            for step in run.steps(n):
                seen.append((phase, step))
                if step == stop:
                    break
    assert seen == [(1, 7), (1, 8), (1, 9), (1, 10)]  # step 7 was left before its end


def test_generators_are_tracked(tmp_path):
    drawn = []
    for resume in (False, True):
        own = Generator().manual_seed(3)
        run = Run(tmp_path, resume=resume)
        run.track(own=own)
        for _ in run.steps(20 if resume else 4):
            drawn.append(own.numpy.normal())
    fresh = Generator().manual_seed(3)
    np.testing.assert_array_equal(drawn, fresh.numpy.normal(size=20))


def test_nothing_to_resume_is_said(tmp_path, capsys):
    _, run = train(tmp_path / "new", 3, resume=True)
    assert run.step == 3
    assert "nothing to resume: there is no" in capsys.readouterr().err


def test_a_new_run_moves_the_old_one_aside(tmp_path, capsys):
    for n in (3, 4, 5):
        train(tmp_path / "run", n)
    steps = {p.name: load(p / "last.npz")["step"] for p in tmp_path.iterdir()}
    assert steps == {"run": 5, "run.1": 3, "run.2": 4}
    assert "held a run; that is" in capsys.readouterr().err


def test_best_keeps_the_best(tmp_path):
    values = [5.0, 3.0, 4.0, 2.5, 9.0]
    for mode, step, value in (("min", 4, 2.5), ("max", 5, 9.0)):
        run = Run(tmp_path / mode, best="score", mode=mode)
        for i in run.steps(5):
            run.log(score=values[i - 1])
        best = load(tmp_path / mode / "best.npz")
        assert (best["step"], best["best"]) == (step, value)
        assert load(tmp_path / mode / "last.npz")["step"] == 5
    assert Run(tmp_path / "max", resume="best").step == 5
    assert Run(tmp_path / "min", resume="best").step == 4


def test_an_improvement_is_a_checkpoint_and_is_remembered(tmp_path):
    values = [5.0, 1.0, 3.0, 4.0]
    for resume, stop in ((False, 3), (True, None)):
        run = Run(tmp_path, resume=resume, best="score")
        for step in run.steps(4):
            assert not resume or step > 2  # last.npz was written together with best.npz
            run.log(score=values[step - 1])
            if step == stop:
                break
    assert load(tmp_path / "best.npz")["step"] == 2
    assert load(tmp_path / "last.npz")["best"] == 1.0


def test_killed_between_best_and_last_the_improvement_is_found_again(tmp_path, monkeypatch):
    values = [5.0, 4.0, 1.0, 3.0, 2.0]
    real_save = Run._save

    def die_after_best(self, name):
        path = real_save(self, name)
        if name == "best" and self.step == 3:
            raise ZeroDivisionError
        return path

    for resume in (False, True):
        run = Run(tmp_path, resume=resume, best="score")
        try:
            with monkeypatch.context() as patch:
                if not resume:
                    patch.setattr(Run, "_save", die_after_best)
                for step in run.steps(5):
                    run.log(score=values[step - 1])
        except ZeroDivisionError:
            assert load(tmp_path / "last.npz")["step"] == 2
    assert load(tmp_path / "best.npz")["step"] == 3
    assert load(tmp_path / "last.npz")["best"] == 1.0


def test_checkpoints_by_seconds(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    run, seen = Run(tmp_path, save_seconds=60), []
    for _ in run.steps(100):
        path = tmp_path / "last.npz"
        seen.append(load(path)["step"] if path.exists() else 0)
        clock[0] += 25
    assert seen[:8] == [0, 0, 0, 3, 3, 3, 6, 6]


def test_config_and_versions_are_kept(tmp_path):
    train(tmp_path, 2)
    kept = json.loads((tmp_path / "config.json").read_text())
    assert kept["config"] == {"n": 2} and kept["seed"] == 11
    assert kept["versions"]["numpy"] == np.__version__


# --- what does not fit ----------------------------------------------------------------------


def test_another_architecture_is_one_error_and_nothing_is_lost(tmp_path):
    train(tmp_path, 12, stop=11, save_every=10)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    message = r"resume: .*last.npz does not fit 'toy': p has shape \(3,\), expected \(5,\)"
    with pytest.raises(RuntimeError, match=message):
        train(tmp_path, 12, resume=True, size=5)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_forgotten_and_unknown_objects(tmp_path):
    train(tmp_path, 2)
    toy = Toy()
    run = Run(tmp_path, resume=True)
    run.track(toy=toy, opt=toy.opt)
    for _ in range(2):  # again the second time
        with pytest.raises(RuntimeError, match="also holds the state of ema; pass the same"):
            next(run.steps(9))
    with pytest.raises(RuntimeError, match=r"last.npz holds no 'extra', only toy, opt, ema"):
        run.track(extra=toy)
    with pytest.raises(TypeError, match=r"Run.track: n \(int\) has no state_dict"):
        run.track(n=3)
    fresh = Run(tmp_path / "fresh")
    next(fresh.steps(2))
    with pytest.raises(RuntimeError, match="before the loop"):
        fresh.track(toy=toy)


def test_a_damaged_checkpoint_names_the_other_one(tmp_path):
    train(tmp_path, 3, best="loss")
    data = (tmp_path / "last.npz").read_bytes()
    (tmp_path / "last.npz").write_bytes(data[:-100])
    with pytest.raises(RuntimeError, match="last.npz is truncated.*; or try resume='best'"):
        train(tmp_path, 3, resume=True)
    save({"weights": 1}, tmp_path / "last.npz")
    with pytest.raises(RuntimeError, match="last.npz is not a checkpoint of a Run"):
        train(tmp_path, 3, resume=True)


def test_an_unusable_folder(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Run: cannot use the folder .*file: File exists"):
        Run(tmp_path / "file")
    with pytest.raises(OSError, match="Run: cannot use the folder .*Not a directory"):
        Run(tmp_path / "file" / "run")
    monkeypatch.setattr(os, "access", lambda *args: False)  # root may write anywhere
    with pytest.raises(PermissionError, match="Run: cannot use the folder .*Permission denied"):
        Run(tmp_path / "other")


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    default_generator.manual_seed(11)
    toy = Toy()
    run = Run(tmp_path, save_every=5)
    run.track(**toy.tracked())
    with pytest.raises(OSError, match="save: cannot write .*last.npz: No space left"):
        for step in run.steps(20):
            run.log(loss=toy.step())
            if step == 10:
                monkeypatch.setattr(run._log, "sync", lambda: None)
                monkeypatch.setattr(os, "fsync", full)
    monkeypatch.undo()
    assert load(tmp_path / "last.npz")["step"] == 5
    assert not list(tmp_path.glob(".*.tmp"))
    resumed, _ = train(tmp_path, 20, resume=True)
    whole, _ = train(tmp_path / "whole", 20)
    assert resumed.p._array.tobytes() == whole.p._array.tobytes()


def test_a_log_that_cannot_be_written(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    (tmp_path / "log.jsonl").symlink_to("/dev/full")
    run = Run(tmp_path)
    with pytest.raises(OSError, match="Run: cannot write .*log.jsonl: "):
        for _ in run.steps(3):
            run.log(loss=1.0)


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="expected mode 'min' or 'max', got 'most'"):
        Run(tmp_path, mode="most")
    run = Run(tmp_path)
    with pytest.raises(ValueError, match="Run.every: expected k >= 1, got 0"):
        run.every(0)
    with pytest.raises(TypeError, match="Run.log: loss is a str, not a number"):
        run.log(loss="low")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"save_every": 0}, ValueError, "Run: expected save_every >= 1, got 0"),
        ({"save_every": -1}, ValueError, "Run: expected save_every >= 1, got -1"),
        ({"save_every": 2.5}, TypeError, "Run: expected an integer save_every, got 2.5"),
        ({"save_seconds": -1}, ValueError, "Run: expected save_seconds >= 0, got -1"),
        ({"save_seconds": "9"}, TypeError, "Run: expected a number save_seconds, got '9'"),
        ({"resume": 3}, TypeError, "Run: expected resume to be a bool or a name, got 3"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_made(tmp_path, arguments, error, message):
    with pytest.raises(error, match=message):
        Run(tmp_path / "run", **arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("n", ["5", 2.0, None])
def test_a_number_of_steps_that_is_none(tmp_path, n):
    with pytest.raises(TypeError, match="Run.steps: expected an integer n, got"):
        Run(tmp_path).steps(n)
    with pytest.raises(ValueError, match="Run.steps: expected n >= 0, got -5"):
        Run(tmp_path).steps(-5)


def test_a_best_value_that_is_never_logged(tmp_path, capsys):
    with pytest.raises(ValueError, match="Run: best='lss', but no 'lss' was logged, only loss;"):
        train(tmp_path, 20, best="lss", save_every=8)
    said = capsys.readouterr().err
    assert said.count("no best.npz yet: no 'lss' was logged, only loss") == 1
    assert load(tmp_path / "last.npz")["step"] == 20  # all is saved first
    train(tmp_path / "late", 20, best="loss")
    train(tmp_path / "late", 25, best="loss", resume=True)


# --- NaN ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_stops(tmp_path, value):
    run = Run(tmp_path, save_every=5)
    message = rf"step 8: loss is {value}. The last good checkpoint is .*last.npz \(step 5\)"
    with pytest.raises(FloatingPointError, match=message):
        for step in run.steps(20):
            run.log(loss=wrap(np.float32(value if step == 8 else 1.0).reshape(())))
    assert load(tmp_path / "last.npz")["step"] == 5
    assert len(rows(tmp_path)) == 8 and not math.isfinite(rows(tmp_path)[-1]["loss"])


def test_nan_before_any_checkpoint(tmp_path):
    run = Run(tmp_path)
    with pytest.raises(FloatingPointError, match="step 1: kl is nan. No checkpoint was written"):
        for _ in run.steps(2):
            run.log(loss=1.0, kl=math.nan)


def test_a_checkpoint_with_nan_is_not_written(tmp_path):
    toy = Toy()
    run = Run(tmp_path, save_every=5)
    run.track(**toy.tracked())
    with pytest.raises(
        FloatingPointError, match=r"step 10: toy.p holds NaN; not saved.*\(step 5\)"
    ):
        for step in run.steps(20):
            toy.step()
            if step == 7:
                toy.p._array[1] = math.nan  # and nobody logs the loss
    assert load(tmp_path / "last.npz")["step"] == 5


def test_a_nan_is_named_when_it_is_loaded(tmp_path):
    train(tmp_path, 5, best="loss")
    state = load(tmp_path / "last.npz")
    state["objects"]["opt"]["state"][0]["exp_avg"]._array[2] = math.nan
    save(state, tmp_path / "last.npz")
    message = r"last.npz: opt.state.0.exp_avg holds NaN, which no Run saves; take.* resume='best'"
    with pytest.raises(FloatingPointError, match=message):
        train(tmp_path, 9, resume=True)


# --- the folder -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["removed", "moved", "log removed"])
def test_a_folder_that_goes_away_is_made_anew(tmp_path, capsys, how):
    folder = tmp_path / "run"
    default_generator.manual_seed(11)
    toy, run = Toy(), Run(folder, {"n": 20}, save_every=5, best="loss")
    run.track(**toy.tracked())
    for step in run.steps(20):
        if step == 13:
            if how == "removed":
                shutil.rmtree(folder)
            elif how == "moved":
                folder.rename(tmp_path / "elsewhere")
            else:
                (folder / "log.jsonl").unlink()
        run.log(loss=toy.step())
    assert "run or its log was removed; it begins anew at step 13" in capsys.readouterr().err
    assert [row["step"] for row in rows(folder)] == list(range(13, 21))
    assert load(folder / "last.npz")["step"] == 20 and load(folder / "best.npz")["step"] >= 13
    assert json.loads((folder / "config.json").read_text())["config"] == {"n": 20}
    if how == "moved":
        assert len(rows(tmp_path / "elsewhere")) == 12
    resumed, _ = train(folder, 25, resume=True)
    whole, _ = train(tmp_path / "whole", 25)
    assert resumed.p._array.tobytes() == whole.p._array.tobytes()


def test_a_lock_that_somebody_deletes_costs_nothing(tmp_path, capsys):
    run = Run(tmp_path)
    for step in run.steps(5):
        run.log(loss=1.0)
        if step == 3:
            (tmp_path / ".lock").unlink()
    assert len(rows(tmp_path)) == 5 and (tmp_path / ".lock").exists()
    assert "removed" not in capsys.readouterr().err


# --- pictures and progress ------------------------------------------------------------------


def test_pictures(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    run = Run(tmp_path)
    for _ in run.steps(20):
        if run.every(10):
            run.picture("grid", np.zeros((4, 1, 8, 8), np.float32))
        if run.last:
            run.picture("figure", Figure(figsize=(1, 1)))
    names = sorted(p.name for p in tmp_path.glob("*.png"))
    assert names == ["figure-00020.png", "grid-00010.png", "grid-00020.png"]
    assert all((tmp_path / n).read_bytes().startswith(b"\x89PNG") for n in names)


def test_pictures_are_listed_in_order_over_a_resume(tmp_path):
    pytest.importorskip("PIL")
    for resume, n in ((False, 9), (True, 12)):
        run = Run(tmp_path, resume=resume)
        for _ in run.steps(n):
            if run.every(3):
                run.picture("lab", np.zeros((1, 1, 4, 4), np.float32))
                run.picture("lab-2", np.zeros((1, 1, 4, 4), np.float32))
    (tmp_path / "lab-100000.png").touch()  # of a longer run that was here before
    names = [path.name for path in run.pictures("lab")]
    assert names == ["lab-00003.png", "lab-00006.png", "lab-00009.png", "lab-00012.png"]


def test_drawing_samples_does_not_change_the_training(tmp_path):
    pytest.importorskip("PIL")
    run = Run(tmp_path)

    def samples():
        assert not is_grad_enabled()
        return default_generator.numpy.random((1, 1, 4, 4))

    before = default_generator.get_state()
    run.picture("samples", samples)
    assert default_generator.get_state() == before and is_grad_enabled()


def test_a_picture_without_the_packages_is_only_a_message(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert Run(tmp_path).picture("grid", np.zeros((1, 1, 2, 2))) is None
    assert "no picture grid-00000.png" in capsys.readouterr().err


def test_progress_lines_are_sparse(tmp_path, capsys):
    train(tmp_path, 1000)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step ")]
    assert 20 <= len(lines) <= 22
    assert lines[0].startswith("step 1/1000  loss ")
    assert lines[-1].startswith("step 1000/1000  loss ")


def test_the_time_it_will_take_is_told_once_and_early(tmp_path, monkeypatch, capsys):
    """The first steps, which are slow, count once; the others for what they take."""
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for step in Run(tmp_path).steps(1001):
        clock[0] += 1.0 if step < 10 else 0.5
        if step == 30:
            said = [line for line in capsys.readouterr().err.splitlines() if "will take" in line]
    assert said == ["1001 steps will take about 8 min"]  # 9 s + 992 times 0.5 s
    assert "will take" not in capsys.readouterr().err
    assert [words(s) for s in (40.2, 840, 11_500)] == ["40 s", "14 min", "3.2 h"]


def test_the_first_picture_comes_soon_and_once(tmp_path, monkeypatch):
    clock, seen = [0.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    run = Run(tmp_path)
    for step in run.steps(90):
        clock[0] += 4.0
        seen += [step] * run.every(40, soon=30)
        assert run.every(40) == (step % 40 == 0)
    assert seen == [8, 40, 80]


def test_a_resumed_run_counts_all_seconds(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for n in (10, 15):
        run = Run(tmp_path, resume=True)
        for _ in run.steps(n):
            clock[0] += 2.0
        clock[0] += 100.0  # between two runs
    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    assert Run(tmp_path, resume=True).seconds == 30.0


def test_long_rounds_are_seen_to_pass(monkeypatch, capsys):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    for _ in through(range(10)):
        clock[0] += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "round 3/10  (6 s, 14 s left)" and len(lines) == 3
    assert list(through(range(3))) == [0, 1, 2] and not capsys.readouterr().err


def test_a_bar_on_a_terminal(tmp_path, monkeypatch):
    pytest.importorskip("tqdm")

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    run = Run(tmp_path)
    for step in run.steps(50):
        run.log(loss=0.125)
        if step == 25:
            run.say("half-way")
    text = terminal.getvalue()
    assert "50/50" in text and "loss=0.125" in text and "half-way\n" in text
    assert isinstance(run._progress, run_package.progress.Bar)


# --- signals and kills ----------------------------------------------------------------------


def start(folder, steps, *options):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(steps), *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent), "OPENBLAS_NUM_THREADS": "1"},
    )


def finish(folder, steps, *options):
    process = start(folder, steps, *options)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def assert_same_runs(a, b):
    assert_same(content(a / "last.npz"), content(b / "last.npz"))
    assert_same(content(a / "best.npz"), content(b / "best.npz"))
    assert rows(a) == rows(b)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, signum):
    process = start(tmp_path / "cut", 100_000)
    assert process.stdout.readline() == "1\n"
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signum, errors
    step = load(tmp_path / "cut" / "last.npz")["step"]
    assert f"stopped after step {step} of 100000; all is in" in errors
    assert "--resume" in errors and "Traceback" not in errors
    finish(tmp_path / "cut", step + 20, "--resume")
    finish(tmp_path / "whole", step + 20)
    assert_same_runs(tmp_path / "cut", tmp_path / "whole")


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_a_closed_terminal_saves(tmp_path):
    """For real: the terminal hangs up, which sends SIGHUP and makes every print an error."""
    import fcntl
    import pty
    import termios

    outside, inside = pty.openpty()
    folder = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), "1000000", "--every", "1"],
        stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "PYTHONPATH": str(SCRIPT.parent.parent), "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    os.close(inside)
    while not (folder / "last.npz").exists():
        os.read(outside, 10_000)
    os.close(outside)
    assert process.wait(timeout=60) == 128 + signal.SIGHUP
    assert load(folder / "last.npz")["step"] == rows(folder)[-1]["step"]
    assert not (folder / ".lock").exists()


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_nohup_stays_nohup(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        for _ in Run(tmp_path).steps(3):
            signal.raise_signal(signal.SIGHUP)
        assert load(tmp_path / "last.npz")["step"] == 3
    finally:
        signal.signal(signal.SIGHUP, before)


# --- one process at a time ------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_two_processes_in_one_folder(tmp_path):
    process = start(tmp_path / "run", 10**9, "--every", 5)
    process.stdout.readline()
    message = (
        rf"run is in use: process {process.pid} on {socket.gethostname()}, since 2.*, trains in it"
    )
    for resume in (False, True, "best"):
        with pytest.raises(RuntimeError, match=message):
            Run(tmp_path / "run", resume=resume)
    _, errors = start(tmp_path / "run", 10**9).communicate(timeout=60)
    assert "is in use" in errors and os.listdir(tmp_path) == ["run"]  # not moved aside
    process.kill()
    process.communicate(timeout=60)
    assert (tmp_path / "run" / ".lock").read_text().startswith(f"process {process.pid} ")
    step = load(tmp_path / "run" / "last.npz")["step"]
    finish(tmp_path / "run", step + 20, "--resume")
    assert not (tmp_path / "run" / ".lock").exists()
    finish(tmp_path / "whole", step + 20)
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_of_many_processes_at_once_one_gets_the_folder(tmp_path):
    code = """
import sys
from tinygen.run import Run, through
from tinygen.run.progress import words
input()
try:
    run = Run(sys.argv[1], resume=True)
    print("mine", flush=True)
except RuntimeError:
    print("in use", flush=True)
input()
"""
    for _ in range(2):  # the second time with the lock that a killed process has left
        (tmp_path / ".lock").write_text("process 1 on elsewhere, since long ago,")
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )
            for _ in range(5)
        ]  # fmt: skip
        for racer in racers:
            racer.stdin.write("\n")
            racer.stdin.flush()
        said = [racer.stdout.readline().strip() for racer in racers]
        for racer in racers:
            racer.kill()
            racer.communicate()
        assert sorted(said) == ["in use"] * 4 + ["mine"]


@pytest.mark.skipif(os.name != "posix", reason="flock")
def test_a_run_that_waits_while_its_folder_is_moved_aside_takes_no_part(tmp_path):
    """Constructed before another process starts anew in the folder, begun after that."""
    train(tmp_path / "run", 3)
    waiting = Run(tmp_path / "run")
    waiting._lock.release()  # as move_aside has to, for a moment
    process = start(tmp_path / "run", 10**9, "--every", 5)
    process.stdout.readline()
    assert (tmp_path / "run.1").exists()
    with pytest.raises(RuntimeError, match=f"run is in use: process {process.pid} "):
        next(waiting.steps(5))
    process.kill()
    process.communicate(timeout=60)


def test_one_process_may_start_again_in_its_folder(tmp_path):
    first = Run(tmp_path / "run")
    for _ in first.steps(3):
        first.log(loss=1.0)
    second = Run(tmp_path / "run")  # a notebook's cell, executed again
    for _ in second.steps(2):
        second.log(loss=1.0)
    del first
    assert (tmp_path / "run" / ".lock").exists() and not (tmp_path / "run.1" / ".lock").exists()
    del second, _
    assert not (tmp_path / "run" / ".lock").exists()


def test_the_second_ctrl_c_stops_at_once(tmp_path):
    run = Run(tmp_path)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        for _ in run.steps(3):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_killed_at_random_moments(tmp_path):
    """After every SIGKILL all checkpoints load; in the end the run is the uninterrupted one."""
    rng = random.Random(KILLS)
    cut, in_the_act, step, kills = tmp_path / "cut", 0, 0, 0
    while kills < KILLS or (in_the_act <= KILLS / 10 and kills < 6 * KILLS):
        kills += 1
        process = start(cut, 10**9, "--every", 1, "--resume")
        if rng.random() < 0.9:
            process.stdout.readline()  # the first step is done: from now on it writes and writes
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL, errors
        in_the_act += bool(list(cut.glob(".*.tmp")))
        for path in cut.glob("*.npz"):
            reached = load(path)["step"]
        if (cut / "last.npz").exists():
            reached = load(cut / "last.npz")["step"]
            assert reached >= step
            step = reached
    assert in_the_act > KILLS / 10  # or the kills came at harmless moments
    print(f"{kills} kills, {in_the_act} while a file was being written, step {step}")
    finish(cut, step + 20, "--resume")
    finish(tmp_path / "whole", step + 20)
    assert_same_runs(cut, tmp_path / "whole")
    assert not list(cut.glob(".*.tmp"))

"""A script's options are checked before anything runs, and its errors are one line."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinygen import backend
from tinygen.run import count, device, fraction, non_negative, options, positive, whole
from tinygen.run.script import in_a_line


@pytest.mark.parametrize(
    ("kind", "good", "bad", "expected"),
    [
        (count, {"1": 1, "20": 20}, ["0", "-1", "1.5", "x", "", "nan"], "an integer >= 1"),
        (whole, {"0": 0, "7": 7}, ["-1", "0.5", "x"], "an integer >= 0"),
        (positive, {"1e-3": 1e-3, "2": 2.0}, ["0", "-1", "nan", "inf", "x"], "a number > 0"),
        (non_negative, {"0": 0.0, "1.5": 1.5}, ["-1", "nan", "-inf", ""], "a number >= 0"),
        (fraction, {"0": 0.0, "1": 1.0}, ["-0.1", "1.1", "nan"], r"a number in \[0, 1\]"),
        (device, {"cpu": "cpu"}, ["gpu", "cuda:1", "CPU", ""], "cpu or cuda"),
    ],
)
def test_types(
    kind: Callable[[str], Any], good: dict[str, Any], bad: list[str], expected: str
) -> None:
    for text, value in good.items():
        assert kind(text) == value and type(kind(text)) is type(value)
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=f"expected {expected}, got {text!r}"):
            kind(text)


def test_cuda_is_refused_where_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "problem", lambda: "CuPy is not installed: pip install it")
    with pytest.raises(argparse.ArgumentTypeError, match="cuda: CuPy is not installed: pip"):
        device("cuda")
    monkeypatch.setattr(backend, "problem", lambda: "")
    assert device("cuda") == "cuda"


def test_a_wrong_option_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # put back afterwards
    parser = options("What it does.\n\n    as it stands")
    parser.prog = "thing.py"
    parser.add_argument("--epochs", type=count, default=3)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--epochs", "0"])
    said = capsys.readouterr().err
    assert stop.value.code == 2
    assert said == (
        "thing.py: argument --epochs: expected an integer >= 1, got '0' "
        "(--help explains the options)\n"
    )
    assert vars(parser.parse_args([])) == {"epochs": 3}  # --debug is no part of the configuration
    assert "What it does.\n\n    as it stands" in parser.format_help()


@pytest.mark.parametrize(
    ("words", "epochs"), [("", 300), ("--data fashion", 3), ("--data fashion --epochs 5", 5)]
)
def test_a_data_set_has_its_own_number_of_epochs(
    words: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    parser = options("What it does.", "thing", epochs={"digits": 300, "others": 3})
    assert parser.parse_args(words.split()).epochs == epochs
    assert "passes over the training data (digits 300, others 3)" in parser.format_help()
    parser.set_defaults(epochs=7)  # a script's own, as --demo has
    assert parser.parse_args([]).epochs == 7


def _noted() -> Exception:
    error = RuntimeError("first")
    error.add_note("and a note")
    return error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such thing"), "no such thing"),
        (OSError(28, "save: cannot write it"), "save: cannot write it"),
        (FileNotFoundError(2, "No such file", "a.txt"), "[Errno 2] No such file: 'a.txt'"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError(), "ValueError: "),
        (MemoryError(), "MemoryError: "),
        (_noted(), "first and a note"),
    ],
)
def test_an_error_in_a_line(error: Exception, text: str) -> None:
    assert in_a_line("thing.py", error) == f"thing.py: {text} (--debug shows where)"


SCRIPT = """
from tinygen.run import options
parser = options(__doc__)
parser.add_argument("--error", default="ValueError")
args = parser.parse_args()
raise getattr(__builtins__, args.error)("what went wrong")
"""


@pytest.mark.parametrize("debug", [False, True])
def test_a_script_ends_without_a_traceback(tmp_path: Path, debug: bool) -> None:
    (tmp_path / "thing.py").write_text(SCRIPT)
    said = {}
    for error in ("ValueError", "KeyError", "KeyboardInterrupt"):
        command = [sys.executable, "thing.py", "--error", error, *["--debug"] * debug]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode != 0
        said[error] = done.stderr
    assert all(("Traceback" in text) == debug for text in said.values())
    if not debug:
        assert said["ValueError"] == "thing.py: what went wrong (--debug shows where)\n"
        assert said["KeyError"].startswith("thing.py: KeyError: 'what went wrong'")
        assert said["KeyboardInterrupt"] == "thing.py: interrupted\n"

"""The housekeeping of a training loop that stays a plain `for`.

    run = Run("runs/vae", config=vars(args), resume=args.resume)
    run.track(model=model, opt=opt, loader=loader)
    for step, (x,) in zip(run.steps(10_000), loader.forever()):     # steps first
        loss = model.loss(x)
        ...
        run.log(loss=loss)
        if run.every(500):
            run.picture("samples", lambda: model.sample(64))

Everything is in the run's folder: config.json, log.jsonl (one JSON object a step), last.npz and
best.npz (checkpoints), pictures. A checkpoint is the whole state at the end of a step, so a run
that was stopped, or killed, goes on with the very numbers it would have had. Steps count from 1:
step k is the k-th update.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..backend import default_generator
from ..checks import integers, numbers, positive
from ..plot.figure import left_out
from ..serialization import find_nan, save
from .checkpoint import give_back, read, states
from .folder import Log, changes, move_aside, prepare, record, remove_temporaries, write_record
from .lock import hold
from .pictures import draw, drawn
from .progress import Lines, Signals, progress

__all__ = ["Run"]


class Run:
    """A folder that a training run lives in.

    config: what the run was started with (a dict, or an argparse or dataclass object); kept in
        config.json beside the versions and the seed.
    system: the slug of the system that is trained (models.SYSTEMS); kept, with the config, in every
        checkpoint, so that models.restore(file) makes the model again.
    resume: True goes on from last.npz (says so and starts anew if there is none), "best" from
        best.npz. False starts anew; a run that is in the folder already is moved aside.
    save_every, save_seconds: a checkpoint whenever so many steps or seconds have passed since the
        last one; None for never. There is always one at the end, on Ctrl-C, on SIGTERM and when
        the terminal is closed.
    best, mode: the name of a logged value whose "min" or "max" is kept as best.npz.

    One process at a time has the folder: RuntimeError says who else is in it. A folder that is
    removed or moved away during the training is made anew.

    >>> import os, tempfile
    >>> from tinygen.run import Run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = Run(folder, config={"lr": 0.1})
    ...     for step in run.steps(3):
    ...         run.log(loss=1 / step)
    ...     sorted(name for name in os.listdir(folder) if name[0] != ".")
    ['config.json', 'last.npz', 'log.jsonl']
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        config: Any = None,
        resume: bool | str = False,
        *,
        system: str | None = None,
        save_every: int | None = None,
        save_seconds: float | None = 60.0,
        best: str | None = None,
        mode: str = "min",
    ) -> None:
        if not isinstance(resume, (bool, str)):
            raise TypeError(f"Run: expected resume to be a bool or a name, got {resume!r}")
        if mode not in ("min", "max"):
            raise ValueError(f"Run: expected mode 'min' or 'max', got {mode!r}")
        if save_every is not None:
            positive("Run", save_every=save_every)
        if save_seconds is not None:
            numbers("Run", 0, save_seconds=save_seconds)
        self.folder = Path(folder)
        self.step = 0  # the step in progress, or the last one done
        self.best_value: float | None = None
        self._best, self._sign = best, 1.0 if mode == "min" else -1.0
        self._save_every, self._save_seconds = save_every, save_seconds
        self._system = system
        self._objects: dict[str, Any] = {}
        self._row: dict[str, Any] = {}
        self._logged: set[str] = set()
        self._seconds, self._began = 0.0, time.monotonic()
        self._saved: tuple[Path, int] | None = None  # the last good checkpoint and its step
        self._last_save, self._n = self._began, 0
        self._looked: int | None = None  # the step of the first look, see every()
        self._in_loop = self._started = False
        self._progress = Lines(0, 0)
        self._resume = bool(resume)
        self._record = record(config)
        prepare(self.folder)
        self._lock = hold(self.folder)
        self._checkpoint = self._find_checkpoint(resume)
        if self._checkpoint is not None:
            for line in changes(self.folder, self._record):
                self.say(f"resuming with another {line}")

    # --- for the script -----------------------------------------------------------------------

    def track(self, **objects: Any) -> None:
        """Save these with every checkpoint; when resuming, give them their state back now.

        Anything with state_dict and load_state_dict (modules, optimizers, schedules, EMA, loaders)
        and Generators. The default generator is always kept. Raises RuntimeError if the checkpoint
        does not fit.
        """
        if self._started:
            raise RuntimeError("Run.track: call it before the loop over steps()")
        for name, obj in objects.items():
            if not (hasattr(obj, "load_state_dict") or hasattr(obj, "set_state")):
                raise TypeError(
                    f"Run.track: {name} ({type(obj).__name__}) has no state_dict and "
                    "load_state_dict, nor get_state and set_state"
                )
            self._objects[name] = obj
            if self._checkpoint is not None and self._saved is not None:
                give_back(self._saved[0], name, obj, self._checkpoint["objects"])

    def steps(self, n: int) -> Iterator[int]:
        """The steps that are left up to step `n`: 1 .. n, or from where the checkpoint stands.

        Zipped with a loader it must come first, so that a checkpoint is written before the next
        batch is drawn. A second loop goes on from the first one's last step. ValueError at the
        end, when all is saved, if no value named `best` was ever logged.
        """
        integers("Run.steps", 0, n=n)
        return self._loop(n)

    def _loop(self, n: int) -> Iterator[int]:
        self._start()
        if self.step >= n:
            self.say(f"step {self.step} of {n}: nothing left to do")
            return
        self._n, self._in_loop = n, True
        self._progress = progress(self.step, n)
        self._last_save = time.monotonic()
        signals = Signals()
        try:
            while self.step < n:
                self.step += 1
                yield self.step
                stopped = signals.received  # one that comes while saving waits for the next step
                self._end_step(bool(stopped))
                if stopped:
                    self._leave(stopped)
            if complaint := self._missing_best():
                raise ValueError(f"Run: best={self._best!r}, but {complaint}; there is no best.npz")
        finally:
            self._in_loop = False
            signals.restore()
            self._write_row()
            self._progress.close()

    @property
    def last(self) -> bool:
        """Is this the last step of the loop?"""
        return self.step == self._n

    @property
    def seconds(self) -> float:
        """The seconds that the run has taken, before a resume too."""
        return self._seconds + time.monotonic() - self._began

    def every(self, k: int, soon: float = math.inf) -> bool:
        """True at the steps k, 2k, 3k, ...; and at the first after `soon` seconds of this process.

        soon is for pictures, which one would not wait an hour for; it leaves no trace in training.
        """
        positive("Run.every", k=k)
        if self._looked is None and time.monotonic() - self._began >= soon:
            self._looked = self.step
        return self.step % k == 0 or (soon < math.inf and self._looked == self.step)

    def log(self, **values: Any) -> None:
        """Note numbers of this step; one line a step goes to log.jsonl, the newest to the screen.

        A value that is NaN or infinite stops the run: FloatingPointError names it, the step and
        the last good checkpoint.
        """
        for name, value in values.items():
            number = self._row[name] = value.item() if hasattr(value, "item") else value
            self._logged.add(name)
            if not isinstance(number, (int, float)):
                raise TypeError(f"Run.log: {name} is a {type(value).__name__}, not a number")
        bad = [f"{name} is {v}" for name, v in self._row.items() if not math.isfinite(v)]
        if bad:
            self._write_row()
            raise FloatingPointError(f"step {self.step}: {', '.join(bad)}. {self._last_good()}")
        if not self._in_loop:
            self._write_row()

    def picture(self, name: str, what: Any, **options: Any) -> Path | None:
        """Write `name`-00500.png at step 500: a matplotlib Figure, or a batch of images as a grid.

        what: the picture, or a function that makes it; that function runs without recording, and
        the default generator stands afterwards where it stood before, so that looking at samples
        does not change the training. options: those of plot.save_image. Without the packages that
        draw it says so, and returns None; no word of it after plot.figure.leave_out.
        """
        self._start()
        if left_out():
            return None
        path = self.folder / f"{name}-{self.step:05d}.png"
        try:
            draw(path, what, options)
        except ImportError as error:
            self.say(f"no picture {path.name}: {error}")
            return None
        return path

    def pictures(self, name: str) -> list[Path]:
        """The files of picture(name, ...) up to this step, in order, those before a resume too."""
        return drawn(self.folder, name, self.step)

    def save(self) -> Path:
        """Write last.npz now; returns its path.

        Inside the loop: as the last thing in a step, e.g. before `break`. FloatingPointError where
        a state holds NaN: that is not saved.
        """
        self._start()
        self._write_row()
        return self._save("last")

    def say(self, text: str) -> None:
        """A line on stderr, above the progress bar if there is one."""
        self._progress.say(text)

    # --- folder and configuration -------------------------------------------------------------

    def _find_checkpoint(self, resume: bool | str) -> dict[str, Any] | None:
        if not resume:
            return None
        path = self.folder / ("last.npz" if resume is True else f"{resume}.npz")
        if not path.exists():
            self.say(f"nothing to resume: there is no {path}; starting at step 0")
            return None
        checkpoint = read(path)
        self.step, self.best_value = checkpoint["step"], checkpoint["best"]
        self._seconds, self._saved = checkpoint["seconds"], (path, self.step)
        self.say(f"resuming {path} at step {self.step}")
        return checkpoint

    def _start(self) -> None:
        """Once all is tracked: nothing in the folder has been changed before."""
        if self._started:
            self._return()
            return
        prepare(self.folder)
        self._lock = hold(self.folder)  # again: it may have been moved aside since
        checkpoint = self._checkpoint
        if checkpoint is not None:
            forgotten = sorted(set(checkpoint["objects"]) - set(self._objects))
            if forgotten:
                raise RuntimeError(
                    f"resume: the checkpoint also holds the state of {', '.join(forgotten)}; "
                    "pass the same objects to run.track()"
                )
            default_generator.set_state(checkpoint["rng"])
        elif (self.folder / "last.npz").exists() and not self._resume:
            self._lock.release()
            aside = move_aside(self.folder)
            self._lock = hold(self.folder)
            self.say(f"{self.folder} held a run; that is {aside} now (resume=True goes on with it)")
        self._checkpoint, self._started = None, True
        remove_temporaries(self.folder)
        write_record(self.folder, self._record)
        self._log = Log(self.folder)
        self._log.cut(checkpoint["log_bytes"] if checkpoint else 0)

    def _return(self) -> None:
        """Make the folder anew if it was removed, or moved away, since the last step."""
        if self._lock.is_in(self.folder) and self._log.is_there():
            return
        prepare(self.folder)
        self._lock = hold(self.folder)
        if not self._log.is_there():
            write_record(self.folder, self._record)
            self._log = Log(self.folder)
            self._saved = self.best_value = None
            self.say(f"{self.folder} or its log was removed; it begins anew at step {self.step}")

    # --- checkpoints --------------------------------------------------------------------------

    def _end_step(self, stopped: bool) -> None:
        self._return()
        improved = self._improved()
        self._progress.update(self.step, self._row)
        self._write_row()
        if improved:
            self._save("best")
        if improved or stopped or self.last or self._due():
            self._save("last")

    def _improved(self) -> bool:
        if self._best is None or self._best not in self._row:
            return False
        value = self._row[self._best]
        if self.best_value is not None and self._sign * value >= self._sign * self.best_value:
            return False
        self.best_value = value
        return True

    def _missing_best(self) -> str:
        """A complaint, unless a value named `best` was logged."""
        if self._best in (None, *self._logged) or self.best_value is not None:
            return ""
        return f"no {self._best!r} was logged, only {', '.join(sorted(self._logged)) or 'nothing'}"

    def _due(self) -> bool:
        if self._save_every is not None and self.step % self._save_every == 0:
            return True
        waited = time.monotonic() - self._last_save
        return self._save_seconds is not None and waited >= self._save_seconds

    def _save(self, name: str) -> Path:
        """Best first, then last: killed between the two, resume finds the improvement again."""
        objects = states(self._objects)
        broken = find_nan(objects)
        if broken:
            raise FloatingPointError(
                f"step {self.step}: {broken} holds NaN; not saved. {self._last_good()}"
            )
        self._log.sync()
        path = self.folder / f"{name}.npz"
        content = {
            "step": self.step,
            "best": self.best_value,
            "seconds": self.seconds,
            "log_bytes": self._log.size(),
            "rng": default_generator.get_state(),
            "system": self._system,
            "config": self._record["config"],
            "objects": objects,
        }
        save(content, path)
        if self._saved is None and not self.last and (complaint := self._missing_best()):
            self.say(f"no best.npz yet: {complaint}")
        self._saved, self._last_save = (path, self.step), time.monotonic()
        return path

    def _last_good(self) -> str:
        if self._saved is None:
            return "No checkpoint was written yet; try a smaller learning rate."
        path, step = self._saved
        how = True if path.stem == "last" else path.stem
        return f"The last good checkpoint is {path} (step {step}); resume={how!r} starts there."

    def _leave(self, signum: int) -> None:
        self._progress.close()
        self.say(
            f"stopped after step {self.step} of {self._n}; all is in {self.folder / 'last.npz'}. "
            "To go on: the same command with --resume, in code Run(..., resume=True)"
        )
        raise KeyboardInterrupt if hasattr(sys, "ps1") else SystemExit(128 + signum)

    # --- log ----------------------------------------------------------------------------------

    def _write_row(self) -> None:
        if not self._row:
            return
        row = {"step": self.step, **self._row, "seconds": round(self.seconds, 3)}
        self._row = {}
        self._start()
        self._log.write(row)

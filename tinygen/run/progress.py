"""What a running loop shows, and how it is interrupted: progress on stderr, signals held back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, TypeVar

__all__ = ["Bar", "Lines", "Signals", "progress", "through", "words"]

T = TypeVar("T")


class Signals:
    """Ctrl-C, SIGTERM or a closed terminal waits for the end of the step; the second one does not.

    A SIGHUP that is ignored (nohup) stays ignored.
    """

    def __init__(self) -> None:
        self.received = 0
        self._before: dict[int, Any] = {}
        if threading.current_thread() is not threading.main_thread():
            return
        signums = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signums.append(signal.SIGHUP)
        for signum in signums:
            self._before[signum] = signal.signal(signum, self._receive)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.received:
            self.restore()
            raise KeyboardInterrupt
        self.received = signum
        for descriptor in (1, 2):
            _mute_if_gone(descriptor)
        # os.write: print() may not be called again while it is at work
        os.write(2, b"\nfinishing the step and saving; once more (Ctrl-C) stops at once\n")

    def restore(self) -> None:
        """Give every signal back the handler that it had."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before = {}


def _mute_if_gone(descriptor: int) -> None:
    """Send what goes to a closed terminal nowhere: writing there would be an error."""
    try:
        os.write(descriptor, b"")
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def words(seconds: float) -> str:
    """A duration as people say it: 40 s, 14 min, 3.2 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class Lines:
    """Progress as plain lines, about twenty in all: for files, pipes and notebooks."""

    def __init__(self, start: int, n: int) -> None:
        self._start, self._n, self._began = start, n, time.monotonic()
        self._done: list[float] | None = []  # when each step was; None once all is told
        self._latest: dict[str, float] = {}

    def foretell(self, step: int) -> None:
        """Once, after 3 seconds and 20 steps, or after 15 seconds: how long the loop will take.

        The later half of the steps so far says how long one takes: the first may be slow.
        """
        if self._done is None:
            return
        now, k = time.monotonic(), len(self._done) // 2
        self._done.append(now)
        spent = now - self._began
        if k and spent >= 3.0 and (len(self._done) > 20 or spent >= 15.0):
            each = (now - self._done[k]) / (len(self._done) - 1 - k)
            whole = spent + each * (self._n - step)
            self.say(f"{self._n - self._start} steps will take about {words(whole)}")
            self._done = None

    def update(self, step: int, row: Mapping[str, float]) -> None:
        """Note the values of `row` after `step`; print a line when one is due."""
        self.foretell(step)
        self._latest.update(row)
        if step == self._start + 1 or step % max(1, self._n // 20) == 0 or step == self._n:
            spent = time.monotonic() - self._began
            left = spent / (step - self._start) * (self._n - step)
            values = "".join(f"  {name} {value:.4g}" for name, value in self._latest.items())
            self.say(f"step {step}/{self._n}{values}  ({spent:.0f} s, {left:.0f} s left)")

    def say(self, text: str) -> None:
        """Print a line on stderr."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Nothing to close here."""
        pass


class Bar(Lines):
    """Progress as a tqdm bar; ImportError without tqdm."""

    def __init__(self, start: int, n: int) -> None:
        from tqdm import tqdm

        super().__init__(start, n)
        self._bar = tqdm(total=n, initial=start, dynamic_ncols=True, unit="step")

    def update(self, step: int, row: Mapping[str, float]) -> None:
        """One step on, with the newest values beside the bar."""
        self.foretell(step)
        self._latest.update(row)
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in self._latest.items()}, refresh=False
        )
        self._bar.update()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the bar as it stands."""
        self._bar.close()


def through(rounds: Iterable[T]) -> Iterator[T]:
    """The rounds of something that takes long outside the loop; a line every 5 seconds."""
    rounds = list(rounds)
    began = said = time.monotonic()
    for k, item in enumerate(rounds, 1):
        yield item
        now = time.monotonic()
        if now - said >= 5.0:
            left, said = (now - began) / k * (len(rounds) - k), now
            line = f"round {k}/{len(rounds)}  ({words(now - began)}, {words(left)} left)"
            print(line, file=sys.stderr, flush=True)


def progress(start: int, n: int) -> Lines:
    """A Bar on a terminal that has tqdm, Lines elsewhere, from step `start` to `n`."""
    if sys.stderr.isatty():
        with suppress(ImportError):
            return Bar(start, n)
    return Lines(start, n)

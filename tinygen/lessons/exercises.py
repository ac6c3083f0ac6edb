"""The exercises of the lessons: each is judged by properties that a right answer has.

An exercise of lesson 7 is a function in `judges/lesson07.py` that asks an answer questions:

    @exercise("7.1")
    def kl(answer):
        expect(close(answer(0.0, 0.0), 0.0), "q = p here, so the divergence is 0.")

The first `expect` that fails ends it, and its text is the learner's hint, followed by what the
answer gave for which arguments. `expect` may have further hints: where the same one fails again,
the learner reads the next; the last of three gives the idea of the solution. An answer that returns
None is an exercise not begun; an answer that raises is told what it raised.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..tensor import Tensor

__all__ = ["Verdict", "exercise", "expect", "judge", "one_number", "registered"]

_JUDGES: dict[str, Callable[[Any], None]] = {}
_FAILED: dict[tuple[str, int], int] = {}  # how often an exercise failed at which line of its judge
_UNSAID = object()


@dataclass(frozen=True)
class Verdict:
    """What a judge says: is the answer right, and the line to print."""

    right: bool
    text: str


class Wrong(Exception):
    """A property does not hold: the hints, the line of the judge, the value to be shown."""

    def __init__(self, hints: tuple[str, ...], line: int, got: Any) -> None:
        super().__init__(hints[0])
        self.hints, self.line, self.got = hints, line, got


class Unanswered(Exception):
    """The stub is still there."""


def exercise(number: str) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register the judge of exercise `number` ("7.1"); ValueError if it has one already."""

    def register(judge: Callable[[Any], None]) -> Callable[[Any], None]:
        if number in _JUDGES:
            raise ValueError(f"exercise {number} has two judges")
        _JUDGES[number] = judge
        return judge

    return register


def expect(holds: Any, hint: str, *more: str, got: Any = _UNSAID) -> None:
    """Go on if `holds`; otherwise the answer is wrong and `hint` is what the learner reads.

    Args:
        more: the hints for the second time that it fails here, the third, ...
        got: the learner's own value, where it is not what the answer gave last.
    """
    if not holds:
        raise Wrong((hint, *more), sys._getframe(1).f_lineno, got)


def one_number(value: Any) -> float:
    """What the answer gave, as a float, where it is one number: a float, a Tensor, an array of 1.

    >>> import numpy as np
    >>> from tinygen.lessons.exercises import one_number
    >>> one_number(np.array([2.5]))
    2.5
    """
    array = np.asarray(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise Wrong(("One number is asked for.",), sys._getframe(1).f_lineno, _UNSAID)
    return float(array.reshape(()))


def judge(number: str, answer: Any) -> Verdict:
    """The verdict on an answer: a function, a number, an array, whatever the exercise asks for.

    Never raises for what an answer does; KeyError for a number that no exercise has.

    >>> from tinygen.lessons.exercises import judge
    >>> judge("9.4", None)
    Verdict(right=False, text='still open.')
    """
    registered(number.split(".")[0])
    if number not in _JUDGES:
        raise KeyError(f"there is no exercise {number}; there are {', '.join(sorted(_JUDGES))}")
    watch = _Watch(answer)
    try:
        _JUDGES[number](watch.answer)
    except Unanswered:
        return Verdict(False, "still open.")
    except Wrong as wrong:
        said = watch.said() if wrong.got is _UNSAID else f" You have {_shown(wrong.got)}."
        return Verdict(False, f"not yet. {_next_hint(number, wrong)}{said}")
    except Exception as error:  # whatever a learner's code does, the notebook runs on
        what = f"{type(error).__name__}: {error}"
        if error is watch.raised:
            return Verdict(False, f"your code raised {what}, called with {watch.arguments}.")
        return Verdict(False, f"not yet. That cannot be judged ({what}).{watch.said()}")
    for place in [place for place in _FAILED if place[0] == number]:
        del _FAILED[place]
    return Verdict(True, "right.")


def _next_hint(number: str, wrong: Wrong) -> str:
    """The first hint, and each time that the same line of the judge fails again the next."""
    step = min(_FAILED.get((number, wrong.line), 0), len(wrong.hints) - 1)
    _FAILED[number, wrong.line] = step + 1
    left = len(wrong.hints) - 1 - step
    return wrong.hints[step] + (
        f" ({left} more hint{'s' * (left > 1)}: try again.)" if left else ""
    )


def registered(lesson: str | int) -> list[str]:
    """The numbers of a lesson's exercises, in order.

    >>> from tinygen.lessons.exercises import registered
    >>> registered(9)
    ['9.1', '9.2', '9.3', '9.4']
    """
    importlib.import_module(f"{__package__}.judges.lesson{int(lesson):02d}")
    return sorted(number for number in _JUDGES if number.split(".")[0] == str(int(lesson)))


class _Watch:
    """An answer under observation: what it gave last, for which arguments, what it raised."""

    def __init__(self, answer: Any) -> None:
        self.given = answer
        self.is_called = callable(answer) and not isinstance(answer, type)
        self.raised: Exception | None = None
        self.arguments, self.value = "()", _UNSAID

    @property
    def answer(self) -> Any:
        """The answer; where it is a function, one that notices that it returned nothing."""
        if self.given is None or self.given is ...:
            raise Unanswered
        return self._call if self.is_called else self.given

    def _call(self, *args: Any, **options: Any) -> Any:
        named = [f"{name}={_shown(value)}" for name, value in options.items()]
        self.arguments, self.value = f"({', '.join([*map(_shown, args), *named])})", _UNSAID
        try:
            result = self.given(*args, **options)
        except NotImplementedError:
            raise Unanswered from None
        except Exception as error:
            self.raised = error
            raise
        if result is None or result is ...:
            raise Unanswered
        self.value = result
        return result

    def said(self) -> str:
        """What the learner gave, as a sentence; nothing for a class, or before the first call."""
        if self.is_called and self.value is not _UNSAID:
            called = f" for {self.arguments}" if len(self.arguments) <= 100 else ""
            return f" Your function gave {_shown(self.value)}{called}."
        page = isinstance(self.given, str) and "\n" in self.given  # the learner has it in view
        if self.is_called or page or isinstance(self.given, type):
            return ""
        return f" You gave {_shown(self.given)}."


def _shown(value: Any) -> str:
    """A value in a few words: numbers to five digits, large arrays by their beginning and shape.

    >>> import numpy as np
    >>> from tinygen.lessons.exercises import _shown
    >>> _shown((np.log(2), [1, 2], np.zeros((40, 3))))
    '(0.69315, [1, 2], [0, 0, 0, ...; shape (40, 3)])'
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, (float, np.floating)):
        return f"{value:.5g}"
    if isinstance(value, (bool, int, np.bool_, np.integer)):
        return str(value)
    if isinstance(value, (list, tuple)):
        inside = ", ".join([*map(_shown, value[:4]), *["..."] * (len(value) > 4)])
        return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
    if isinstance(value, np.ndarray) and value.size <= 6 and value.ndim <= 1:
        return _shown(value.tolist())
    if isinstance(value, np.ndarray):
        return f"[{', '.join(map(_shown, value.flat[:3]))}, ...; shape {value.shape}]"
    name = getattr(value, "__name__", type(value).__name__)
    return repr(value) if isinstance(value, str) and len(value) < 40 else f"<{name}>"

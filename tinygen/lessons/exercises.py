"""The exercises of the lessons: each is judged by properties that a right answer has.

An exercise of lesson 7 is a function in `judges/lesson07.py` that asks an answer questions:

    @exercise("7.1")
    def kl(answer):
        expect(close(answer(0.0, 0.0), 0.0), "q = p here, so the divergence is 0.")

The first `expect` that fails ends it, and its text is the learner's hint. An answer that returns
None is an exercise not begun; an answer that raises is told what it raised.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Verdict", "exercise", "expect", "judge", "registered"]

_JUDGES: dict[str, Callable[[Any], None]] = {}


@dataclass(frozen=True)
class Verdict:
    """What a judge says: is the answer right, and the line to print."""

    right: bool
    text: str


class Wrong(Exception):
    """A property does not hold; the message is the hint."""


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


def expect(holds: Any, hint: str) -> None:
    """Go on if `holds`; otherwise the answer is wrong and `hint` is what the learner reads."""
    if not holds:
        raise Wrong(hint)


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
    try:
        _JUDGES[number](_watched(answer))
    except Unanswered:
        return Verdict(False, "still open.")
    except Wrong as hint:
        return Verdict(False, f"not yet. {hint}")
    except Exception as error:  # whatever a learner's code does, the notebook runs on
        return Verdict(False, f"your code raised {type(error).__name__}: {error}")
    return Verdict(True, "right.")


def registered(lesson: str | int) -> list[str]:
    """The numbers of a lesson's exercises, in order.

    >>> from tinygen.lessons.exercises import registered
    >>> registered(9)
    ['9.1', '9.2', '9.3', '9.4']
    """
    importlib.import_module(f"{__package__}.judges.lesson{int(lesson):02d}")
    return sorted(number for number in _JUDGES if number.split(".")[0] == str(int(lesson)))


def _watched(answer: Any) -> Any:
    """The answer; where it is a function, one that notices that it returned nothing."""
    if answer is None or answer is ...:
        raise Unanswered
    if not callable(answer) or isinstance(answer, type):
        return answer

    def call(*args: Any, **options: Any) -> Any:
        try:
            result = answer(*args, **options)
        except NotImplementedError:
            raise Unanswered from None
        if result is None or result is ...:
            raise Unanswered
        return result

    return call

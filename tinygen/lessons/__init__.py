"""What the lesson notebooks stand on: equations checked, exercises judged, the list of lessons."""

from . import check
from .catalogue import Lesson, find_folder, lessons

__all__ = ["Lesson", "check", "find_folder", "lessons"]

"""What the lesson notebooks stand on: equations checked, exercises judged, the list of lessons."""

from . import check, figures
from .catalogue import Lesson, find_folder, lessons

__all__ = ["Lesson", "check", "figures", "find_folder", "lessons"]

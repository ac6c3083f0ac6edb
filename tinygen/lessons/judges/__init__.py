"""The judges of the lessons' exercises, a file a lesson."""

__all__: list[str] = []

"""The judges of the lessons' exercises, a file a lesson."""

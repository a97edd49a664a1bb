"""People and faces as points in three dimensions: computed once, kept in a file, shown by ``annotator web``."""

from typing import Final

USUAL_FACES: Final = 50_000
"""Tracks of the sample that the map shows, at most."""

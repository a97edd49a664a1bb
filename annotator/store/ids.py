"""How large the numbers are that columns of ids hold: databases refuse to be asked for larger ones."""

from typing import Final

LARGEST_ID: Final = 2**31 - 1
"""Of people, labellings, takedowns, groups of strangers."""

LARGEST_BIG_ID: Final = 2**63 - 1
"""Of what there are many of: media, contents, jobs."""

LARGEST_TRACK: Final = 2**15 - 1
"""Of the numbers that tracks have in their content."""

"""How attempts are numbered. The number fences out who had a media before, so it ascends; and it fits its column."""

from typing import Final

# A media that changes day by day for a lifetime gets here, and a smallint ends at 32,767.
_HIGHEST: Final = 32_000
_IS_FULL: Final = f"work.attempts >= {_HIGHEST}"

# The number of the next attempt where all earlier ones are forgotten. After the highest it begins anew: whoever holds
# one of those low numbers would have claimed the media thirty thousand attempts ago, in the same session.
NEXT_ATTEMPT: Final = f"CASE WHEN {_IS_FULL} THEN 1 ELSE work.attempts + 1 END"
# The same for a claim, as assignments: the tries that count (attempts less losses) are one more in both cases.
COUNT_ATTEMPT: Final = (
    f"attempts = CASE WHEN {_IS_FULL} THEN work.attempts - work.losses + 1 ELSE work.attempts + 1 END,"
    f" losses = CASE WHEN {_IS_FULL} THEN 0 ELSE work.losses END"
)

"""In which lane a media travels and what it costs, guessed from its key and size: one rule, for Python and for SQL.

Registration handles tens of thousands of media a second, so the database applies the rule to rows; everything else asks
for single media. A test holds both to the same answers.
"""

from typing import Final, Literal

Lane = Literal["gif", "film"]
GIF: Final = "gif"
FILM: Final = "film"
LANES: Final[tuple[Lane, ...]] = ("gif", "film")

_MIB: Final = 1 << 20
_FILM_BYTES: Final = 32 * _MIB
_SMALL_FILM_BYTES: Final = 8 * _MIB
_FILM_SUFFIXES: Final = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv")
_ENCODED_SUFFIXES: Final = tuple(suffix.encode() for suffix in _FILM_SUFFIXES)
# What a media costs, roughly; the size of a chunk and forecasts depend on it.
_COST_PER_MEDIA_MS: Final = 60
_COST_PER_MIB_MS: Final = 40


def lane_of(key: str, size_bytes: int | None) -> Lane:
    """Guess which lane is right; content decides later what it is.

    >>> lane_of("a/party.gif", 1000), lane_of("a/party.MP4", 9 << 20), lane_of("a/party.gif", 33 << 20)
    ('gif', 'film', 'film')
    """
    size = size_bytes or 0
    if size >= _FILM_BYTES:
        return FILM
    # Bytes know the capital letters of ASCII only, as lower() of both databases does.
    is_film = size >= _SMALL_FILM_BYTES and key.encode(errors="surrogatepass").lower().endswith(_ENCODED_SUFFIXES)
    return FILM if is_film else GIF


def cost_of(size_bytes: int | None) -> int:
    """Estimate the work, in milliseconds."""
    return _COST_PER_MEDIA_MS + _COST_PER_MIB_MS * (size_bytes or 0) // _MIB


_ENDS_AS_FILM: Final = " OR ".join(f"lower(key) LIKE '%{suffix}'" for suffix in _FILM_SUFFIXES)
# Of columns ``key`` (in byte order) and ``size_bytes``.
LANE_SQL: Final = (
    f"CASE WHEN size_bytes >= {_FILM_BYTES} THEN '{FILM}' WHEN size_bytes >= {_SMALL_FILM_BYTES}"
    f" THEN CASE WHEN {_ENDS_AS_FILM} THEN '{FILM}' ELSE '{GIF}' END ELSE '{GIF}' END"
)
COST_SQL: Final = f"{_COST_PER_MEDIA_MS} + {_COST_PER_MIB_MS} * coalesce(size_bytes, 0) / {_MIB}"

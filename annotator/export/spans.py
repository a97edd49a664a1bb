"""Times of people: spans without a break, and who is seen at once."""

from collections.abc import Iterable, Iterator, Sequence

Span = tuple[int, int]
"""Half-open, in milliseconds of presentation time."""


def union_of(shares: Iterable[Span]) -> list[Span]:
    """Return the union of spans: in order, apart from each other, none empty.

    >>> union_of([(100, 200), (0, 100), (150, 180), (300, 300), (400, 450)])
    [(0, 200), (400, 450)]
    """
    joined: list[Span] = []
    for start, end in sorted(share for share in shares if share[0] < share[1]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def seen_at_once(people: Sequence[Sequence[Span]]) -> Iterator[tuple[Span, tuple[int, ...]]]:
    """Yield spans in which the same people are seen, in order, with the places of these people in the sequence.

    Args:
        people: the spans of each person, as of :func:`union_of`.

    >>> list(seen_at_once([[(0, 200)], [(100, 200), (300, 400)]]))
    [((0, 100), (0,)), ((100, 200), (0, 1)), ((300, 400), (1,))]
    """
    changes: dict[int, list[tuple[int, bool]]] = {}
    for place, spans in enumerate(people):
        for start, end in spans:
            changes.setdefault(start, []).append((place, True))
            changes.setdefault(end, []).append((place, False))
    seen: set[int] = set()
    began_ms = 0
    for time_ms in sorted(changes):
        if seen:
            yield (began_ms, time_ms), tuple(sorted(seen))
        for place, is_seen in changes[time_ms]:
            (seen.add if is_seen else seen.discard)(place)
        began_ms = time_ms


def clock(time_ms: int, *, hour_digits: int = 2) -> str:
    """Return a time in hours, minutes, seconds and milliseconds.

    >>> clock(0), clock(3_723_004), clock(360_000_000), clock(5_033, hour_digits=1)
    ('00:00:00.000', '01:02:03.004', '100:00:00.000', '0:00:05.033')
    """
    seconds, rest_ms = divmod(time_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:0{hour_digits}}:{minutes:02}:{seconds:02}.{rest_ms:03}"

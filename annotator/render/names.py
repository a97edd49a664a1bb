"""What the pictures of media are called, in one folder."""

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from annotator.types import MediaRef


def picture_names(media: Sequence[MediaRef], *, given: Collection[str]) -> dict[str, PurePosixPath]:
    """Choose a relative path for the pictures of each media: as short as it can be without sharing it.

    A media that was named itself keeps its own name alone, one found in a folder keeps its path below that folder.
    Where two would share a path, both get a longer one: the id, else the address.

    Args:
        media: all that are drawn into one folder.
        given: the sources as the user wrote them.

    Returns:
        Paths by uri; they stay within the folder.

    >>> given = ["/home/ann/x.gif", "/home/bob/x.gif", "https://host.example/a/y.gif?size=1"]
    >>> [str(name) for name in picture_names([MediaRef(one, one) for one in given], given=given).values()]
    ['home/ann/x.gif', 'home/bob/x.gif', 'y.gif']
    """
    waiting = {one.uri: _candidates(one, is_given=one.media_id in given) for one in media}
    while True:
        taken = Counter(names[0] for names in waiting.values())
        sharing = [names for names in waiting.values() if taken[names[0]] > 1 and len(names) > 1]
        if not sharing:
            return {uri: names[0] for uri, names in waiting.items()}
        for names in sharing:
            del names[0]


def _candidates(media: MediaRef, *, is_given: bool) -> list[PurePosixPath]:
    whole = _safe_path(media.media_id)
    shortest = [PurePosixPath(whole.name)] if is_given else []
    return [*shortest, whole, _safe_path(media.uri)]


def _safe_path(address: str) -> PurePosixPath:
    """Return a path or URL as a relative path that leads nowhere else."""
    parts = urlsplit(address)
    name = f"{parts.netloc}/{unquote(parts.path)}" if parts.scheme and parts.path else address
    kept = [part.replace("\x00", "") for part in PurePosixPath(name).parts if part not in {"/", "//", "..", "."}]
    return PurePosixPath(*kept) if kept else PurePosixPath("media")

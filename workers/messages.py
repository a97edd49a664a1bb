"""The message of a chunk, read strictly: it comes over a network, and who can write to the broker can send anything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from workers.app import MESSAGE_VERSION

MAX_MEDIA: Final = 128
_MAX_ID: Final = (1 << 63) - 1  # of a bigint


class MalformedMessageError(ValueError):
    """A message that is none of ours; says what is wrong with it, never what is in it."""


@dataclass(frozen=True, slots=True)
class ChunkMessage:
    """Media that travel together.

    Attributes:
        chunk_id: the chunk's row.
        media_ids: rows of media.

    """

    chunk_id: int
    media_ids: tuple[int, ...]


def parse_chunk_message(args: Sequence[Any], given: Mapping[str, Any]) -> ChunkMessage:
    """Read the arguments of a message.

    Args:
        args: those without a name; there must be none.
        given: those with a name.

    Raises:
        MalformedMessageError: they are not exactly version, chunk and media, with ids that can be.

    >>> parse_chunk_message((), {"v": 1, "chunk_id": 7, "media_ids": [1, 2]})
    ChunkMessage(chunk_id=7, media_ids=(1, 2))
    """
    if args or set(given) != {"v", "chunk_id", "media_ids"}:
        raise MalformedMessageError("it has other fields than v, chunk_id and media_ids")
    if type(given["v"]) is not int or given["v"] != MESSAGE_VERSION:
        raise MalformedMessageError(f"its version is not {MESSAGE_VERSION}")
    media_ids = given["media_ids"]
    if not isinstance(media_ids, list) or not 1 <= len(media_ids) <= MAX_MEDIA:
        raise MalformedMessageError(f"media_ids is no list of 1 to {MAX_MEDIA}")
    if not all(_is_id(one) for one in [given["chunk_id"], *media_ids]):
        raise MalformedMessageError("an id is no positive whole number")
    return ChunkMessage(given["chunk_id"], tuple(media_ids))


def _is_id(value: object) -> bool:
    return type(value) is int and 0 < value <= _MAX_ID  # True and False are whole numbers for Python

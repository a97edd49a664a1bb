"""What pages call media: an upload lies under its digest, and is called as whoever gave it called it."""

from collections.abc import Iterable

from sqlalchemy import Connection

from annotator.store.web.media import names_given
from annotator.web.pages.media import is_digest, short_name


def titles_of(connection: Connection, media: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return what media are called in pages, by their numbers.

    Args:
        connection: any.
        media: their numbers and addresses.

    """
    addresses = dict(media)
    given = names_given(connection, [media_id for media_id, uri in addresses.items() if is_digest(uri)])
    return {media_id: given.get(media_id) or short_name(uri) for media_id, uri in addresses.items()}

"""What media are called: an upload lies under its digest, and is called as whoever gave it called it."""

import re
from collections.abc import Collection, Iterable
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from sqlalchemy import Connection, select

from annotator.store.tables import web_jobs

_DIGEST: Final = re.compile("[0-9a-f]{64}")


def titles_of(connection: Connection, media: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Return what media are called, by their numbers.

    Args:
        connection: any.
        media: their numbers and addresses.

    """
    addresses = dict(media)
    given = names_given(connection, addresses)
    return {media_id: given.get(media_id) or short_name(uri) for media_id, uri in addresses.items()}


def title_of(connection: Connection, media_id: int, uri: str) -> str:
    """Return what one media is called."""
    return titles_of(connection, [(media_id, uri)])[media_id]


def names_given(connection: Connection, addresses: dict[int, str]) -> dict[int, str]:
    """Return what those files are called that lie under a digest, by whoever gave them first; without all others.

    Args:
        connection: any.
        addresses: of media, by their numbers.

    """
    # Files alone: what is typed for an address is the address itself, whose query need not be published.
    uploads = [media_id for media_id, uri in addresses.items() if uri.startswith("file:") and is_digest(uri)]
    return _first_names(connection, uploads)


def _first_names(connection: Connection, media_ids: Collection[int]) -> dict[int, str]:
    if not media_ids:
        return {}
    newest_first = (
        select(web_jobs.c.media_id, web_jobs.c.name)
        .where(web_jobs.c.media_id.in_(sorted(media_ids)))
        .order_by(web_jobs.c.id.desc())
    )
    return dict(connection.execute(newest_first).all())


def short_name(uri: str) -> str:
    """Return the last part of an address; of a digest, as uploads are named, the beginning.

    What cannot be seen, and what turns the words around it, is told as «�».

    >>> short_name("s3://gifs/tv/rachel%20waits.gif"), short_name("https://example.org/")
    ('rachel waits.gif', 'https://example.org/')
    >>> short_name("s3://gifs/a%E2%80%AEgpj.gif")
    'a�gpj.gif'
    >>> short_name(f"file:///uploads/{'0123456789abcdef' * 4}.gif")
    '0123456789….gif'
    """
    path = PurePosixPath(urlsplit(uri).path)
    if is_digest(uri):
        return f"{path.stem[:10]}…{path.suffix}"
    return "".join(letter if letter.isprintable() else "�" for letter in unquote(path.name)) or uri


def is_digest(uri: str) -> bool:
    """Say whether the last part of an address is a SHA-256 in hexadecimal and an ending: nothing that people read."""
    return _DIGEST.fullmatch(PurePosixPath(urlsplit(uri).path).stem) is not None

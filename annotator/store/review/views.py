"""How often media are viewed, kept so that what most people see is reviewed first."""

import itertools
import math
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, Engine, select

from annotator.store.connection import writing
from annotator.store.registry import dialect_insert, find_media
from annotator.store.tables import media, media_views
from annotator.types import MediaRef

_AT_ONCE = 1_000


def keep_views(engine: Engine, views: Iterable[tuple[str, float]]) -> int:
    """Keep how often media are viewed, in place of what was known of them; return how many are known now.

    Args:
        engine: of the database.
        views: keys or URIs of media with their views; those of media that are not there are left out.

    """
    kept = 0
    rest = iter(views)
    while some := dict(itertools.islice(rest, _AT_ONCE)):
        with writing(engine) as connection:
            kept += _keep(connection, some)
    return kept


def _keep(connection: Connection, views: dict[str, float]) -> int:
    sound = {name: number for name, number in views.items() if "\x00" not in name and 0 <= number < math.inf}
    found = _by_uri(connection, [name for name in sound if "://" in name])
    found |= _by_key(connection, [name for name in sound if "://" not in name])
    rows = [{"media_id": media_id, "views": sound[name]} for media_id, name in sorted(found.items())]
    if rows:
        written = dialect_insert(connection, media_views)
        changed = {"views": written.excluded.views}
        connection.execute(written.on_conflict_do_update(index_elements=["media_id"], set_=changed), rows)
    return len(rows)


def _by_uri(connection: Connection, uris: Sequence[str]) -> dict[int, str]:
    rows = find_media(connection, [MediaRef(uri, uri) for uri in uris])
    return {row.id: uri for uri, row in rows.items()}


def _by_key(connection: Connection, keys: Sequence[str]) -> dict[int, str]:
    rows = connection.execute(select(media.c.id, media.c.key).where(media.c.key.in_(keys))) if keys else ()
    return {media_id: key for media_id, key in rows}  # noqa: C416 - rows are no pairs to the type checker

"""Who the people of a gallery are in a database, and what they are called now."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from annotator.errors import ConfigError
from annotator.recognition.gallery import Gallery
from annotator.store.identities import ids_of
from annotator.store.labellings import Labelling, load_labelling
from annotator.store.tables import active, labellings


def labelling_of(connection: Connection, gallery: Gallery, digest: str) -> Labelling:
    """Return the labelling of a gallery: the one that is shown if it is that one, else the newest.

    Args:
        connection: any.
        gallery: the people.
        digest: of the gallery with its thresholds (``Identifier.digest``).

    Raises:
        ConfigError: nothing is labelled by it.

    """
    in_use = select(active.c.labelling_id).scalar_subquery()
    found = connection.execute(
        select(labellings.c.id)
        .where(labellings.c.digest == digest, labellings.c.retired_at.is_(None))
        .order_by((labellings.c.id == in_use).desc(), labellings.c.id.desc())
        .limit(1)
    ).scalar_one_or_none()
    if found is None:
        raise ConfigError(
            f"nothing is labelled by {gallery.model} yet: `annotator annotate SOURCE` does it,"
            f" and for what is annotated `annotator relabel --activate`"
        )
    return load_labelling(connection, int(found))


def identity_ids(connection: Connection, gallery: Gallery) -> Sequence[int]:
    """Return the ids of a gallery's people, in its order.

    Raises:
        ConfigError: somebody is not in the database.

    """
    known = ids_of(connection, [one.name for one in gallery.identities])
    missing = [one.name for one in gallery.identities if one.name not in known]
    if missing:
        raise ConfigError(f"{len(missing):,} people of {gallery.model} are not in the database: `annotator relabel`")
    return [known[one.name] for one in gallery.identities]

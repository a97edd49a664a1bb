"""What there is, in a few numbers that cost nothing at any size."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from annotator.store.tables import active, identities, labellings


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is.

    Attributes:
        media: how many are in which state, by the word of the view ``media_states``.
        people: who can be named.
        model: whose names are shown; None in an empty database.

    """

    media: dict[str, int]
    people: int
    model: str | None


def overview_of(connection: Connection) -> Overview:
    """Return what there is, of the active labelling."""
    states = connection.execute(text("SELECT status, sum(media) AS media FROM media_states GROUP BY status"))
    people = select(func.count()).select_from(identities).where(identities.c.merged_into.is_(None))
    model = select(labellings.c.model).join(active, active.c.labelling_id == labellings.c.id)
    return Overview(
        media={row.status: int(row.media) for row in states},
        people=connection.execute(people).scalar_one(),
        model=connection.execute(model).scalar_one_or_none(),
    )

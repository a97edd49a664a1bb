"""What a takedown leaves to people: kept from step to step, so that one that was killed still says it at its end."""

from collections.abc import Sequence

from sqlalchemy import Engine, select, update

from annotator.store.connection import writing
from annotator.store.tables import takedowns


def keep_left(engine: Engine, takedown_id: int, sentences: Sequence[str]) -> list[str]:
    """Add to what is left to do, and return all of it; a sentence that is there already is not added.

    Args:
        engine: of the database.
        takedown_id: of one that has not ended.
        sentences: which name nobody.

    """
    this = takedowns.c.id == takedown_id
    with writing(engine) as connection:
        kept = connection.execute(select(takedowns.c.left_to_do).where(this)).scalar_one() or []
        left = list(dict.fromkeys([*kept, *sentences]))
        connection.execute(update(takedowns).where(this).values(left_to_do=left))
    return left

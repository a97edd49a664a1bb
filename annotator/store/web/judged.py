"""How many of a person's names people have looked at, and how many of these were right."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from annotator.store.corrections.applying import SURE
from annotator.store.registry import active_labelling
from annotator.store.tables import overruled_labels, track_labels


@dataclass(frozen=True, slots=True)
class Judged:
    """Names that the model has given and people have judged.

    Attributes:
        right: somebody has said that it is the person.
        wrong: somebody has said that it is not, or is somebody else.

    """

    right: int
    wrong: int


def judged_names(connection: Connection, person_ids: Collection[int]) -> Judged:
    """Return how the names of a person were judged, of the labelling that is shown.

    Args:
        connection: any.
        person_ids: all ids that mean the person.

    """
    said, now = overruled_labels, track_labels
    rows = connection.execute(
        select(said.c.candidates, now.c.identity_id, now.c.confidence)
        .join_from(
            said,
            now,
            (now.c.labelling_id == said.c.labelling_id)
            & (now.c.content_id == said.c.content_id)
            & (now.c.track_no == said.c.track_no),
            isouter=True,
        )
        .where(said.c.labelling_id == active_labelling(connection))
    )
    right = wrong = 0
    for row in rows:
        if not row.candidates or row.candidates[0][0] not in person_ids:
            continue
        if row.identity_id not in person_ids:
            wrong += 1
        elif row.confidence == SURE:  # else the word was about somebody else
            right += 1
    return Judged(right, wrong)

"""What people have said, read back, and what it comes to for the tracks of a content."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, text

from annotator.store.codec import StoredBoxes, decode_boxes
from annotator.store.corrections.matching import find_pieces
from annotator.store.dialect import given_ids, ids_param

CorrectionVerdict = Literal["is", "is not"]

_WORDS: Final = """
SELECT c.id, c.content_id, c.boxes, c.verdict, i.survivor_id
FROM corrections c JOIN identities i ON i.id = c.identity_id
WHERE c.withdrawn_at IS NULL AND c.content_id {given} ORDER BY c.id
"""


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """One correction that was not withdrawn.

    Attributes:
        correction_id: ascending in the order in which they were said.
        boxes: where and when the face was seen.
        verdict: ``"is"`` or ``"is not"``.
        identity_id: who; of somebody who was merged, the person who took over.

    """

    correction_id: int
    boxes: StoredBoxes
    verdict: CorrectionVerdict
    identity_id: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """What people have said of one track, all in all.

    Attributes:
        is_person: who it is; None where nobody has said that, or it was taken back since by «not».
        are_not: who it is not.

    """

    is_person: int | None
    are_not: frozenset[int]


NOTHING: Final = Ruling(None, frozenset())
"""Nothing holds of a track any more: what was said is taken back."""


def words_on(connection: Connection, content_ids: Collection[int]) -> dict[int, list[Word]]:
    """Return what was said of tracks of contents and not withdrawn, in the order of saying; most contents have none."""
    if not content_ids:
        return {}
    statement = text(_WORDS.format(given=given_ids(connection)))
    found: dict[int, list[Word]] = defaultdict(list)
    for row in connection.execute(statement, {"ids": ids_param(connection, sorted(content_ids))}):
        boxes = decode_boxes(bytes(row.boxes))
        found[row.content_id].append(Word(row.id, boxes, row.verdict, int(row.survivor_id)))
    return dict(found)


def tracks_meant(word: Word, its_tracks: Mapping[int, StoredBoxes]) -> list[int]:
    """Return the numbers of the tracks of which a word holds, that which overlaps most first.

    Where a network has cut what was one track, «is» holds of the longest piece alone, for another one may show somebody
    else; whoever it is not is not on any of them.
    """
    pieces = find_pieces(word.boxes, its_tracks)
    return pieces[:1] if word.verdict == "is" else pieces


def rule(words: Sequence[Word], its_tracks: Mapping[int, StoredBoxes]) -> dict[int, Ruling]:
    """Return what words come to for the tracks of a content, by number; those of which nobody speaks are left out.

    The newest word on a track and a person counts. Who is said to be one person is no other one any more.

    Args:
        words: in the order of saying.
        its_tracks: boxes of the content's tracks, by number.

    """
    rulings: dict[int, Ruling] = {}
    for word in words:
        this = frozenset([word.identity_id])
        for place, track_no in enumerate(find_pieces(word.boxes, its_tracks)):
            former = rulings.get(track_no, NOTHING)
            if word.verdict == "is not":
                is_person = None if former.is_person == word.identity_id else former.is_person
                rulings[track_no] = Ruling(is_person, former.are_not | this)
            else:
                # Of other pieces it is taken back that they are not this person, and no more is said.
                is_person = word.identity_id if place == 0 else former.is_person
                rulings[track_no] = Ruling(is_person, former.are_not - this)
    return {track_no: ruling for track_no, ruling in rulings.items() if ruling != NOTHING}

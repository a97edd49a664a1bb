"""The bounds of numbers are those of the columns that hold them."""

import pytest
from sqlalchemy import BigInteger, Column, Integer, SmallInteger

from annotator.store.ids import LARGEST_BIG_ID, LARGEST_ID, LARGEST_TRACK
from annotator.store.tables import (
    contents,
    identities,
    labellings,
    media,
    networks,
    takedowns,
    track_groups,
    tracks,
    web_jobs,
)

BITS = {LARGEST_TRACK: 16, LARGEST_ID: 32, LARGEST_BIG_ID: 64}


def bits_of(column: Column[int]) -> int:
    of_type = {SmallInteger: 16, BigInteger: 64, Integer: 32}  # the other two are Integers, too
    return next(bits for kind, bits in of_type.items() if isinstance(column.type, kind))


@pytest.mark.parametrize("bound", BITS)
def test_a_bound_is_what_a_number_of_so_many_bits_with_a_sign_may_be(bound: int) -> None:
    assert bound == 2 ** (BITS[bound] - 1) - 1


@pytest.mark.parametrize(
    ("column", "bound"),
    [
        (identities.c.id, LARGEST_ID),
        (labellings.c.id, LARGEST_ID),
        (networks.c.id, LARGEST_ID),
        (takedowns.c.id, LARGEST_ID),
        (track_groups.c.group_no, LARGEST_ID),
        (media.c.id, LARGEST_BIG_ID),
        (contents.c.id, LARGEST_BIG_ID),
        (web_jobs.c.id, LARGEST_BIG_ID),
        (tracks.c.track_no, LARGEST_TRACK),
    ],
    ids=str,
)
def test_a_column_holds_numbers_up_to_its_bound(column: Column[int], bound: int) -> None:
    assert bits_of(column) == BITS[bound]

"""Objects that may not be read, and buckets that let nothing be read."""

import pytest

from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim
from annotator.types import KnownMedia, MediaFailure, MediaRef
from workers.annotating.engine import Breakdown
from workers.annotating.refusals import MOST_REFUSALS, Refusals


def media(number: int, bucket: str = "clips") -> MediaRef:
    return MediaRef(f"{number}.gif", f"s3://{bucket}/{number}.gif")


def refused(one: MediaRef) -> MediaFailure:
    return MediaFailure(one, "fake@1", "forbidden", "403", is_transient=False)


def claims_of(*some: MediaRef) -> list[Claim]:
    return [Claim(n, 1, 1, one, Piece(n, one.media_id, 1), suspect=False, tries=1) for n, one in enumerate(some, 1)]


class Judged:
    def __init__(self) -> None:
        self.refusals = Refusals("fake@1")

    def reasons(self, *numbers: int, bucket: str = "clips") -> set[str]:
        """Let media be refused; return what they are said to have failed of."""
        verdicts = [self.refusals.judge(refused(media(number, bucket))) for number in numbers]
        return {one.reason for one in verdicts if isinstance(one, MediaFailure)}

    def read(self, number: int) -> None:
        known = KnownMedia(media(number), "0" * 64)
        assert self.refusals.judge(known) is known

    def tried(self, *some: MediaRef) -> list[MediaRef]:
        return [one.media for one in self.refusals.choose(claims_of(*some))[0]]


def test_no_media_of_a_bucket_that_refuses_everything_is_at_fault() -> None:
    judged = Judged()
    assert judged.reasons(*range(100)) == {"bucket_refused"}


def test_an_object_is_at_fault_where_others_of_its_bucket_are_read() -> None:
    judged = Judged()
    judged.read(1)
    for first in (10, 40, 70):
        assert judged.reasons(*range(first, first + MOST_REFUSALS - 1)) == {"forbidden"}
        judged.read(2)
    assert judged.reasons(3, bucket="others") == {"bucket_refused"}, "of that one nothing was read"


def test_a_bucket_whose_right_is_taken_away_under_way_fails_no_more_than_a_few() -> None:
    judged = Judged()
    judged.read(1)
    assert judged.reasons(*range(100, 100 + MOST_REFUSALS - 1)) == {"forbidden"}
    assert judged.reasons(*range(200, 1000)) == {"bucket_refused"}


def test_one_media_that_is_refused_again_and_again_closes_no_bucket() -> None:
    judged = Judged()
    judged.read(1)
    assert judged.reasons(*[2] * 100) == {"forbidden"}


def test_of_a_message_one_media_of_a_closed_bucket_is_tried_and_all_of_others() -> None:
    judged = Judged()
    judged.reasons(*range(MOST_REFUSALS))
    mixed = [media(50), media(51), media(52, "others"), media(53, "others"), media(54)]
    tried, others = judged.refusals.choose(claims_of(*mixed))
    assert [one.media for one in tried] == [mixed[0], mixed[2], mixed[3]]
    assert [(claim.media, failure.media) for claim, failure in others] == [(one, one) for one in (mixed[1], mixed[4])]
    assert {(failure.reason, failure.is_transient) for _, failure in others} == {("bucket_refused", True)}


def test_a_closed_bucket_is_open_again_when_something_was_read_from_it() -> None:
    judged = Judged()
    judged.reasons(*range(MOST_REFUSALS - 1))
    both = [media(50), media(51)]
    assert judged.tried(*both) == both, "it is not closed yet"
    judged.reasons(MOST_REFUSALS)
    assert judged.tried(*both) == both[:1]
    judged.read(50)
    assert judged.tried(*both) == both


@pytest.mark.parametrize("reason", ["undecodable", "not_found"])
def test_a_bucket_that_says_anything_else_of_an_object_has_answered(reason: str) -> None:
    judged = Judged()
    failure = MediaFailure(media(1), "fake@1", reason, "why", is_transient=False)
    assert judged.refusals.judge(failure) is failure
    assert judged.reasons(2) == {"forbidden"}


def test_passing_trouble_and_other_sources_say_nothing_of_a_bucket() -> None:
    judged = Judged()
    away = MediaFailure(media(1), "fake@1", "source_unavailable", "503", is_transient=True)
    broken = Breakdown(refused(media(1)), was_alone=True)
    elsewhere = refused(MediaRef("a.gif", "https://example.org/a.gif"))
    for outcome in (away, broken, elsewhere):
        assert judged.refusals.judge(outcome) is outcome
    assert judged.reasons(2) == {"bucket_refused"}

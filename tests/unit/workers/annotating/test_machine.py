"""A machine at fault: when its worker rests, and for how long."""

import pytest

from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim
from annotator.types import KnownMedia, MediaFailure, MediaRef
from workers.annotating.engine import Breakdown
from workers.annotating.machine import MOST_FAULTS, Machine


def media(number: int) -> MediaRef:
    return MediaRef(f"{number}.gif", f"s3://clips/{number}.gif")


CLAIMS = [Claim(n, 1, 1, media(n), Piece(n, f"{n}.gif", 1), suspect=False, tries=1) for n in range(1, 4)]


class Watched:
    """A machine whose clock is ours."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.reasons: list[str] = []
        self.machine = Machine(on_rest=self.reasons.append, clock=lambda: self.now_s)

    def fails(self, *numbers: int, reason: str = "local_disk") -> None:
        for number in numbers:
            self.machine.look(MediaFailure(media(number), "fake@1", reason, "why", is_transient=True))

    def succeeds(self) -> None:
        self.machine.look(KnownMedia(media(0), "0" * 64))

    def rests(self) -> float:
        """Let a rest pass; return how long it was."""
        rest_s = self.machine.rest_s
        self.now_s += rest_s
        assert self.machine.rest_s == 0
        return rest_s


@pytest.mark.parametrize("reason", ["local_disk", "machine_limit", "decoder_killed", "device_memory"])
def test_it_rests_after_a_few_different_media_in_a_row(reason: str) -> None:
    watched = Watched()
    watched.fails(*range(MOST_FAULTS - 1), reason=reason)
    assert watched.rests() == 0
    watched.fails(MOST_FAULTS, reason=reason)
    watched.fails(*range(100), reason=reason)  # what was in hand
    assert watched.rests() == 60.0
    assert watched.reasons == [reason]


def test_rests_grow_until_a_media_is_annotated() -> None:
    watched = Watched()
    watched.fails(*range(MOST_FAULTS))
    waits = [watched.rests()]
    for number in range(5):
        watched.fails(number)
        waits.append(watched.rests())
    assert waits == [60.0, 240.0, 600.0, 600.0, 600.0, 600.0]
    assert watched.machine.choose(CLAIMS) == (CLAIMS[:1], CLAIMS[1:])
    watched.succeeds()
    assert watched.machine.choose(CLAIMS) == (CLAIMS, ())
    watched.fails(*range(MOST_FAULTS - 1))
    assert watched.rests() == 0
    watched.fails(MOST_FAULTS)
    assert watched.rests() == 60.0


def test_one_media_alone_or_with_successes_in_between_proves_nothing() -> None:
    watched = Watched()
    watched.fails(*[1] * 100)
    for number in range(100):
        watched.fails(number)
        watched.succeeds()
    assert watched.rests() == 0


def test_faults_of_media_and_of_others_are_not_the_machines() -> None:
    watched = Watched()
    for reason in ("undecodable", "source_unavailable", "store_unavailable", "internal", "bucket_refused"):
        watched.fails(*range(100), reason=reason)
    assert watched.rests() == 0


def test_a_breakdown_counts_once_whoever_was_under_way() -> None:
    watched = Watched()
    for number in range(100):
        failure = MediaFailure(media(number), "fake@1", "device_memory", "why", is_transient=True)
        watched.machine.look(Breakdown(failure, was_alone=False))
    assert watched.rests() == 0
    watched.fails(*range(MOST_FAULTS - 1), reason="device_memory")
    watched.machine.look(Breakdown(failure, was_alone=True))
    assert watched.rests() == 60.0

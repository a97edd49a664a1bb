"""What becomes of a media that failed."""

import pytest

from annotator import errors
from annotator.store.chunks import Piece
from annotator.store.tables import WorkState
from annotator.store.work import Claim
from annotator.types import MediaFailure, MediaRef
from workers.retry import POLICIES, policy_of, report_failure

MEDIA = MediaRef("a.gif", "s3://clips/a.gif", '"1"')


def claim_of(tries: int) -> Claim:
    return Claim(1, 1, tries, MEDIA, Piece(1, "a.gif", 1), suspect=False, tries=tries)


def failure_of(error: type[errors.AnnotatorError]) -> MediaFailure:
    is_transient = issubclass(error, errors.TransientError)
    return MediaFailure(MEDIA, "fake@1", error.reason, "why\x00", is_transient=is_transient)


@pytest.mark.parametrize("error", [errors.UndecodableMediaError, errors.SourceNotFoundError, errors.DecodeTimeoutError])
def test_faults_of_the_media_are_final(error: type[errors.AnnotatorError]) -> None:
    report = report_failure(claim_of(1), failure_of(error), max_tries=5)
    assert (report.state, report.reason, report.delay_s) == (WorkState.FAILED, error.reason, None)
    assert report.message == "why", "a row takes no NUL"


def test_passing_trouble_waits_longer_each_time_and_then_is_final() -> None:
    failure = failure_of(errors.SourceUnavailableError)
    waits = [report_failure(claim_of(tries), failure, max_tries=5).delay_s for tries in (1, 2, 3, 4, 5)]
    assert waits == [5.0, 20.0, 80.0, 320.0, None]
    assert report_failure(claim_of(5), failure, max_tries=5).state == WorkState.FAILED


def test_a_changed_object_is_read_as_it_is_now() -> None:
    report = report_failure(claim_of(1), failure_of(errors.SourceChangedError), max_tries=5)
    assert (report.state, report.forgets_etag) == (WorkState.PENDING, True)


def test_a_fault_of_ours_is_tried_again() -> None:
    internal = MediaFailure(MEDIA, "fake@1", "internal", "unexpected", is_transient=True)
    assert policy_of(internal).retries


def test_every_error_of_the_package_that_a_media_can_have_has_a_policy() -> None:
    for error in (errors.InputError, errors.TransientError):
        for one in [error, *error.__subclasses__()]:
            assert policy_of(failure_of(one)).retries == issubclass(one, errors.TransientError), one
    assert errors.ModelError not in POLICIES

"""What becomes of a media that failed."""

from random import Random

import pytest

from annotator import errors
from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim
from annotator.store.tables import WorkState
from annotator.types import MediaFailure, MediaRef
from workers.annotating.retry import POLICIES, RetryPolicy, policy_of, policy_of_error, report_breakdown, report_failure

MEDIA = MediaRef("a.gif", "s3://clips/a.gif", '"1"')


def claim_of(tries: int) -> Claim:
    return Claim(1, 1, tries, MEDIA, Piece(1, "a.gif", 1), suspect=False, tries=tries, free_tries=tries - 1)


def failure_of(error: type[errors.AnnotatorError]) -> MediaFailure:
    is_transient = issubclass(error, errors.TransientError)
    return MediaFailure(MEDIA, "fake@1", error.reason, "why\x00", is_transient=is_transient)


@pytest.mark.parametrize("error", [errors.UndecodableMediaError, errors.SourceNotFoundError, errors.DecodeTimeoutError])
def test_faults_of_the_media_are_final(error: type[errors.AnnotatorError]) -> None:
    report = report_failure(claim_of(1), failure_of(error), max_tries=5)
    assert (report.state, report.reason, report.delay_s) == (WorkState.FAILED, error.reason, None)
    assert report.message == "why", "a row takes no NUL"


def test_passing_trouble_waits_longer_each_time_and_then_is_final() -> None:
    failure = failure_of(errors.AnnotatorError)
    waits = [report_failure(claim_of(tries), failure, max_tries=5).delay_s for tries in (1, 2, 3, 4, 5)]
    assert waits == [5.0, 20.0, 80.0, 320.0, None]
    assert report_failure(claim_of(5), failure, max_tries=5).state == WorkState.FAILED


def test_a_bucket_that_is_away_for_a_day_costs_no_media_a_try() -> None:
    failure = failure_of(errors.SourceUnavailableError)
    waited_s, claims = 0.0, 0
    while True:
        claims += 1
        claim = Claim(1, 1, claims, MEDIA, Piece(1, "a.gif", 1), suspect=False, tries=1, free_tries=claims - 1)
        report = report_failure(claim, failure, max_tries=5)
        if report.state == WorkState.FAILED:
            break
        assert report.costs_no_try
        assert report.delay_s is not None
        assert report.delay_s <= 600.0
        waited_s += report.delay_s
    assert 23 * 3600 < waited_s < 25 * 3600
    ours = MediaFailure(MEDIA, "fake@1", "internal", "unexpected", is_transient=True)
    after_an_outage = Claim(1, 1, 100, MEDIA, Piece(1, "a.gif", 1), suspect=False, tries=1, free_tries=99)
    assert report_failure(after_an_outage, ours, max_tries=5).state == WorkState.PENDING


def test_the_first_outage_of_a_media_that_was_claimed_a_thousand_times_is_its_first() -> None:
    claim = Claim(1, 1, 1000, MEDIA, Piece(1, "a.gif", 1), suspect=False, tries=1)
    report = report_failure(claim, failure_of(errors.SourceUnavailableError), max_tries=5)
    assert (report.state, report.delay_s) == (WorkState.PENDING, 5.0)


def test_waits_are_spread_within_a_quarter_and_the_same_seed_gives_the_same_waits() -> None:
    failure = failure_of(errors.SourceUnavailableError)

    def waits(seed: int) -> list[float | None]:
        random = Random(seed)  # noqa: S311 - no secret
        drawn = [random.random() for _ in range(200)]
        return [report_failure(claim_of(2), failure, max_tries=5, luck=luck).delay_s for luck in drawn]

    given = [wait_s for wait_s in waits(1) if wait_s is not None]
    assert len(given) == 200
    assert 15.0 <= min(given) < 16.0
    assert 24.0 < max(given) <= 25.0
    assert waits(1) == given
    assert waits(2) != given
    assert RetryPolicy().wait_s(1000, luck=1.0) == 750.0, "a long series stays bounded"


def test_a_changed_object_is_read_as_it_is_now() -> None:
    report = report_failure(claim_of(1), failure_of(errors.SourceChangedError), max_tries=5)
    assert (report.state, report.forgets_etag) == (WorkState.PENDING, True)


def test_a_fault_of_ours_is_tried_again() -> None:
    internal = MediaFailure(MEDIA, "fake@1", "internal", "unexpected", is_transient=True)
    assert policy_of(internal).retries


def test_who_was_under_way_with_others_when_the_engine_broke_pays_nothing_and_runs_alone() -> None:
    internal = MediaFailure(MEDIA, "fake@1", "internal", "unexpected", is_transient=True)
    report = report_breakdown(claim_of(5), internal, was_alone=False, max_tries=5)
    assert (report.state, report.gives_back, report.runs_alone) == (WorkState.PENDING, True, True)
    assert report.delay_s == 5.0
    assert report.reason == "internal"


def test_who_broke_the_engine_alone_is_named_after_its_tries() -> None:
    internal = MediaFailure(MEDIA, "fake@1", "internal", "unexpected", is_transient=True)
    first = report_breakdown(claim_of(1), internal, was_alone=True, max_tries=5)
    assert (first.state, first.gives_back, first.runs_alone) == (WorkState.PENDING, False, True)
    last = report_breakdown(claim_of(5), internal, was_alone=True, max_tries=5)
    assert (last.state, last.reason) == (WorkState.FAILED, "internal")


def classes_of_errors() -> list[type[errors.AnnotatorError]]:
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.AnnotatorError)]
    return [one for one in found if one.__module__ == errors.__name__]


@pytest.mark.parametrize("error", classes_of_errors())
def test_every_class_of_errors_has_a_policy_of_its_own(error: type[errors.AnnotatorError]) -> None:
    assert error in POLICIES, "say in workers/annotating/retry.py what becomes of a media that has this error"
    policy = policy_of_error(error.__new__(error))
    assert policy is POLICIES[error]
    assert policy.retries == (issubclass(error, errors.TransientError) or error is errors.AnnotatorError)
    assert policy.stops_worker == issubclass(error, errors.ModelError | errors.ConfigError)
    assert policy_of(failure_of(error)) is policy


def test_every_reason_names_one_class() -> None:
    reasons = [one.reason for one in classes_of_errors()]
    assert len(set(reasons)) == len(reasons) == len(POLICIES)


def test_what_is_no_error_of_the_package_is_tried_again() -> None:
    policy = policy_of_error(ZeroDivisionError("a fault of ours"))
    assert policy.retries
    assert not policy.stops_worker

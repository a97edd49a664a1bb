"""What becomes of a media that failed: the only map from error class to retry policy."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from annotator.errors import (
    AccountError,
    AnnotatorError,
    ArchivedSourceError,
    BacklogStoppedError,
    BacklogTakenError,
    BrokerUnavailableError,
    BucketRefusedError,
    BusyError,
    ChangedMeanwhileError,
    ConfigError,
    CorrectionError,
    DeadlineError,
    DecoderKilledError,
    DecodeTimeoutError,
    DeviceMemoryError,
    EnrollmentError,
    ForbiddenSourceError,
    GroupingTakenError,
    IdentityError,
    InputError,
    LocalDiskError,
    MachineLimitError,
    MediaTooLargeError,
    ModelError,
    ModelsBusyError,
    RegisteredMeanwhileError,
    RelabellingTakenError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    StoreUnavailableError,
    StrangerError,
    TakenDownError,
    TransientError,
    UndecodableMediaError,
    UnsupportedMediaError,
)
from annotator.store.messages import clean_message
from annotator.store.queue.work import Claim, Report
from annotator.store.tables import WorkState
from annotator.types import MediaFailure

INTERNAL: Final = "internal"
"""The reason of what is no error of the package: a fault of ours, or of a library."""

_MAX_EXPONENT: Final = 30  # far beyond the longest wait; a number of thousands of tries is too large for a float


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a media is tried again.

    The waits of the default are about 5, 20, 80, 320 and then always 600 seconds. Each is drawn anew between three and
    five quarters of that, so that workers which lost their bucket at the same moment do not all come back at the
    same moment. They are spent in the database (``not_before``), never in a worker's memory.

    >>> [RetryPolicy().wait_s(tries) for tries in (1, 2, 3, 4, 5, 6)]
    [5.0, 20.0, 80.0, 320.0, 600.0, 600.0]
    >>> [RetryPolicy().wait_s(1, luck=luck) for luck in (0.0, 0.5, 1.0)]
    [3.75, 5.0, 6.25]

    Attributes:
        retries: whether at all.
        first_wait_s: after the first try.
        factor: by which each wait is longer than the one before.
        max_wait_s: the longest wait, before it is spread.
        spread: by which part a wait may be shorter or longer.
        max_free_tries: after which it is given up, where a failure costs no try. None where it costs one, and the
            setting says how many there are.
        forgets_etag: read the object as it is now, instead of the version that was registered.
        stops_worker: the worker is at fault, not the media, which goes back; this worker cannot go on.

    """

    retries: bool = True
    first_wait_s: float = 5.0
    factor: float = 4.0
    max_wait_s: float = 600.0
    spread: float = 0.25
    max_free_tries: int | None = None
    forgets_etag: bool = False
    stops_worker: bool = False

    def wait_s(self, tries: int, *, luck: float = 0.5) -> float:
        """Return the wait after so many tries.

        Args:
            tries: at least one.
            luck: drawn evenly from [0, 1]; what is reported in one transaction shares it and travels together again.

        """
        wait_s = min(self.first_wait_s * self.factor ** min(tries - 1, _MAX_EXPONENT), self.max_wait_s)
        return wait_s * (1 + self.spread * (2 * luck - 1))


NEVER: Final = RetryPolicy(retries=False)
STOP: Final = RetryPolicy(retries=False, stops_worker=True)
# A bucket that is away is no fault of the media that lie in it: 5 s, 20 s, … 10 min, and so on for about a day.
_A_DAY: Final = 148
_OUTAGE: Final = RetryPolicy(max_free_tries=_A_DAY)
# Memory or room for processes that is short is the machine's fault, or one large media finds too little everywhere:
# about five hours.
_SHORTAGE: Final = RetryPolicy(first_wait_s=30.0, max_free_tries=30)

# The most exact class wins. A test holds every class of annotator/errors.py against this map.
POLICIES: Final[Mapping[type[AnnotatorError], RetryPolicy]] = MappingProxyType(
    {
        AnnotatorError: RetryPolicy(),
        InputError: NEVER,
        UnsupportedMediaError: NEVER,
        UndecodableMediaError: NEVER,
        MediaTooLargeError: NEVER,
        DecodeTimeoutError: NEVER,
        ForbiddenSourceError: NEVER,
        ArchivedSourceError: NEVER,
        SourceNotFoundError: NEVER,
        EnrollmentError: NEVER,
        IdentityError: NEVER,
        CorrectionError: NEVER,
        TakenDownError: NEVER,
        StrangerError: NEVER,
        AccountError: NEVER,
        BacklogStoppedError: NEVER,
        TransientError: RetryPolicy(),
        BacklogTakenError: RetryPolicy(),
        BusyError: RetryPolicy(),
        ModelsBusyError: RetryPolicy(),
        RelabellingTakenError: RetryPolicy(),
        GroupingTakenError: RetryPolicy(),
        BrokerUnavailableError: RetryPolicy(),
        RegisteredMeanwhileError: RetryPolicy(first_wait_s=1.0),
        SourceUnavailableError: _OUTAGE,
        BucketRefusedError: _OUTAGE,
        SourceChangedError: RetryPolicy(first_wait_s=1.0, forgets_etag=True),
        LocalDiskError: RetryPolicy(first_wait_s=60.0, max_free_tries=_A_DAY),
        MachineLimitError: _SHORTAGE,
        DecoderKilledError: _SHORTAGE,
        StoreUnavailableError: RetryPolicy(first_wait_s=1.0, max_free_tries=_A_DAY),
        DeviceMemoryError: _SHORTAGE,
        DeadlineError: RetryPolicy(first_wait_s=60.0),
        ChangedMeanwhileError: NEVER,
        ModelError: STOP,
        ConfigError: STOP,
    }
)
_BY_REASON: Final[Mapping[str, RetryPolicy]] = MappingProxyType(
    {error.reason: policy for error, policy in POLICIES.items()} | {INTERNAL: RetryPolicy()}
)


def policy_of(failure: MediaFailure) -> RetryPolicy:
    """Return the policy of a failure, found by the stable reason of its error class."""
    return _BY_REASON.get(failure.reason, POLICIES[TransientError] if failure.is_transient else NEVER)


def policy_of_error(error: BaseException) -> RetryPolicy:
    """Return the policy of an error, found by the nearest class; what is no error of the package is ``INTERNAL``."""
    return next((POLICIES[one] for one in type(error).__mro__ if one in POLICIES), _BY_REASON[INTERNAL])


def report_failure(claim: Claim, failure: MediaFailure, *, max_tries: int, luck: float = 0.5) -> Report:
    """Decide what is reported of a media that failed.

    Args:
        claim: with the number of its tries.
        failure: why.
        max_tries: tries after which a passing trouble counts as failed.
        luck: see :meth:`RetryPolicy.wait_s`.

    """
    policy = policy_of(failure)
    message = clean_message(failure.message)
    tries = claim.tries if policy.max_free_tries is None else claim.free_tries + 1
    if not policy.retries or tries >= (policy.max_free_tries or max_tries):
        return Report(claim, WorkState.FAILED, reason=failure.reason, message=message)
    return Report(
        claim,
        WorkState.PENDING,
        reason=failure.reason,
        message=message,
        delay_s=policy.wait_s(tries, luck=luck),
        costs_no_try=policy.max_free_tries is not None,
        forgets_etag=policy.forgets_etag,
    )


def report_breakdown(
    claim: Claim, failure: MediaFailure, *, was_alone: bool, max_tries: int, luck: float = 0.5
) -> Report:
    """Decide what is reported of a media that was under way when the engine broke down.

    Together with others nobody knows whose fault it is: it costs nothing, and each of them runs alone next time. One
    that was alone is to blame: it costs a try.

    Args:
        claim: with the number of its tries.
        failure: what broke.
        was_alone: whether nothing else was under way.
        max_tries: tries after which it counts as failed.
        luck: see :meth:`RetryPolicy.wait_s`.

    """
    if was_alone:
        return replace(report_failure(claim, failure, max_tries=max_tries, luck=luck), runs_alone=True)
    return Report(
        claim,
        WorkState.PENDING,
        reason=failure.reason,
        message=clean_message(failure.message),
        delay_s=policy_of(failure).wait_s(1, luck=luck),
        gives_back=True,
        runs_alone=True,
    )

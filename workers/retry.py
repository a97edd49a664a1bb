"""What becomes of a media that failed: the only map from error class to retry policy."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from annotator.errors import (
    AnnotatorError,
    InputError,
    SourceChangedError,
    SourceUnavailableError,
    StoreUnavailableError,
    TransientError,
)
from annotator.store.tables import WorkState
from annotator.store.work import Claim, Report
from annotator.store.writes import clean_message
from annotator.types import MediaFailure


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a media is tried again.

    The waits of the default are 5, 20, 80, 320 and then always 600 seconds. They are spent in the database
    (``not_before``), never in a worker's memory.

    >>> [RetryPolicy().wait_s(tries) for tries in (1, 2, 3, 4, 5, 6)]
    [5.0, 20.0, 80.0, 320.0, 600.0, 600.0]

    Attributes:
        retries: whether at all.
        first_wait_s: after the first try.
        factor: by which each wait is longer than the one before.
        max_wait_s: the longest wait.
        forgets_etag: read the object as it is now, instead of the version that was registered.

    """

    retries: bool = True
    first_wait_s: float = 5.0
    factor: float = 4.0
    max_wait_s: float = 600.0
    forgets_etag: bool = False

    def wait_s(self, tries: int) -> float:
        """Return the wait after so many tries."""
        return min(self.first_wait_s * self.factor ** (tries - 1), self.max_wait_s)


NEVER: Final = RetryPolicy(retries=False)

# The most exact class wins. ModelError and ConfigError are not here: they stop the worker, and its media go back.
POLICIES: Final[Mapping[type[AnnotatorError], RetryPolicy]] = MappingProxyType(
    {
        InputError: NEVER,
        TransientError: RetryPolicy(),
        SourceUnavailableError: RetryPolicy(),
        SourceChangedError: RetryPolicy(first_wait_s=1.0, forgets_etag=True),
        StoreUnavailableError: RetryPolicy(first_wait_s=1.0),
    }
)


def policy_of(failure: MediaFailure) -> RetryPolicy:
    """Return the policy of a failure, found by the stable reason of its error class."""
    by_reason = {error.reason: policy for error, policy in POLICIES.items()}
    return by_reason.get(failure.reason, POLICIES[TransientError] if failure.is_transient else NEVER)


def report_failure(claim: Claim, failure: MediaFailure, *, max_tries: int) -> Report:
    """Decide what is reported of a media that failed.

    Args:
        claim: with the number of its tries.
        failure: why.
        max_tries: tries after which a passing trouble counts as failed.

    """
    policy = policy_of(failure)
    message = clean_message(failure.message)
    if not policy.retries or claim.tries >= max_tries:
        return Report(claim, WorkState.FAILED, reason=failure.reason, message=message)
    return Report(
        claim,
        WorkState.PENDING,
        reason=failure.reason,
        message=message,
        delay_s=policy.wait_s(claim.tries),
        forgets_etag=policy.forgets_etag,
    )

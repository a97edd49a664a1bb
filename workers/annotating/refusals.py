"""Buckets that refuse one media after the other: it is the right that is missing, not the media that are at fault."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from annotator.errors import BucketRefusedError, ForbiddenSourceError
from annotator.store.queue.work import Claim
from annotator.types import MediaFailure, MediaRef
from workers.annotating.engine import Breakdown, Outcome

_LOGGER: Final = logging.getLogger(__name__)
MOST_REFUSALS: Final = 20
"""So many different objects of a bucket, one after the other, with nothing read in between: it is closed."""


class Refusals:
    """Tells an object that may not be read from a bucket that lets nothing be read. Thread-safe.

    An object is at fault only where its bucket lets others be read: before anything was read from it, and where it is
    closed, media that are refused wait. Of each chunk of a closed bucket one media is tried, and if it is read, the
    bucket is open again: a private folder does not keep the media of others from being found.
    """

    def __init__(self, model: str) -> None:
        """Begin with nothing.

        Args:
            model: the model version that failures name.

        """
        self._model = model
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._refused: dict[str, set[str]] = {}

    def judge(self, outcome: Outcome | Breakdown) -> Outcome | Breakdown:
        """Return an outcome as it is, or a refusal as the bucket's where the object may not be to blame."""
        if isinstance(outcome, Breakdown):
            return outcome
        bucket = _bucket_of(outcome.media)
        failure = outcome if isinstance(outcome, MediaFailure) else None
        if bucket is None or (failure is not None and failure.is_transient):
            return outcome
        with self._lock:
            if failure is None or failure.reason != ForbiddenSourceError.reason:
                self._answered.add(bucket)
                self._refused.pop(bucket, None)
                return outcome
            if self._is_objects_fault(bucket, failure.media):
                return failure
        return replace(failure, reason=BucketRefusedError.reason, is_transient=True)

    def choose(self, claims: Sequence[Claim]) -> tuple[list[Claim], list[tuple[Claim, MediaFailure]]]:
        """Return which claims of a message are to be tried, and what is said of the others: their bucket is closed."""
        with self._lock:
            closed = {bucket for bucket, refused in self._refused.items() if len(refused) >= MOST_REFUSALS}
        if not closed:
            return list(claims), []
        tried: list[Claim] = []
        others: list[tuple[Claim, MediaFailure]] = []
        asked: set[str] = set()
        for one in claims:
            bucket = _bucket_of(one.media)
            if bucket not in closed:
                tried.append(one)
            elif bucket in asked:
                others.append((one, self._untried(one.media, bucket)))
            else:
                asked.add(bucket)
                tried.append(one)
        return tried, others

    def _is_objects_fault(self, bucket: str, media: MediaRef) -> bool:
        refused = self._refused.setdefault(bucket, set())
        was_open = len(refused) < MOST_REFUSALS
        if was_open:
            refused.add(media.uri)
        is_open = len(refused) < MOST_REFUSALS
        if was_open and not is_open:
            _LOGGER.warning(
                "s3://%s/ refuses everything, %d objects in a row: its media wait. Give this worker the right to read "
                "it.",
                bucket,
                MOST_REFUSALS,
            )
        return is_open and bucket in self._answered

    def _untried(self, media: MediaRef, bucket: str) -> MediaFailure:
        why = f"s3://{bucket}/ refuses everything; give the workers the right to read it."
        return MediaFailure(media, self._model, BucketRefusedError.reason, why, is_transient=True)


def _bucket_of(media: MediaRef) -> str | None:
    # Asked twice for each media; urlsplit took a fiftieth of a worker's time beside the networks.
    scheme, _, rest = media.uri.partition("://")
    return rest.partition("/")[0] if scheme == "s3" else None

"""Buckets that refuse one media after the other: it is the right that is missing, not the media that are at fault."""

from typing import Final
from urllib.parse import urlsplit

from annotator.errors import ConfigError, ForbiddenSourceError
from annotator.types import KnownMedia, MediaAnnotation, MediaFailure

MOST_REFUSALS: Final = 20
"""So many different objects of a bucket, one after the other, with nothing read in between."""


class Refusals:
    """Counts what each bucket has refused since something was last read from it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._by_bucket: dict[str, set[str]] = {}

    def look(self, outcome: MediaAnnotation | MediaFailure | KnownMedia) -> None:
        """Look at what came of a media, before anybody is told of it.

        Raises:
            ConfigError: the bucket refuses everything; the media has no verdict.

        """
        failure = outcome if isinstance(outcome, MediaFailure) else None
        if failure is None and not self._by_bucket:
            return
        uri = outcome.media.uri
        if not uri.startswith("s3://"):
            return
        bucket = urlsplit(uri).netloc
        if failure is None or (not failure.is_transient and failure.reason != ForbiddenSourceError.reason):
            self._by_bucket.pop(bucket, None)  # the bucket has answered
            return
        if failure.reason != ForbiddenSourceError.reason:
            return
        refused = self._by_bucket.setdefault(bucket, set())
        refused.add(uri)
        if len(refused) >= MOST_REFUSALS:
            raise ConfigError(
                f"s3://{bucket}/ refuses everything, {len(refused)} objects in a row: give this worker the right to "
                "read it, then `annotator retry --reason forbidden`."
            )

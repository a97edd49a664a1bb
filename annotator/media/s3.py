"""Objects of S3 and of servers that speak its protocol.

boto3 takes 0.3 s to import and is imported when the first object is asked for: most runs read files.
"""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from annotator.errors import (
    AnnotatorError,
    ArchivedSourceError,
    ConfigError,
    ForbiddenSourceError,
    InputError,
    MediaTooLargeError,
    SourceChangedError,
    SourceNotFoundError,
    SourceUnavailableError,
    UnsupportedMediaError,
)
from annotator.media import s3_pages
from annotator.media.dialling import cut_at
from annotator.media.limits import FetchLimits, S3Access

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

CHUNK_BYTES = 256 * 1024
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"})
_ARCHIVED = frozenset({"InvalidObjectState"})
# The credentials, or this machine's clock, are at fault: a key that was rotated fails all objects. Some servers say so
# of single objects, too, as where a proxy writes their keys otherwise (a//b): see S3Store._about_object.
_NOT_KNOWN = frozenset(
    {
        "401",
        "AuthorizationHeaderMalformed",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "Unauthorized",
    }
)
_CHANGED = frozenset({"412", "PreconditionFailed"})
# Said with 4xx and yet passing: of the server, or of what others do at the same time. Other 4xx are the object's own.
_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.CONFLICT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)
_PASSING_CODES = frozenset(
    {
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# Connections kept open to a server: as many as threads may fetch at a time.
_CONNECTIONS = 32
_ATTEMPTS = 3


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key (or prefix) of ``s3://bucket/key``. Keys are taken as they are: nothing is unquoted.

    Raises:
        UnsupportedMediaError: no bucket.

    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise UnsupportedMediaError(f"{uri} is no address of an object; give s3://BUCKET/KEY.")
    return bucket, key


class ListedObject(NamedTuple):
    """An object as a listing tells it; a tuple, since there are millions.

    Attributes:
        key: its key.
        etag: its version mark.
        size_bytes: its length.

    """

    key: str
    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A part of a listing, in S3's order of keys.

    Attributes:
        objects: «folders» (keys that end in /) included.
        is_last: whether nothing follows.

    """

    objects: tuple[ListedObject, ...]
    is_last: bool


class S3Store:
    """Reads, writes and lists objects. Safe to use from several threads; connected on first use.

    Args:
        access: server and credentials.
        limits: time of a transfer; ``max_bytes`` refuses by the declared length, the sink by the real one.
        attempts: how often a request is tried; with more than a few, requests slow down as the server asks for it.

    """

    def __init__(self, access: S3Access, limits: FetchLimits, *, attempts: int = _ATTEMPTS) -> None:
        """Remember how to connect."""
        self._access = access
        self._limits = limits
        self._attempts = attempts
        self._lock = threading.Lock()
        self._read_lately: dict[str, str] = {}

    def fetch(
        self,
        bucket: str,
        key: str,
        *,
        etag: str | None,
        sink: _Sink,
        time_limit_s: Callable[[int], float] | None = None,
    ) -> None:
        """Read an object.

        Args:
            bucket: its bucket.
            key: its key.
            etag: the version wanted, None for any.
            sink: where the bytes go; it may refuse.
            time_limit_s: how long it may take, in seconds, by its length in bytes (0 where the server tells none), if
                that is less than the limits allow.

        Raises:
            SourceNotFoundError: no such bucket or object.
            ForbiddenSourceError: no permission, or the server refuses this object.
            ArchivedSourceError: it must be restored first.
            SourceChangedError: another version lies there.
            SourceUnavailableError: a time-out, a server error or a broken transfer.
            MediaTooLargeError: too long.
            ConfigError: no credentials, or such as do not count (any more).

        """
        uri = f"s3://{bucket}/{key}"
        began_s = time.monotonic()
        with self._about_object(bucket, key):
            condition = {"IfMatch": etag} if etag is not None else {}
            answer = self._client.get_object(Bucket=bucket, Key=key, **condition)  # type: ignore[arg-type]
            size_bytes = answer.get("ContentLength", 0)  # some servers tell none; the sink counts in any case
            with contextlib.closing(answer["Body"]) as body:
                self._refuse_too_large(uri, size_bytes)
                limit_s = self._limits.timeout_s
                if time_limit_s is not None:
                    limit_s = min(limit_s, time_limit_s(size_bytes))
                _read_until(began_s + limit_s, body, sink, uri=uri)
        self._read_lately[bucket] = key

    def _refuse_too_large(self, uri: str, size_bytes: int) -> None:
        if size_bytes > self._limits.max_bytes:
            raise MediaTooLargeError(
                f"{uri} has {size_bytes} bytes, the limit is {self._limits.max_bytes}; give a smaller one or raise the "
                "limit."
            )

    def put(self, bucket: str, key: str, path: Path) -> None:
        """Write a file as an object, which takes the place of one that is there.

        Args:
            bucket: its bucket.
            key: its key.
            path: the file.

        Raises:
            SourceNotFoundError: no such bucket.
            ForbiddenSourceError: no permission.
            SourceUnavailableError: a time-out, a server error or a broken transfer.
            ConfigError: no credentials, or such as do not count (any more).

        """
        with _translated(f"s3://{bucket}/{key}", done="written"), path.open("rb") as file:
            self._client.put_object(Bucket=bucket, Key=key, Body=file)

    def list_objects(self, bucket: str, prefix: str) -> Iterator[tuple[str, str]]:
        """Yield key and etag of the objects below a prefix, in S3's order; «folders» (keys that end in /) are left out.

        Raises:
            SourceNotFoundError: no such bucket.
            ForbiddenSourceError: no permission.
            SourceUnavailableError: the server does not answer.
            ConfigError: no credentials, or such as do not count (any more).

        """
        with _translated(f"s3://{bucket}/{prefix}"):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    if not item["Key"].endswith("/"):
                        yield item["Key"], item["ETag"]

    def list_page(self, bucket: str, prefix: str, *, after_key: str, max_keys: int = 1000) -> "ListedPage":
        """List the next objects below a prefix; resumes by key, never by a stored token.

        Args:
            bucket: which bucket.
            prefix: what keys begin with.
            after_key: the last key of the page before, ``""`` at first.
            max_keys: most of them; no server gives more than a thousand.

        Raises:
            SourceNotFoundError: no such bucket.
            ForbiddenSourceError: no permission.
            SourceUnavailableError: the server does not answer.
            ConfigError: no credentials, or such as do not count (any more).

        """
        with _translated(f"s3://{bucket}/{prefix}"):
            answer = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=after_key, MaxKeys=max_keys)
        objects = tuple(ListedObject(item["Key"], item["ETag"], item["Size"]) for item in answer.get("Contents", []))
        return ListedPage(objects, is_last=not answer["IsTruncated"])

    def list_folders(self, bucket: str, prefix: str) -> tuple[tuple[str, ...], bool]:
        """Return the first folders below a prefix (as they begin keys, with ``/``), and whether these are all.

        Raises:
            SourceNotFoundError: no such bucket.
            ForbiddenSourceError: no permission.
            SourceUnavailableError: the server does not answer.
            ConfigError: no credentials, or such as do not count (any more).

        """
        with _translated(f"s3://{bucket}/{prefix}"):
            answer = self._client.list_objects_v2(Bucket=bucket, Prefix=prefix, Delimiter="/")
        folders = tuple(folder["Prefix"] for folder in answer.get("CommonPrefixes", []))
        return folders, not answer["IsTruncated"]

    def find_object(self, bucket: str, key: str) -> ListedObject | None:
        """Return an object as a listing would tell it, None where there is none.

        Raises:
            ForbiddenSourceError: no permission, or the server refuses this object.
            SourceUnavailableError: the server does not answer.
            ConfigError: no credentials, or such as do not count (any more).

        """
        try:
            with self._about_object(bucket, key):
                answer = self._client.head_object(Bucket=bucket, Key=key)
        except SourceNotFoundError:
            return None
        return ListedObject(key, answer["ETag"], answer["ContentLength"])

    @contextlib.contextmanager
    def _about_object(self, bucket: str, key: str) -> Iterator[None]:
        """Make errors of boto3 ours where one object is asked for.

        Credentials that do not count for it may count for the others: one such object must not stop whoever comes to
        it. So the server is asked for something else of the bucket before they are called wrong.
        """
        from botocore.exceptions import ClientError  # noqa: PLC0415 (slow to import, see above)

        uri = f"s3://{bucket}/{key}"
        with _translated(uri):
            try:
                yield
            except ClientError as exc:
                code = _code_of(exc)
                # An answer without a body (to HEAD) does not say why: 400 is an expired key, or a missing one of SSE-C.
                if (_is_not_known(exc) or code == "400") and self._count_elsewhere(bucket):
                    raise ForbiddenSourceError(
                        f"{uri} is refused ({code}), though these credentials count for others of its bucket; check "
                        "how it is called, and how it is encrypted."
                    ) from exc
                if code == "400":
                    raise ConfigError(f"{uri} is not read with these credentials ({code}); give valid ones.") from exc
                raise

    def _count_elsewhere(self, bucket: str) -> bool:
        """Whether the server knows the credentials when it is asked for what was read lately, or for a listing."""
        key = self._read_lately.get(bucket)
        try:
            with _translated(f"s3://{bucket}/"):
                if key is None:
                    self._client.list_objects_v2(Bucket=bucket, MaxKeys=1)
                else:
                    self._client.get_object(Bucket=bucket, Key=key, Range="bytes=0-0")["Body"].close()
        except ConfigError:
            return False
        except InputError:  # it may not be read, or is not there: who is refused so is known
            return True
        return True

    @property
    def _client(self) -> "S3Client":
        with self._lock:
            return self._connected

    @functools.cached_property
    def _connected(self) -> "S3Client":
        import boto3  # noqa: PLC0415 (slow to import, see above)
        import botocore.config  # noqa: PLC0415

        session = boto3.session.Session(
            aws_access_key_id=self._access.access_key_id,
            aws_secret_access_key=self._access.secret_access_key,
            region_name=self._access.region,
        )
        config = botocore.config.Config(
            # Who is silent is not waited for longer than a whole transfer may take, all attempts together.
            connect_timeout=min(self._limits.connect_timeout_s, self._limits.timeout_s / self._attempts),
            read_timeout=min(self._limits.read_timeout_s, self._limits.timeout_s / self._attempts),
            max_pool_connections=_CONNECTIONS,
            retries={
                "mode": "standard" if self._attempts <= _ATTEMPTS else "adaptive",
                "total_max_attempts": self._attempts,
            },
            s3={"addressing_style": "path"} if self._access.endpoint_url else None,
        )
        client = session.client("s3", endpoint_url=self._access.endpoint_url, config=config)
        client.meta.events.register(s3_pages.EVENT, s3_pages.take_objects)
        return client


@contextlib.contextmanager
def _translated(uri: str, *, done: str = "read") -> Iterator[None]:
    """Make errors of boto3 ours; they say what was to be done with the object."""
    from botocore import exceptions  # noqa: PLC0415 (slow to import, see above)

    try:
        yield
    except exceptions.ClientError as exc:
        raise _told(exc, uri, done) from exc
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.NoRegionError,
        exceptions.ProfileNotFound,
    ) as exc:
        raise ConfigError(f"{uri} needs credentials; set them as for the AWS command line.") from exc
    except exceptions.ParamValidationError as exc:
        raise UnsupportedMediaError(f"{uri} is no valid address of an object; give s3://BUCKET/KEY.") from exc
    except (exceptions.BotoCoreError, OSError) as exc:
        raise SourceUnavailableError(f"{uri} cannot be {done} ({type(exc).__name__}); try again.") from exc


def _told(exc: "ClientError", uri: str, done: str) -> AnnotatorError:
    """Return the error that a server's answer means."""
    code = _code_of(exc)
    if code in _NOT_FOUND:
        return SourceNotFoundError(f"There is no {uri}; check bucket and key.")
    if _is_not_known(exc):
        return ConfigError(
            f"{uri} is not {done} with these credentials ({code}); give valid ones, and check this machine's clock."
        )
    if code in _ARCHIVED:
        return ArchivedSourceError(
            f"{uri} is in an archive class of its bucket ({code}); restore it there, then let it be tried again."
        )
    if code in _CHANGED:
        return SourceChangedError(f"{uri} has changed since it was registered; register it anew.")
    if _is_refused(exc):
        return ForbiddenSourceError(
            f"{uri} may not be {done} ({code}); check the credentials, and how it is kept there."
        )
    return SourceUnavailableError(f"{uri} cannot be {done} ({code}); try again.")


def _code_of(exc: "ClientError") -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))


def _status_of(exc: "ClientError") -> int:
    return int(exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_not_known(exc: "ClientError") -> bool:
    return _code_of(exc) in _NOT_KNOWN or _status_of(exc) == HTTPStatus.UNAUTHORIZED


def _is_refused(exc: "ClientError") -> bool:
    """Whether a server will say the same again, whenever it is asked."""
    status = _status_of(exc)
    return 400 <= status < 500 and status not in _PASSING and _code_of(exc) not in _PASSING_CODES


def _read_until(deadline: float, body: "StreamingBody", sink: _Sink, *, uri: str) -> None:
    """Read a body to its end; a server that sends it drop by drop is cut off at a deadline of ``time.monotonic()``."""
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 (slow to import, see above)

    late = SourceUnavailableError(f"{uri} takes too long to transfer; try again.")
    try:
        with body as connection, cut_at(deadline, connection):
            for data in body.iter_chunks(CHUNK_BYTES):
                sink.write(data)
    except BotoCoreError as exc:
        if time.monotonic() >= deadline:
            raise late from exc
        raise
    if time.monotonic() >= deadline:  # what was cut may look like the end
        raise late

"""A queue of SQS, or of a server that speaks its protocol."""

import contextlib
import functools
import re
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from annotator.errors import ConfigError, SourceUnavailableError
from annotator.media.limits import S3Access

MOST_AT_ONCE: Final = 10
# A message that was received and not deleted comes back after so long: longer than any transaction here takes.
VISIBILITY_S: Final = 120
_CONNECT_S: Final = 10.0
_READ_S: Final = 30.0
_ATTEMPTS: Final = 3
_AMAZON: Final = re.compile(r"sqs\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?")
_WRONG: Final = ("NonExistentQueue", "QueueDoesNotExist", "InvalidAddress")
_FORBIDDEN: Final = ("AccessDenied", "InvalidClientTokenId", "SignatureDoesNotMatch", "InvalidSecurity", "ExpiredToken")


class Message(NamedTuple):
    """A message in hand.

    Attributes:
        body: anything.
        receipt: with which it is deleted.

    """

    body: str
    receipt: str


class NotificationQueue:
    """Gives messages, and deletes them when they are settled."""

    def __init__(self, url: str, access: S3Access, *, endpoint_url: str | None = None) -> None:
        """Remember how to connect.

        Args:
            url: of the queue.
            access: credentials and region, as for the bucket; its endpoint is not used.
            endpoint_url: of the service, where the queue's URL does not begin with it.

        Raises:
            ConfigError: it is no URL.

        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise ConfigError(f"{url!r} is no URL of a queue; give https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
        self._url = url
        self._access = access
        self._endpoint_url = endpoint_url or f"{parts.scheme}://{parts.netloc}"
        amazon = _AMAZON.fullmatch(parts.hostname or "")
        self._region = amazon[1] if amazon else access.region
        self._lock = threading.Lock()

    def receive(self, *, wait_s: int) -> list[Message]:
        """Return some messages, at most ten; they come back unless they are deleted.

        Args:
            wait_s: how long to wait for the first, at most 20.

        Raises:
            SourceUnavailableError: the service does not answer.
            ConfigError: no such queue, or no permission.

        """
        with _translated(self._url):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=MOST_AT_ONCE,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=VISIBILITY_S,
            )
        return [Message(one.get("Body", ""), one["ReceiptHandle"]) for one in answer.get("Messages", [])]

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages; what the service does not delete comes back.

        Raises:
            SourceUnavailableError: the service does not answer.
            ConfigError: no such queue, or no permission.

        """
        for begin in range(0, len(messages), MOST_AT_ONCE):
            some = messages[begin : begin + MOST_AT_ONCE]
            entries = [{"Id": str(number), "ReceiptHandle": one.receipt} for number, one in enumerate(some)]
            with _translated(self._url):
                self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)

    @property
    def _client(self) -> Any:  # noqa: ANN401 - stubs of this service are not installed
        with self._lock:
            return self._connected

    @functools.cached_property
    def _connected(self) -> Any:  # noqa: ANN401
        import boto3  # noqa: PLC0415 (slow to import)
        import botocore.config  # noqa: PLC0415

        session = boto3.session.Session(
            aws_access_key_id=self._access.access_key_id,
            aws_secret_access_key=self._access.secret_access_key,
            region_name=self._region,
        )
        config = botocore.config.Config(
            connect_timeout=_CONNECT_S,
            read_timeout=_READ_S,
            retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        )
        with _translated(self._url):
            return session.client("sqs", endpoint_url=self._endpoint_url, config=config)


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Make errors of boto3 ours."""
    from botocore import exceptions  # noqa: PLC0415 (slow to import)

    try:
        yield
    except exceptions.ClientError as exc:
        code = str(exc.response.get("Error", {}).get("Code", ""))
        if any(word in code for word in _WRONG):
            raise ConfigError(f"there is no queue {url}; check --sqs") from exc
        if any(word in code for word in _FORBIDDEN):
            raise ConfigError(
                f"the queue {url} may not be read ({code}); allow sqs:ReceiveMessage and sqs:DeleteMessage"
            ) from exc
        raise SourceUnavailableError(f"the queue {url} does not answer ({code}); try again") from exc
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoRegionError) as exc:
        raise ConfigError(
            f"the queue {url} needs credentials and a region; set them as for the AWS command line"
        ) from exc
    except (exceptions.BotoCoreError, OSError) as exc:
        raise SourceUnavailableError(f"the queue {url} does not answer ({type(exc).__name__}); try again") from exc

"""The broker, as beat sees it: messages go in, what it has lost is found out, and whether it may forget any."""

import base64
import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import redis
from kombu.exceptions import OperationalError
from redis.backoff import NoBackoff
from redis.retry import Retry

from annotator.errors import BrokerUnavailableError, ConfigError
from annotator.store.queue.chunks import Chunk
from workers.app import ANNOTATE_TASK, JOB_TASK, MESSAGE_VERSION, QUEUES, AnnotatorApp
from workers.messages import parse_chunk_message

_LOGGER: Final = logging.getLogger(__name__)
EPOCH_KEY: Final = "annotator:broker_epoch"
_TIMEOUT_S: Final = 5.0  # of each answer: a broker that vanished without a word is given up soon
_POLICY: Final = "maxmemory-policy"
_SAFE_POLICY: Final = "noeviction"
_UNACKNOWLEDGED: Final = "unacked"  # Kombu's name
_MOST_WAITING: Final = 10_000  # messages of one or two kilobytes; as a rule there are ``max_queued_chunks`` of a lane
_MOST_WAITING_BYTES: Final = 64 << 20  # who can write to the broker can send messages of any size
_SLICE: Final = 500  # messages read at a time


class Broker(Protocol):
    """Where messages go. Each method raises ``BrokerUnavailableError`` where it does not answer."""

    def check(self) -> None:
        """Make sure that it forgets nothing."""

    def is_new(self) -> bool:
        """Say whether it has lost everything since it was marked."""

    def mark(self) -> None:
        """Mark it as known."""

    def publish(self, chunk: Chunk) -> None:
        """Send the message of a chunk."""

    def forget(self, queue: str) -> None:
        """Throw away the messages of a queue that nobody consumes: their chunks travel in another one."""


@dataclass(frozen=True, slots=True)
class BrokerDepths:
    """What the broker holds.

    Attributes:
        messages: by queue, those that nobody has taken.
        unacknowledged: messages in the hands of workers.
        used_bytes: its memory.
        max_bytes: the most it may use; 0 where there is no limit.

    """

    messages: dict[str, int]
    unacknowledged: int
    used_bytes: int
    max_bytes: int


class RedisBroker:
    """The broker of an application. Thread-safe."""

    def __init__(self, app: AnnotatorApp) -> None:
        """Take the application; nothing is connected yet."""
        self._app = app
        self._redis = redis.Redis.from_url(
            app.conf.broker_url,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),  # whoever asks, asks again
        )
        self._lock = threading.RLock()
        self._connection: Any = None
        self._producer: Any = None

    def check(self) -> None:
        """Make sure that it forgets nothing.

        Raises:
            ConfigError: it may evict messages.
            BrokerUnavailableError: it does not answer.

        """
        with _translated():
            try:
                answer: Any = self._redis.config_get(_POLICY)
            except redis.ResponseError as error:  # managed servers forbid it
                _LOGGER.warning("The broker's %s must be %s; it does not tell: %s", _POLICY, _SAFE_POLICY, error)
                return
        policy = answer.get(_POLICY, _SAFE_POLICY)
        if policy != _SAFE_POLICY:
            raise ConfigError(
                f"The broker's {_POLICY} is {policy}: it would forget messages when its memory is full. Set it to"
                f" {_SAFE_POLICY}, and then it refuses new ones, which wait in the database."
            )

    def is_new(self) -> bool:
        """Say whether the key that :meth:`mark` sets is missing."""
        with _translated():
            return not self._redis.exists(EPOCH_KEY)

    def mark(self) -> None:
        """Set the key."""
        with _translated():
            self._redis.set(EPOCH_KEY, uuid.uuid4().hex)

    def publish(self, chunk: Chunk) -> None:
        """Send the message of a chunk."""
        message = {"v": MESSAGE_VERSION, "chunk_id": chunk.id, "media_ids": list(chunk.media_ids)}
        self._send(ANNOTATE_TASK, chunk.queue, message)

    def publish_job(self, name: str, queue: str, *, most: int) -> bool:
        """Ask whoever consumes a queue to run a job of beat, unless so many messages wait there that nobody does.

        Returns:
            Whether it was asked for.

        """
        with self._lock:
            if self.count(queue) >= most:
                return False
            self._send(JOB_TASK, queue, {"v": MESSAGE_VERSION, "name": name})
            return True

    def waiting(self) -> set[int] | None:
        """Return the chunks whose messages nobody has taken; None where they are too many or too large to be read.

        Raises:
            BrokerUnavailableError: it does not answer.

        """
        if sum(map(self.count, QUEUES)) > _MOST_WAITING or sum(map(self._size_bytes, QUEUES)) > _MOST_WAITING_BYTES:
            return None
        found: set[int] = set()
        left_bytes = _MOST_WAITING_BYTES  # more may have come since
        for queue in QUEUES:
            for message in self._messages(queue):
                left_bytes -= len(message)
                if left_bytes < 0:
                    return None
                chunk_id = _chunk_of(message)
                if chunk_id is not None:
                    found.add(chunk_id)
        return found

    def forget(self, queue: str) -> None:
        """Throw away the messages of a queue."""
        with _translated():
            self._redis.delete(queue)

    def count(self, queue: str) -> int:
        """Return how many messages of a queue nobody has taken yet."""
        with _translated():
            length: Any = self._redis.llen(queue)
        return int(length)

    def _size_bytes(self, queue: str) -> int:
        with _translated():
            size_bytes: Any = self._redis.memory_usage(queue, samples=0)  # of all of it: nothing is estimated
        return int(size_bytes or 0)

    def _messages(self, queue: str) -> Iterator[bytes]:
        """Yield what waits in a queue. New ones come before the first, so none is passed over; some come twice."""
        start = 0
        while True:
            with _translated():
                some: Any = self._redis.lrange(queue, start, start + _SLICE - 1)
            yield from some
            if len(some) < _SLICE:
                return
            start += _SLICE

    def depths(self, queues: Sequence[str]) -> BrokerDepths:
        """Return what it holds, asked in one round trip.

        Raises:
            BrokerUnavailableError: it does not answer.

        """
        with _translated(), self._redis.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.llen(queue)
            pipe.hlen(_UNACKNOWLEDGED)
            pipe.info("memory")
            *lengths, unacknowledged, memory = pipe.execute()
        messages = dict(zip(queues, lengths, strict=True))
        return BrokerDepths(messages, unacknowledged, int(memory["used_memory"]), int(memory.get("maxmemory", 0)))

    def _send(self, task: str, queue: str, message: dict[str, Any]) -> None:
        # Celery sends by the exchange without a name, straight into the queue's list: nothing needs to be declared.
        options = {"retry": False, "declare": ()}
        with self._lock:
            try:
                with _translated():
                    self._app.send_task(task, kwargs=message, queue=queue, producer=self._ready_producer(), **options)
            except BaseException:
                self._disconnect()
                raise

    def _ready_producer(self) -> Any:  # noqa: ANN401  (Celery has no types)
        if self._producer is None:
            timeouts = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
            self._connection = self._app.connection_for_write(transport_options=timeouts)
            self._producer = self._app.amqp.Producer(self._connection, auto_declare=False)
        return self._producer

    def _disconnect(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()


def _chunk_of(message: bytes) -> int | None:
    """Return the chunk of a message as Kombu writes it; None of a message of another kind."""
    try:
        args, given, _ = json.loads(base64.b64decode(json.loads(message)["body"]))
        return parse_chunk_message(args, given).chunk_id
    except Exception:  # noqa: BLE001 - hostile (nested too deeply, say), or a job: nothing of it may end a sweep
        return None


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Turn errors of the client into the package's own."""
    try:
        yield
    except (redis.RedisError, OperationalError, OSError) as error:
        raise BrokerUnavailableError(f"the broker takes nothing now: {error}") from error

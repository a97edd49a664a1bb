"""Reading from the broker: neither what is no message at all nor a broker that is full stops a worker."""

import logging
from queue import Empty
from typing import Any, Final

from amqp import AMQPError  # type: ignore[import-untyped]  # it has no types
from celery.app.amqp import AMQP
from kombu import Connection
from kombu.exceptions import KombuError
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport
from redis.exceptions import OutOfMemoryError, RedisError

_LOGGER: Final = logging.getLogger(__name__)
# What the broker or its connection says, and no message.
_OF_BROKER: Final = (Empty, OSError, RedisError, KombuError, AMQPError)


class StrictQoS(QoS):  # type: ignore[misc]  # Kombu has no types
    """Kombu lets the worker fall over a message that a full broker cannot note as taken; it is out of its list then."""

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401  (Kombu's)
        """Take a message in hand, noted down or not: if this process dies of it, the database knows."""
        try:
            super().append(message, delivery_tag)
        except OutOfMemoryError:
            _LOGGER.warning("The broker is full: it does not note down that a message was taken.")
            virtual.QoS.append(self, message, delivery_tag)


class StrictChannel(Channel):  # type: ignore[misc]  # Kombu has no types
    """Kombu lets the worker fall over something in a list that it cannot read; by then it is out of the list.

    Nor is a client made for each command, as Kombu does: that takes a fourth of the time of a message, see
    ``benchmarks/queue/messages.py``.
    """

    QoS = StrictQoS
    _shared_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  (Kombu's)
        if asynchronous:  # it waits for messages, with a connection of its own
            return super()._create_client(asynchronous=True)
        if (
            self._shared_client is None or self._shared_client.connection_pool is not self.pool
        ):  # after a reconnection there is another
            self._shared_client = super()._create_client()
        return self._shared_client

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401  (Kombu's)
        try:
            return bool(super()._brpop_read(**options))
        except _OF_BROKER:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary to all who can write to the broker
            from workers.boot import tell_malformed  # noqa: PLC0415  (it needs the application, which needs this)

            _LOGGER.warning("Something in a queue is no message and was thrown away: %s.", type(error).__name__)
            tell_malformed()
            return True


class StrictTransport(Transport):  # type: ignore[misc]  # Kombu has no types
    """Redis, with :class:`StrictChannel`."""

    Channel = StrictChannel


class StrictConnection(Connection):  # type: ignore[misc]  # Kombu has no types
    """A connection whose Redis is strict; its address still says ``redis://``, and its copies are strict, too."""

    def get_transport_cls(self) -> type:
        """Return the class that carries the messages."""
        found: type = super().get_transport_cls()
        return StrictTransport if found is Transport else found


class StrictAMQP(AMQP):  # type: ignore[misc]  # Celery has no types
    """What Celery makes its connections with."""

    Connection = StrictConnection

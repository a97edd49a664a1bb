"""Reading from the broker: what lies in a queue and is no message at all stops no worker."""

import logging
from typing import Any, Final

from kombu.transport.redis import Channel, Transport

_LOGGER: Final = logging.getLogger(__name__)


class StrictChannel(Channel):  # type: ignore[misc]  # Kombu has no types
    """Kombu lets the worker fall over something in a list that it cannot read; by then it is out of the list."""

    def _brpop_read(self, **options: Any) -> bool:  # noqa: ANN401  (Kombu's)
        try:
            return bool(super()._brpop_read(**options))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            from workers.boot import tell_malformed  # noqa: PLC0415  (it needs the application, which needs this)

            _LOGGER.warning("Something in a queue is no message and was thrown away: %s.", type(error).__name__)
            tell_malformed()
            return True


class StrictTransport(Transport):  # type: ignore[misc]  # Kombu has no types
    """Redis, with :class:`StrictChannel`."""

    Channel = StrictChannel

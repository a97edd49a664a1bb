"""How messages come in: what is none of ours is thrown away with one line in the log, and never shown there."""

import logging
from collections.abc import Callable
from typing import Any, Final

from celery.worker.consumer import Consumer

from workers.boot import tell_malformed

_LOGGER: Final = logging.getLogger(__name__)
_FORM: Final = (list, dict, dict)


class StrictConsumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer prints what it cannot read; ours says that there was something, and counts it."""

    def create_task_handler(self, *args: Any) -> Callable[[Any], Any]:  # noqa: ANN401  (Celery's)
        """Throw away what makes Celery fall over it: else it would come back, and stop the next worker."""
        handle = super().create_task_handler(*args)

        def handle_or_throw_away(message: Any) -> None:  # noqa: ANN401  (Celery's)
            try:
                if not _has_form_of_task(message.payload):
                    self._throw_away(message, "it has not the form of a task")
                    return
                handle(message)
            except self.connection_errors:
                raise
            except Exception as error:
                if message.acknowledged:
                    raise
                self._throw_away(message, type(error).__name__)

        return handle_or_throw_away

    def on_decode_error(self, message: Any, exc: Exception) -> None:  # noqa: ANN401  (Celery's)
        """Throw away what cannot be decoded, or is of a kind that is not accepted (pickle)."""
        self._throw_away(message, type(exc).__name__)

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ANN401, ARG002  (Celery's)
        """Throw away what is no task at all."""
        self._throw_away(message, "no task")

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002  (Celery's)
        """Throw away a task that this program does not have."""
        self._throw_away(message, "no task of this program")

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ANN401, ARG002  (Celery's)
        """Throw away what breaks the form of a task."""
        self._throw_away(message, type(exc).__name__)

    def _throw_away(self, message: Any, why: str) -> None:  # noqa: ANN401  (Celery's)
        _LOGGER.warning("A message of %d bytes was thrown away: %s.", len(message.body or b""), why)
        tell_malformed()
        message.ack_log_error(_LOGGER, self.connection_errors)


def _has_form_of_task(payload: object) -> bool:
    """Say whether a body is arguments, named arguments and options.

    A task thread that fell over anything else would never acknowledge it; a few such messages, and the worker takes no
    more.
    """
    if not isinstance(payload, list) or len(payload) != len(_FORM):
        return False
    return all(isinstance(part, kind) for part, kind in zip(payload, _FORM, strict=True))

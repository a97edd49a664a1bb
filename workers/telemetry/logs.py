"""What the programs of the queue write to stderr: one line an event, for people or as JSON, never with a secret in it.

Celery's loggers and the package's own come out the same way: time, level, logger, event, and where they are known
worker, chunk, media, attempt, reason, state.
"""

import json
import logging
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from logging.handlers import WatchedFileHandler
from typing import Any, Final

import structlog
from celery import signals
from celery.app.log import Logging
from pydantic import BaseModel, SecretStr
from structlog.typing import EventDict, WrappedLogger

from annotator.masking import Masker, secrets_of_url
from annotator.settings import LogSettings, SecretUrl, Settings
from annotator.store.tables import WorkState
from annotator.types import MediaFailure
from workers.telemetry.watch import Observer, Settled, current_message

_MEDIA_LOGGER: Final = logging.getLogger("workers.media")
_FIELDS: Final = ("media", "attempt", "reason", "state")
"""What a line may carry beside its message; a line gets them by ``extra=``."""

# At their most talkative these write signatures and whole requests.
_TALKATIVE: Final = ("boto3", "botocore", "s3transfer", "urllib3")
_SECRET_VARIABLES: Final = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD")


class QueueLogging(Logging):  # type: ignore[misc]  # Celery has no types
    """Celery's set-up of logging, replaced; who connects Celery's signal ``setup_logging`` has it all."""

    def setup_logging_subsystem(
        self,
        loglevel: int | str | None = None,
        logfile: str | None = None,
        **options: Any,  # noqa: ANN401  (Celery's signature)
    ) -> Sequence[object] | None:
        """Set logging up once, as the settings say."""
        if signals.setup_logging.receivers:
            return super().setup_logging_subsystem(loglevel, logfile, **options)  # type: ignore[no-any-return]
        if self.already_setup:
            return None
        Logging._setup = True  # noqa: SLF001  (Celery's own mark that it is done)
        set_up_logging(self.app.annotator_settings, level=loglevel or self.loglevel, file=logfile)
        return [self]  # Celery leaves stdout and stderr alone then


def set_up_logging(settings: Settings, *, level: int | str = logging.INFO, file: str | None = None) -> None:
    """Send everything that is logged in this process to one place, in one form.

    Args:
        settings: ``log.format`` and ``log.level``, and the secrets to hide.
        level: the least severe lines; ``log.level`` goes before it.
        file: where to; stderr where there is none.

    """
    chosen = logging.getLevelName(settings.log.level) if settings.log.level else level
    handler: logging.Handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(settings.log, Masker(known_secrets(settings))))
    for name in ("", "celery", "celery.task", "celery.redirected"):
        logging.getLogger(name).handlers = []
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(chosen)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def make_formatter(settings: LogSettings, masker: Masker) -> logging.Formatter:
    """Return the formatter of a handler."""
    render = _render_json if settings.format == "json" else _render_text
    worker = f"{socket.gethostname()}:{os.getpid()}"

    def place(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return _placed(event, worker)

    def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: masker.mask(value) if isinstance(value, str) else value for name, value in event.items()}

    return structlog.stdlib.ProcessorFormatter(
        processors=[place, structlog.processors.format_exc_info, mask, render],
        foreign_pre_chain=[structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")],
    )


def _placed(event: EventDict, worker: str) -> EventDict:
    """Add whose line it is, in the order in which it is read."""
    record: logging.LogRecord = event["_record"]
    message = current_message()
    known = {
        "time": event["time"],
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event["event"],
        "worker": worker,
        "chunk": message.chunk_id if message else None,
        **{name: getattr(record, name, None) for name in _FIELDS},
    }
    rest = {new: event[name] for name, new in (("exc_info", "exc_info"), ("stack_info", "stack")) if name in event}
    return {name: value for name, value in known.items() if value is not None} | rest


def _render_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return json.dumps(event, ensure_ascii=False, default=str)


def _render_text(_: WrappedLogger, __: str, event: EventDict) -> str:
    line = f"{event.pop('time')} {event.pop('level').upper()} {event.pop('logger')}: {event.pop('event')}"
    del event["worker"]  # whoever reads a terminal knows
    blocks = [event.pop(name) for name in ("exception", "stack") if name in event]
    fields = "".join(f" {name}={value}" for name, value in event.items())
    return "\n".join([line + fields, *blocks])


class FailureLog(Observer):
    """Writes a line for each media that failed or must be tried again, with its attempt and its reason."""

    def settled(self, settled: Sequence[Settled], *, took_s: float) -> None:  # noqa: ARG002
        """Write about those whose report counts."""
        for one in settled:
            if one.counts and isinstance(one.outcome, MediaFailure):
                again = one.report.state == WorkState.PENDING
                _MEDIA_LOGGER.log(
                    logging.INFO if again else logging.WARNING,
                    "%s",
                    one.report.message,
                    extra={
                        "media": one.claim.media.uri,
                        "attempt": one.claim.attempts,
                        "reason": one.report.reason,
                        "state": one.report.state.name.lower(),
                    },
                )


def known_secrets(settings: Settings) -> set[str]:
    """Return what must never be read in a log: passwords, keys, also as they stand in addresses."""
    found = {os.environ[name] for name in _SECRET_VARIABLES if os.environ.get(name)}
    for secret in _secrets_of(settings):
        value = secret.get_secret_value()
        found |= secrets_of_url(value) if isinstance(secret, SecretUrl) else {value}
    return found


def _secrets_of(model: BaseModel) -> Iterator[SecretStr]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, SecretStr):
            yield value
        elif isinstance(value, BaseModel):
            yield from _secrets_of(value)

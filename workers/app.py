"""The Celery application: one kind of message, a pool of threads, and a broker that may lose everything.

Why each setting is as it is stands in docs/workers.md.
"""

from functools import cached_property
from typing import Any, Final

from celery import Celery
from celery.apps.worker import Worker as CeleryWorker

from annotator.errors import ConfigError
from annotator.settings import Settings
from workers.tls import checked_broker_url

HOUSEKEEPING_QUEUE: Final = "default"
TRAINER_QUEUE: Final = "trainer"
ANNOTATE_QUEUES: Final = ("gpu", "cpu")
QUEUES: Final = (*ANNOTATE_QUEUES, HOUSEKEEPING_QUEUE, TRAINER_QUEUE)
ANNOTATE_TASK: Final = "workers.annotate_chunk"
JOB_TASK: Final = "workers.run_job"
MESSAGE_VERSION: Final = 1

# Why each is as it is stands in docs/workers.md.
_WORKER: Final = {
    "worker_pool": "threads",
    "worker_consumer": "workers.consuming:StrictConsumer",
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "worker_detect_quorum_queues": False,
    "worker_enable_remote_control": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_soft_shutdown_timeout": 0.0,
    "worker_hijack_root_logger": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "beat_scheduler": "workers.beat.schedule:InProcessScheduler",
}
_MESSAGES: Final = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_ignore_result": True,
    "task_store_errors_even_if_ignored": False,
    "task_serializer": "json",
    "accept_content": ["json"],
    "event_serializer": "json",
    "task_default_queue": HOUSEKEEPING_QUEUE,
    "task_create_missing_queues": True,
}
_TRANSPORT: Final = {
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_keepalive": True,
    "health_check_interval": 25,
    "socket_timeout": 10.0,
    "socket_connect_timeout": 10.0,
}


class _QuietWorker(CeleryWorker):  # type: ignore[misc]  # Celery has no types
    """Celery's worker without the talk among workers, which stalls after a reconnect and serves nothing here."""

    def prepare_args(self, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401  (Celery's signature)
        """Switch gossip and mingle off, as ``--without-gossip --without-mingle`` do."""
        return {**kwargs, "without_gossip": True, "without_mingle": True}


class AnnotatorApp(Celery):  # type: ignore[misc]  # Celery has no types
    """A Celery application that carries the settings of the package."""

    log_cls = "workers.telemetry.logs:QueueLogging"
    amqp_cls = "workers.transport:StrictAMQP"

    def __init__(self, settings: Settings, **kwargs: Any) -> None:  # noqa: ANN401  (Celery's)
        """Keep the settings."""
        super().__init__("workers", set_as_current=False, **kwargs)
        self.annotator_settings = settings

    @cached_property
    def Worker(self) -> type:  # noqa: N802  (Celery's name)
        """Return the class of the worker program."""
        return self.subclass_with_self(_QuietWorker)  # type: ignore[no-any-return]


def create_app(settings: Settings) -> AnnotatorApp:
    """Return the application; nothing is connected.

    Raises:
        ConfigError: there is no broker, or its visibility timeout is too short for the deadlines.

    """
    if settings.broker_url is None:
        raise ConfigError(
            "A worker needs a broker: set ANNOTATOR_BROKER_URL=redis://HOST:PORT/0, or run `annotator up`."
        )
    worker = settings.worker
    longest_s = max(worker.gif_deadline_s, worker.film_deadline_s)
    if worker.visibility_timeout_s < 2 * longest_s:  # the settings say so, too; a message that lasts longer runs twice
        raise ConfigError(f"ANNOTATOR_WORKER__VISIBILITY_TIMEOUT_S must be at least {2 * longest_s:g}.")
    app = AnnotatorApp(
        settings, broker=checked_broker_url(settings.broker_url.get_secret_value()), include=["workers.tasks"]
    )
    app.conf.update(_WORKER | _MESSAGES)
    app.conf.update(worker_concurrency=worker.concurrency)
    app.conf.broker_transport_options = _TRANSPORT | {"visibility_timeout": worker.visibility_timeout_s}
    return app

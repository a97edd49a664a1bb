"""The Celery application: its settings, and how it refuses to start."""

import os
import subprocess
import sys

import pytest
from sqlalchemy import QueuePool

from annotator.errors import ConfigError
from annotator.settings import load_settings
from workers.app import create_app
from workers.beat.callbacks import CONNECTIONS
from workers.beat.schedule import JobContext, make_jobs


def app_with(**options: object):  # noqa: ANN201
    return create_app(load_settings(env_file=None, broker_url="redis://127.0.0.1:1/0", **options))


def test_threads_late_acknowledgement_and_no_prefetch_are_set_in_the_application() -> None:
    conf = app_with(worker={"concurrency": 3}).conf
    assert (conf.worker_pool, conf.worker_concurrency) == ("threads", 3)
    assert conf.task_acks_late
    assert conf.worker_disable_prefetch
    assert conf.task_ignore_result
    assert conf.accept_content == ["json"]
    assert conf.broker_transport_options["visibility_timeout"] == 3600.0
    assert conf.broker_transport_options["unacked_restore_throttle"] == 1


def test_without_a_broker_there_is_no_application() -> None:
    with pytest.raises(ConfigError, match="ANNOTATOR_BROKER_URL"):
        create_app(load_settings(env_file=None))


def test_a_visibility_timeout_shorter_than_two_deadlines_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least twice the longest deadline"):
        app_with(worker={"visibility_timeout_s": 3599.0})


def test_beat_has_a_connection_to_the_database_for_each_job_its_lock_and_each_receiver() -> None:
    context = JobContext(app_with(database_url="postgresql://db/clips", metrics={"port": 9100}))
    try:
        pool = context.engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.size() >= 2 * len(make_jobs(context)) + CONNECTIONS
    finally:
        context.engine.dispose()


def test_importing_the_package_reads_nothing() -> None:
    code = "import sys, workers, workers.app, workers.annotating.worker; sys.exit('workers.celery' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_celery_says_in_one_line_what_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANNOTATOR_")}
    ran = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "workers", "worker", "-Q", "gpu"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2
    assert ran.stderr.strip().splitlines() == [
        "A worker needs a broker: set ANNOTATOR_BROKER_URL=redis://HOST:PORT/0, or run `annotator up`."
    ]

"""What beat shows of backlogs that follow their bucket."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine, insert, select, update

from annotator.errors import BrokerUnavailableError
from annotator.settings import load_settings
from annotator.stack.child import free_port
from annotator.store.columns import utc_now
from annotator.store.connection import reading, writing
from annotator.store.store import Store
from annotator.store.tables import runs, sources
from workers.app import create_app
from workers.beat.broker import RedisBroker
from workers.beat.queue_metrics import QueueMetrics


def test_beat_shows_who_is_silent_and_whose_listing_is_refused_until_the_backlog_is_stopped(database: Engine) -> None:
    """The broker is away all the while: gauges of the database are shown all the same."""
    Store(database).register_network({"network": "drawn"})
    with reading(database) as connection:
        begun = connection.execute(select(utc_now())).scalar_one() - timedelta(seconds=1000)
    run = {"id": 1, "network_id": 1, "source_id": 1, "prefix": "", "options": {"follow": True}}
    with writing(database) as connection:
        connection.execute(insert(sources).values(id=1, uri="s3://gifs/"))
        connection.execute(insert(runs).values({**run, "started_at": begun, "gone_refused": 300}))
    metrics = QueueMetrics()
    broker = RedisBroker(create_app(load_settings(env_file=None, broker_url=f"redis://127.0.0.1:{free_port()}/0")))

    def shown() -> list[float | None]:
        with pytest.raises(BrokerUnavailableError):
            metrics.refresh(database, broker, queues=["gpu"], session_timeout_s=60)
        names = ("annotator_follower_silent_seconds", "annotator_follower_gone_refused")
        return [metrics.registry.get_sample_value(name, {"backlog": "1"}) for name in names]

    assert shown() == [pytest.approx(1000, abs=30), 300]
    with writing(database) as connection:
        connection.execute(update(runs).values(stopped_at=utc_now()))
    assert shown() == [0, 0]

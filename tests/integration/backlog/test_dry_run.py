"""``annotate-backlog --dry-run``: the real networks on a small bucket, and a database in which nothing has changed."""

import json
from pathlib import Path

import pytest
from sqlalchemy import func, select

from annotator.store.tables import metadata
from tests.integration.backlog.conftest import Producer
from tests.media_factory import GifPart, flat, gif_bytes
from workers.backlog import command

pytestmark = pytest.mark.servers
CLIPS = {
    **{f"gifs/{number}.gif": gif_bytes([GifPart(flat(number)), GifPart(flat(number + 1))]) for number in range(6)},
    "gifs/broken.gif": b"GIF89a",
    "gifs/long.gif": gif_bytes([GifPart(flat(number % 5)) for number in range(40)]),
    "other.gif": gif_bytes([GifPart(flat(0))]),
}


@pytest.fixture
def bucket(producer: Producer, monkeypatch: pytest.MonkeyPatch, cache_dir: Path) -> Producer:
    """A bucket of small clips, and settings that lead to it."""
    for key, body in CLIPS.items():
        producer.put(key, body=body)
    access = producer.server._access
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", producer.settings.database_url.get_secret_value())
    monkeypatch.setenv("ANNOTATOR_CACHE_DIR", str(cache_dir))
    monkeypatch.setenv("ANNOTATOR_S3_ENDPOINT_URL", str(access.endpoint_url))
    monkeypatch.setenv("ANNOTATOR_S3_REGION", str(access.region))
    monkeypatch.setenv("ANNOTATOR_S3_ACCESS_KEY_ID", str(access.access_key_id))
    monkeypatch.setenv("ANNOTATOR_S3_SECRET_ACCESS_KEY", str(access.secret_access_key))
    return producer


def rows(producer: Producer) -> dict[str, int]:
    return {
        name: producer.rows(select(func.count().label("n")).select_from(table))[0].n
        for name, table in metadata.tables.items()
    }


@pytest.mark.slow
def test_it_forecasts_and_writes_nothing(bucket: Producer, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(bucket)
    asked = [f"s3://{bucket.bucket}/gifs/", "--dry-run"]
    assert command.main([*asked, "--json", "--price-per-hour", "0.5"]) == 0
    told = capsys.readouterr()
    said = json.loads(told.out)
    assert {name: said[name] for name in ("backlog", "listed", "new", "queued")} == {
        "backlog": None,
        "listed": 8,
        "new": 8,
        "queued": 8,
    }
    found = said["forecast"]
    assert (found["media"], found["sampled"]) == (8, 8)
    assert found["size_bytes"] == sum(len(body) for key, body in CLIPS.items() if key.startswith("gifs/"))
    assert found["failed"] == [1.0, 1.0, 1.0]
    assert found["worker_hours"][0] > 0
    assert found["cost"][0] == pytest.approx(found["worker_hours"][0] / 2, rel=0.01)
    assert "8 of 8 media of the sample annotated" in told.err
    assert rows(bucket) == before

    assert command.main([*asked, "--sample", "4"]) == 0
    assert "worker-hours" in capsys.readouterr().out
    assert rows(bucket) == before


def test_without_a_sample_it_only_counts(bucket: Producer, capsys: pytest.CaptureFixture[str]) -> None:
    before = rows(bucket)
    assert command.main([f"s3://{bucket.bucket}/", "--dry-run", "--sample", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["listed"], said["queued"], said["forecast"]) == (9, 9, None)
    assert rows(bucket) == before


def test_nothing_new_needs_no_forecast(bucket: Producer, capsys: pytest.CaptureFixture[str]) -> None:
    bucket.run()
    before = rows(bucket)
    assert command.main([f"s3://{bucket.bucket}/", "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["unchanged"], said["queued"], said["forecast"]) == (9, 0, None)
    assert rows(bucket) == before


@pytest.mark.parametrize(
    "options",
    [["--sample", "10"], ["--dry-run", "--follow"], ["--sqs", "https://sqs.eu-west-1.amazonaws.com/1/q"]],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_a_mistake(bucket: Producer, options: list[str]) -> None:
    assert command.main([f"s3://{bucket.bucket}/", *options]) == 2

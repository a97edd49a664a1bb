"""The message of a chunk: what is read, and what is thrown away."""

import logging
from typing import Any

import pytest
from annotated_types import Le

from annotator.settings import WorkerSettings
from workers import boot
from workers.messages import MAX_MEDIA, ChunkMessage, MalformedMessageError, parse_chunk_message
from workers.tasks import annotate_chunk

GOOD: dict[str, Any] = {"v": 1, "chunk_id": 7, "media_ids": [3, 1, 2]}


def test_a_message_of_this_version_is_read() -> None:
    assert parse_chunk_message((), GOOD) == ChunkMessage(7, (3, 1, 2))
    assert len(parse_chunk_message((), GOOD | {"media_ids": list(range(1, 129))}).media_ids) == 128


def test_the_largest_message_that_may_be_set_is_read() -> None:
    most = next(one.le for one in WorkerSettings.model_fields["chunk_media"].metadata if isinstance(one, Le))
    assert most == MAX_MEDIA


BAD = {
    "an old version": GOOD | {"v": 0},
    "a new version": GOOD | {"v": 2},
    "a version that is a text": GOOD | {"v": "1"},
    "a version that is True": GOOD | {"v": True},
    "no version": {"chunk_id": 7, "media_ids": [1]},
    "nothing": {},
    "one field more": GOOD | {"priority": 3},
    "no media": GOOD | {"media_ids": []},
    "too many media": GOOD | {"media_ids": list(range(1, 130))},
    "ten megabytes of media": GOOD | {"media_ids": list(range(10**6, 2 * 10**6))},
    "media that are no list": GOOD | {"media_ids": {"1": 1}},
    "a text for a list": GOOD | {"media_ids": "123"},
    "a text among the media": GOOD | {"media_ids": [1, "2"]},
    "a number with a fraction": GOOD | {"media_ids": [1.0]},
    "a truth value": GOOD | {"media_ids": [True]},
    "a negative number": GOOD | {"media_ids": [-1]},
    "zero": GOOD | {"media_ids": [0]},
    "a number beyond the database's": GOOD | {"media_ids": [1 << 63]},
    "no number": GOOD | {"media_ids": [None]},
    "a list in the list": GOOD | {"media_ids": [[1]]},
    "a negative chunk": GOOD | {"chunk_id": -7},
    "a chunk that is a text": GOOD | {"chunk_id": "7; DROP TABLE work"},
}


@pytest.mark.parametrize("given", BAD.values(), ids=BAD.keys())
def test_everything_else_is_malformed(given: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError):
        parse_chunk_message((), given)


def test_arguments_without_names_are_malformed() -> None:
    with pytest.raises(MalformedMessageError):
        parse_chunk_message((1, 7, [1]), {})


def test_a_malformed_message_is_counted_and_logged_without_its_content(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    monkeypatch.setattr("workers.tasks.tell_malformed", lambda: told.append("malformed"))
    with caplog.at_level(logging.WARNING):
        annotate_chunk(v=1, chunk_id="hunter2", media_ids=[1])
        annotate_chunk("hunter2", 7)
    assert told == ["malformed"] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "hunter2" not in caplog.text


def test_without_a_worker_nothing_is_counted_and_nothing_breaks() -> None:
    boot.tell_malformed()

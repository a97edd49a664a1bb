"""What messages of a queue say, and that none of them can do harm."""

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.backlog.notifications import Address, parse_message

KEY = "a+b c/ü%41\U0001f600.gif"


def from_s3(*keys: str, bucket: str = "clips", source: str = "aws:s3") -> dict[str, Any]:
    named = [{"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}} for key in keys]
    return {"Records": [{"eventSource": source, "eventName": "ObjectCreated:Put", "s3": one} for one in named]}


def from_event_bridge(key: str) -> dict[str, Any]:
    return {"version": "0", "source": "aws.s3", "detail": {"bucket": {"name": "clips"}, "object": {"key": key}}}


def in_sns(said: dict[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:…", "Message": json.dumps(said)}


def test_a_message_of_s3_names_all_its_keys_unquoted() -> None:
    assert parse_message(json.dumps(from_s3(KEY, "b.gif"))) == {Address("clips", KEY), Address("clips", "b.gif")}


def test_servers_that_speak_like_s3_are_understood_too() -> None:
    assert parse_message(json.dumps(from_s3(KEY, source="minio:s3"))) == {Address("clips", KEY)}


def test_envelopes_of_sns_are_opened() -> None:
    assert parse_message(json.dumps(in_sns(from_s3(KEY)))) == {Address("clips", KEY)}
    assert parse_message(json.dumps(in_sns(from_event_bridge("a.gif")))) == {Address("clips", "a.gif")}


def test_a_key_of_event_bridge_is_looked_for_as_it_is_written_and_unquoted() -> None:
    assert parse_message(json.dumps(from_event_bridge(KEY))) >= {Address("clips", KEY)}  # type: ignore[operator]
    assert parse_message(json.dumps(from_event_bridge(quote_plus(KEY)))) >= {Address("clips", KEY)}  # type: ignore[operator]


def test_the_message_that_tries_the_queue_says_nothing() -> None:
    tried = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "clips"}
    assert parse_message(json.dumps(tried)) == frozenset()
    assert parse_message(json.dumps(in_sns(tried))) == frozenset()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        "[" * 200_000,
        '{"a":' * 200_000,
        "9" * 10_000,
        '{"Records": []}',
        '{"Records": {"s3": 1}}',
        '{"Records": [null]}',
        '{"Records": [{"s3": {"bucket": {"name": 1}, "object": {"key": "a"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": ["a"]}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": ""}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "%ff"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "\\ud800"}}}]}',
        json.dumps(from_s3("k" * 1025)),
        json.dumps(in_sns(in_sns(in_sns(in_sns(from_s3("a")))))),
        json.dumps({"source": "aws.s3", "detail": {}}),
        json.dumps({"Records": [*from_s3("a")["Records"], {}]}),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_notification_is_told_from_those_that_say_nothing(body: str | bytes) -> None:
    assert parse_message(body) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Records", "s3", "bucket", "object", "name", "key", "detail", "source", "Message", "Type"]
            ),
            inner | st.sampled_from(["aws.s3", "Notification", "clips"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(st.binary(max_size=300) | st.text(max_size=300) | _JSON.map(json.dumps))
def test_nothing_that_somebody_writes_breaks_it(body: str | bytes) -> None:
    found = parse_message(body)
    assert found is None or all(0 < len(place.key.encode()) <= 1024 and place.bucket for place in found)


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).filter(lambda key: len(key.encode()) <= 1024))
def test_every_key_is_found_again(key: str) -> None:
    assert parse_message(json.dumps(from_s3(key))) == {Address("clips", key)}
    assert Address("clips", key) in (parse_message(json.dumps(from_event_bridge(key))) or ())

"""Notifications of a bucket, as a queue gives them: from S3 itself, through SNS, from EventBridge.

Whoever may write to the queue may write anything there. So nothing of a message is believed but that somebody should
look at a key; what lies there, or lies there no longer, the bucket says. That is why duplicates, an order that is not
that of the events, and kinds of events that are unknown here do no harm.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

# In SNS's envelope may lie one of EventBridge; nothing lies deeper.
_MAX_ENVELOPES: Final = 3
_MAX_KEY_BYTES: Final = 1024


class Address(NamedTuple):
    """Where somebody should look.

    Attributes:
        bucket: the name of a bucket.
        key: the key of an object that is there, or was.

    """

    bucket: str
    key: str


def parse_message(body: str | bytes) -> frozenset[Address] | None:
    """Return where a message says that something has happened.

    Args:
        body: of a message; anything.

    Returns:
        None where it is no notification of a bucket; nothing for the one that only tries whether the queue is there.

    >>> sorted(parse_message('{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "red+f%C3%BCr.gif"}}}]}'))
    [Address(bucket='b', key='red für.gif')]
    >>> parse_message('{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}')
    frozenset()
    >>> parse_message("hello") is None
    True
    """
    for _ in range(_MAX_ENVELOPES):
        try:
            said: Any = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(said, dict):
            return None
        inner = said.get("Message")
        if said.get("Type") != "Notification" or not isinstance(inner, str):
            return _addresses(said)
        body = inner
    return None


def _addresses(said: dict[str, Any]) -> frozenset[Address] | None:
    if said.get("Event") == "s3:TestEvent":
        return frozenset()
    try:
        if said.get("source") == "aws.s3":
            return frozenset(_from_event_bridge(said["detail"]))
        records = said["Records"]
        return frozenset(_from_s3(records)) if isinstance(records, list) and records else None
    except (KeyError, TypeError, ValueError):  # something is not there, or is something else
        return None


def _from_s3(records: Iterable[Any]) -> Iterator[Address]:
    for record in records:
        named = record["s3"]
        yield _address(named["bucket"]["name"], unquote_plus(_text(named["object"]["key"]), errors="strict"))


def _from_event_bridge(detail: Any) -> Iterator[Address]:  # noqa: ANN401 - whatever the message holds
    """Yield the key as it is written, and unquoted: which of both it is, the bucket knows."""
    bucket, key = detail["bucket"]["name"], _text(detail["object"]["key"])
    yield _address(bucket, key)
    yield _address(bucket, unquote_plus(key))


def _address(bucket: Any, key: str) -> Address:  # noqa: ANN401 - whatever the message holds
    if not 0 < len(key.encode()) <= _MAX_KEY_BYTES:
        raise ValueError("no key")
    return Address(_text(bucket), key)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever the message holds
    if not isinstance(value, str) or not value:
        raise TypeError("no text")
    return value

"""Secrets are taken out of texts, and nothing else is."""

import time

import pytest

from annotator.masking import Masker, mask_url, secrets_of_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("sqlite:////tmp/annotations.db", None),
        ("postgresql://ann@db/x?sslmode=require", None),
        ("http://localhost:9000/bucket", None),
        ("http://[::1]:9000/a@2x.gif", None),
        ("redis://broker:6379/0", None),
        ("s3://clips/2026/a:b@c.gif", None),
        ("postgresql://ann@db/x?password=secret&sslmode=require", "postgresql://ann@db/x?password=***&sslmode=require"),
        ("postgresql://ann@db/x?dbpassword=abc", "postgresql://ann@db/x?dbpassword=***"),
        ("postgresql://ann@db/x?sslpassword=abc&user=u", "postgresql://ann@db/x?sslpassword=***&user=u"),
        ("postgresql://ann:secret@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann:se/cret@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann:se@cr/et@db/x", "postgresql://ann:***@db/x"),
        ("postgresql://ann:se cret@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann:s@e cr@et@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann: secret@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann:12/34@db/a", "postgresql://ann:***@db/a"),
        ("postgresql://ann:p\"a's<s@db/a", "postgresql://ann:***@db/a"),
        ("HTTPS://ann:se/cret@h/a.gif?token=f00d", "HTTPS://ann:***@h/a.gif?token=***"),
        ("rediss://:secret@broker:6380/0?ssl_cert_reqs=required", "rediss://:***@broker:6380/0?ssl_cert_reqs=required"),
    ],
)
def test_an_address_is_masked_alike_alone_and_in_a_sentence(url: str, masked: str | None) -> None:
    shown = url if masked is None else masked
    assert mask_url(url) == shown
    assert Masker().mask(url) == shown
    assert Masker().mask(f"cannot connect to {url} now\nask ops@example.com") == (
        f"cannot connect to {shown} now\nask ops@example.com"
    )
    # What an address hides must be told to a log as a secret, too.
    for secret in secrets_of_url(url):
        assert secret not in shown
    assert bool(secrets_of_url(url)) == (masked is not None)


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://ann:a://b@db/a", "postgresql://ann:***@db/a"),
        ('postgresql://ann:a "b@db/a', "postgresql://ann:***@db/a"),
        ("redis://:a\nb@h/0", "redis://:***@h/0"),
        ("postgresql://h/x?password=a b&sslmode=require", "postgresql://h/x?password=***&sslmode=require"),
    ],
)
def test_of_what_is_one_address_all_is_hidden_that_a_text_cannot_tell(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no route to redis://:pa55@broker:6379/0.", "no route to redis://:***@broker:6379/0."),
        ("postgresql://ann:p@ss:w?rd#x@db:5432/clips", "postgresql://ann:***@db:5432/clips"),
        ("redis://:one@a/0 and redis://:two@b/0", "redis://:***@a/0 and redis://:***@b/0"),
        ("('https://s3/a?X-Amz-Credential=AK%2F1&X-Amz-Signature=f00')", None),
        ("https://cdn/a.gif?Expires=1&Signature=f00d~&Key-Pair-Id=K1", None),
        ("https://h/a?access_token=f00d#x", None),
        ("host=db user=ann password='f00d f00d'", "host=db user=ann password=***"),
        ("host=db sslpassword=f00d sslmode=require", "host=db sslpassword=*** sslmode=require"),
        ("redis://:f00 d@broker/0, ask ops@example.com", "redis://:***@example.com"),
        ("{'Authorization': 'Bearer f00d.f00d'}", "{'Authorization': 'Bearer ***'}"),
        ("Authorization: Basic f00d==", "Authorization: Basic ***"),
    ],
)
def test_what_gives_access_is_hidden(text: str, masked: str | None) -> None:
    found = Masker().mask(text)
    assert "f00" not in found
    assert "pa55" not in found
    if masked is not None:
        assert found == masked


@pytest.mark.parametrize(
    "text",
    [
        "http://host:8000/a@2x.gif",
        "http://host:8000 and http://host:9000, write to me@example.com",
        "redis://broker:6379/0 is away, write to me@example.com",
        "https://h/a.gif?compass=4&bypass=1",
        "https://h/a.gif?id=4&monkey=5",
        'password authentication failed for user "ann"',
        "s3://clips/2026/a@b.gif",
        "12:30 me@example.com",
    ],
)
def test_what_names_a_media_stays(text: str) -> None:
    assert Masker(["hunter2"]).mask(text) == text


def test_a_known_secret_is_hidden_wherever_it_stands() -> None:
    masker = Masker(["ab/c$d", "ab/c$d-longer", "x"])
    assert masker.mask("got 'ab/c$d-longer', then ab/c$d; x stays") == "got '***', then ***; x stays"


def test_a_long_line_is_masked_in_no_time() -> None:
    began_s = time.process_time()
    Masker().mask("://a:" * 100_000 + "x" * 100_000 + "?pass" * 100_000 + "://a:1" + " b" * 100_000)
    assert time.process_time() - began_s < 5.0

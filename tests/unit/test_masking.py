"""Secrets are taken out of texts, and nothing else is."""

import pytest

from annotator.masking import Masker


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

"""docs/callbacks.md is right: its Python checks real signatures, its SQL runs, its examples are what is sent."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from annotator.settings import CallbackSettings, load_settings
from annotator.store.connection import reading
from workers.beat.callbacks import wait_s
from workers.beat.receivers import EVENT_HEADER, KEY_HEADER, SIGNATURE_HEADER, sign

DOCUMENT = (Path(__file__).parents[3] / "docs" / "callbacks.md").read_text()
SECRET, FORMER = "a secret that nobody guesses", "the secret of last year"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture
def is_genuine() -> Callable[[bytes, str, str], bool]:
    """The function of the document."""
    (code,) = blocks("python")
    names: dict[str, Callable[[bytes, str, str], bool]] = {}
    exec(code, names)  # noqa: S102  (what the document tells to do)
    return names["is_genuine"]


def test_its_python_tells_ours_from_others(
    is_genuine: Callable[[bytes, str, str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = '{"media_uri":"s3://gifs/Bén.gif"}'.encode()
    monkeypatch.setattr("time.time", lambda: 1_700_000_100.0)
    signature = sign(body, [SECRET, FORMER], at_s=1_700_000_000)
    assert is_genuine(body, signature, SECRET)
    assert is_genuine(body, signature, FORMER)
    assert not is_genuine(body, signature, "somebody else's secret")
    assert not is_genuine(body + b" ", signature, SECRET)
    assert not is_genuine(body, signature.replace("t=17", "t=16"), SECRET)
    assert not is_genuine(body, sign(body, [SECRET], at_s=1_699_999_000), SECRET), "an old one, sent again"


def test_its_sql_runs(engine: Engine) -> None:
    query, listen = blocks("sql")
    with reading(engine) as connection:
        connection.execute(text(query))
    assert listen.strip() == "LISTEN annotator_backlog;"


def test_it_names_the_settings_and_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CallbackSettings.model_fields:
        assert f"`ANNOTATOR_CALLBACKS__{name.upper()}`" in DOCUMENT
    for header in (EVENT_HEADER, KEY_HEADER, SIGNATURE_HEADER):
        assert f"`{header}`" in DOCUMENT
    monkeypatch.setenv("ANNOTATOR_CALLBACKS__ALLOWED_HOSTS", "hooks.example.com, *.example.org,10.0.0.0/8")
    allowed = load_settings(env_file=None).callbacks.allowed_hosts
    assert allowed == ("hooks.example.com", "*.example.org", "10.0.0.0/8")


def test_its_example_has_the_keys_that_are_sent() -> None:
    (example,) = blocks("json")
    assert set(json.loads(example)) == {
        *("event", "idempotency_key", "media_uri", "status", "reason", "message", "model", "labels", "backlog")
    }


def test_its_waits_are_those_of_the_program() -> None:
    minutes = [round(wait / 60) for tries in range(1, 9) if (wait := wait_s(tries)) is not None]
    assert minutes == [0, 1, 3, 11, 43, 171, 683, 1440]
    assert "10 s, 40 s, 3 min, 11 min, 43 min, 3 h, 11 h and 24 h" in DOCUMENT

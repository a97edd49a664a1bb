"""The command, where a bucket lacks what is known: what it says, how it ends, and what status shows."""

import json
from collections.abc import Sequence

import pytest

from annotator.cli import run_command
from annotator.store.queue.status import read_status
from tests.integration.backlog.conftest import Producer
from tests.integration.backlog.test_following import Following
from tests.integration.backlog.test_killed_and_shared import started
from workers.backlog.telling import tell_step

pytestmark = pytest.mark.servers
KEYS = [f"a/{number}.gif" for number in range(6)]


def run(producer: Producer, *arguments: str) -> tuple[int, dict[str, object], str]:
    """Return exit code, summary and what is said on stderr."""
    process = started(producer, *arguments)
    out, err = process.communicate(timeout=120)
    return process.returncode, json.loads(out), err


def with_few_allowed(producer: Producer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANNOTATOR_BACKLOG__MIN_GONE", "2")
    producer.put(*KEYS)


def gone_refused(producer: Producer) -> Sequence[int | None]:
    with producer.store.reading() as connection:
        return [one.gone_refused for one in read_status(connection, network_id=producer.network_id).backlogs]


def test_an_emptied_bucket_is_refused_and_marked_when_somebody_says_so(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_few_allowed(producer, monkeypatch)
    assert run(producer)[0] == 0
    producer.delete(*KEYS)
    code, told, said = run(producer)
    assert (code, told["missing"], told["deleted"]) == (3, 6, 0)
    assert "lacks 6 or more of 6 known media, of which 2 may be gone" in said
    assert "--allow-gone" in said
    assert producer.known(gone=True) == []
    assert gone_refused(producer)[0] == 6
    url = producer.settings.database_url.get_secret_value()
    assert run_command(["status", "--database", url]) == 0
    assert "lacks 6 or more known media" in " ".join(capsys.readouterr().out.split())
    code, told, said = run(producer, "--allow-gone")
    assert (code, told["missing"], told["deleted"]) == (0, 6, 6)
    assert "lacks" not in said
    assert producer.known(gone=True) == KEYS
    producer.check()


def test_who_follows_a_bucket_that_seems_empty_is_warned_and_goes_on(
    producer: Producer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_few_allowed(producer, monkeypatch)
    following = Following(producer, every=0.001)
    assert following.list() == 6
    producer.delete(*KEYS)
    steps = []
    while not steps or steps[-1].refused is None:
        steps.append(following.step())
    tell_step(1, steps[-1], as_json=False)
    assert "lacks 6 or more of 6 known media" in capsys.readouterr().err
    assert (producer.known(gone=True), gone_refused(producer)) == ([], [6])
    producer.put(*KEYS)
    while gone_refused(producer) != [None]:
        following.step()
    assert producer.known() == KEYS
    following.end()

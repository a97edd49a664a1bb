"""One form for every line, and no secret in any."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from annotator.masking import Masker
from annotator.settings import LogSettings, load_settings
from annotator.store.queue.chunks import Piece
from annotator.store.queue.work import Claim, Report
from annotator.store.tables import WorkState
from annotator.types import KnownMedia, MediaFailure, MediaRef
from workers.telemetry.logs import FailureLog, known_secrets, make_formatter, set_up_logging
from workers.telemetry.watch import Settled, Watch

A_BUG = "ValueError: invalid literal for int() with base 10: 'a bug'"


class Log:
    """A logger of its own, and what it has written."""

    def __init__(self, form: str, masker: Masker | None = None) -> None:
        self.text = io.StringIO()
        handler = logging.StreamHandler(self.text)
        handler.setFormatter(make_formatter(LogSettings(format=form), masker or Masker()))  # type: ignore[arg-type]
        self.logger = logging.Logger("tests.of.logs", logging.DEBUG)  # noqa: LOG001 - belongs to no tree
        self.logger.addHandler(handler)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.getvalue().splitlines()]


def test_a_line_of_json_says_when_how_bad_who_and_what() -> None:
    log = Log("json")
    log.logger.warning("%d left\nof ä", 3, extra={"media": "s3://clips/a.gif", "attempt": 2, "reason": "r"})
    (line,) = log.lines()
    assert line.pop("time").endswith("Z")
    assert ":" in line.pop("worker")
    assert line == {
        "level": "warning",
        "logger": "tests.of.logs",
        "event": "3 left\nof ä",
        "media": "s3://clips/a.gif",
        "attempt": 2,
        "reason": "r",
    }


def test_a_line_that_a_task_thread_writes_says_which_chunk_it_has() -> None:
    log = Log("json")
    with Watch().message(77, media=1):
        log.logger.info("inside")
    log.logger.info("outside")
    inside, outside = log.lines()
    assert inside["chunk"] == 77
    assert "chunk" not in outside


def test_an_exception_is_one_line_of_json_and_several_of_text() -> None:
    for form in ("json", "text"):
        log = Log(form)
        try:
            int("a bug")
        except ValueError:
            log.logger.exception("it failed")
        if form == "json":
            (line,) = log.lines()
            assert line["exception"].splitlines()[-1] == A_BUG
        else:
            first, *_, last = log.text.getvalue().splitlines()
            assert first.endswith("ERROR tests.of.logs: it failed")
            assert last == A_BUG


def test_text_is_for_people() -> None:
    log = Log("text")
    with Watch().message(77, media=1):
        log.logger.info("ready", extra={"reason": "r"})
    time, rest = log.text.getvalue().split(" ", 1)
    assert time.endswith("Z")
    assert rest == "INFO tests.of.logs: ready chunk=77 reason=r\n"


BROKER = "redis://:br0ker-pass@broker:6379/0"
DATABASE = "postgresql://ann:d%40ta-pass@db/clips?sslpassword=x&password=in-query"


@pytest.fixture
def secretive(monkeypatch: pytest.MonkeyPatch) -> Masker:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "aws-env-secret")
    monkeypatch.setenv("ANNOTATOR_S3_SECRET_ACCESS_KEY", "s3-secret")
    settings = load_settings(env_file=None, broker_url=BROKER, database_url=DATABASE, s3_access_key_id="id")
    return Masker(known_secrets(settings))


def connect(url: str) -> None:
    raise OSError(f"cannot connect to {url}")


def look(url: str) -> None:
    try:
        connect(BROKER)
    except OSError as error:
        raise RuntimeError(f"{DATABASE}: {url}") from error


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_is_ever_written(form: str, secretive: Masker) -> None:
    log = Log(form, secretive)
    presigned = "https://s3.example/clips/a.gif?X-Amz-Credential=AKIA&X-Amz-Signature=s1gnature&X-Amz-Expires=60"
    try:
        look(presigned)
    except RuntimeError:
        log.logger.exception("failed: %s", BROKER, extra={"media": presigned})
    for text in ("br0ker-pass", "d@ta-pass", "in-query", "s3-secret", "aws-env-secret"):
        log.logger.warning("alone: %s", text)
    log.logger.warning("another one's: postgresql://x:0ther@y/z, Authorization: Bearer t0ken")
    written = log.text.getvalue()
    for secret in (
        "br0ker",
        "d%40ta",
        "d@ta",
        "in-query",
        "s3-secret",
        "aws-env",
        "s1gnature",
        "AKIA",
        "0ther",
        "t0ken",
    ):
        assert secret not in written
    assert "redis://:***@broker:6379/0" in written
    assert "https://s3.example/clips/a.gif?X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Expires=60" in written


def settled(outcome: Any, report: Report, *, counts: bool = True) -> Settled:
    return Settled(report.claim, outcome, report, counts=counts)


def test_each_media_that_fails_has_a_line_with_its_attempt_and_reason(caplog: pytest.LogCaptureFixture) -> None:
    ref = MediaRef("a.gif", "s3://clips/a.gif")
    claim = Claim(1, 1, 3, ref, Piece(1, "a.gif", 1), suspect=False, tries=3)
    failure = MediaFailure(ref, "fake@1", "undecodable", "no picture", is_transient=False)
    failed = Report(claim, WorkState.FAILED, reason="undecodable", message="no picture")
    again = Report(claim, WorkState.PENDING, reason="source_unavailable", message="503 %s", delay_s=5.0)
    with caplog.at_level(logging.INFO):
        FailureLog().settled(
            [
                settled(failure, failed),
                settled(failure, again),
                settled(failure, failed, counts=False),
                settled(KnownMedia(ref, "0"), Report(claim, WorkState.DONE)),
                settled(None, Report(claim, WorkState.PENDING, gives_back=True)),
            ],
            took_s=0.1,
        )
    told = [
        (one.levelname, one.getMessage(), one.media, one.attempt, one.reason, one.state)  # type: ignore[attr-defined]
        for one in caplog.records
    ]
    assert told == [
        ("WARNING", "no picture", "s3://clips/a.gif", 3, "undecodable", "failed"),
        ("INFO", "503 %s", "s3://clips/a.gif", 3, "source_unavailable", "pending"),
    ]


@pytest.fixture
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    names = ("", "celery", "celery.task", "celery.redirected", "boto3", "botocore", "s3transfer", "urllib3")
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).level) for name in names}
    yield
    for handler in set(root.handlers) - set(before[""][0]):
        handler.close()
    for name, (handlers, level) in before.items():
        logging.getLogger(name).handlers = handlers
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("_logging_as_before")
def test_the_setting_of_the_level_goes_before_the_option_and_clients_never_talk_of_signatures(tmp_path: Any) -> None:
    file = tmp_path / "log"
    set_up_logging(load_settings(env_file=None, log={"format": "json", "level": "DEBUG"}), level=30, file=str(file))
    logging.getLogger("celery.worker").debug("a")
    logging.getLogger("botocore.auth").debug("Signature: f00d")
    logging.getLogger().handlers[0].close()
    set_up_logging(load_settings(env_file=None, log={"format": "json"}), level="ERROR", file=str(file))
    logging.getLogger("celery.worker").warning("b")
    logging.getLogger("celery.worker").error("c")
    assert [json.loads(line)["event"] for line in file.read_text().splitlines()] == ["a", "c"]

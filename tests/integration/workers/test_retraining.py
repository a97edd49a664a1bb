"""When beat asks for a retraining, and of whom."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest
from sqlalchemy import Engine, update

from annotator.errors import ConfigError
from annotator.settings import RetrainingSettings
from annotator.store import Store
from annotator.store.connection import writing
from annotator.store.locks import only_one
from annotator.store.retrainings import RETRAINING_LOCK, begin_retraining, end_retraining
from annotator.store.tables import retrainings
from workers.beat.retraining import Retrainer, parse_cron

DAILY = "0 3 * * *"


@pytest.fixture
def engine(make_database: "object") -> Iterator[Engine]:
    with Store.open(make_database("postgres")) as store:  # type: ignore[operator]
        yield store.engine


def retrainer(engine: Engine, workdir: Path, cron: str | None = DAILY) -> Retrainer:
    chosen = RetrainingSettings(cron=cron, experiment="sports", workdir=workdir)
    return Retrainer(engine, chosen, stopping=Event())


def note_run(engine: Engine, *, ago: timedelta, is_open: bool = False) -> None:
    with writing(engine) as connection:
        run = begin_retraining(connection, experiment="sports", cause="schedule", news={}, model="sports@1")
        if not is_open:
            end_retraining(connection, run, "held", reason="doctor: two people in one folder")
        began = update(retrainings).where(retrainings.c.id == run.id).values(started_at=datetime.now(UTC) - ago)
        connection.execute(began)


def test_a_run_is_due_when_its_time_has_come_since_the_last_one_began(engine: Engine, tmp_path: Path) -> None:
    one = retrainer(engine, tmp_path)
    assert not one.is_due(), "beat has just begun"
    note_run(engine, ago=timedelta(days=1, minutes=1))
    assert one.is_due()
    note_run(engine, ago=timedelta(0))
    assert not retrainer(engine, tmp_path, "0 0 1 1 *").is_due()


def test_a_run_that_was_cut_off_is_due_at_once_and_one_that_is_in_hand_is_not(engine: Engine, tmp_path: Path) -> None:
    one = retrainer(engine, tmp_path, "0 0 1 1 *")
    note_run(engine, ago=timedelta(0), is_open=True)
    assert one.is_due()
    with only_one(engine, RETRAINING_LOCK):
        assert not one.is_due()


def test_without_a_schedule_nothing_is_due(engine: Engine, tmp_path: Path) -> None:
    note_run(engine, ago=timedelta(days=400), is_open=True)
    assert not retrainer(engine, tmp_path, None).is_due()


@pytest.mark.parametrize("cron", ["", "daily", "0 3 * *", "61 3 * * *", "0 3 * * * *"])
def test_times_that_are_none_are_told_with_the_remedy(cron: str) -> None:
    with pytest.raises(ConfigError, match="minute, hour, day, month and weekday"):
        parse_cron(cron)


def test_a_schedule_needs_an_experiment(engine: Engine) -> None:
    with pytest.raises(ConfigError, match="ANNOTATOR_RETRAINING__EXPERIMENT"):
        Retrainer(engine, RetrainingSettings(cron=DAILY), stopping=Event())


def test_what_the_command_says_is_in_its_log(engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    note_run(engine, ago=timedelta(days=2))
    retrainer(engine, tmp_path / "nowhere").run()
    log = tmp_path / "nowhere" / "sports" / "retraining" / "retrain.log"
    assert "sports" in log.read_text()
    assert "has ended with 2" in caplog.text

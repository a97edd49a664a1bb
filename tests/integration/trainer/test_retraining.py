"""A retraining as a row and its steps: what is done when, how it goes on, how it ends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from annotator.errors import BusyError
from annotator.recognition.crops import FaceCrop
from annotator.store import Store
from annotator.store.connection import reading, writing
from annotator.store.locks import only_one
from annotator.store.retrainings import (
    RETRAINING_LOCK,
    Retraining,
    begin_retraining,
    list_retrainings,
    open_retraining,
)
from annotator.store.tables import retrainings
from trainer.cli import run
from trainer.dataset.cutting import crop_text
from trainer.dataset.files import only_worker
from trainer.retraining.running import (
    BUSY_TRIES,
    MAX_TRIES,
    RetrainingUnderWayError,
    Wanted,
    last_words,
    retrain,
    run_child,
)
from trainer.retraining.steps import STEPS, Plan, Step
from trainer.workdir import Experiment

ORDER = [step.name for step in STEPS]
NEWS = {"photographs": "1", "labels": "1"}


@dataclass
class Steps:
    """Runs no command; a step ends as it is told to, once, and with 0 otherwise."""

    folder: Path
    ends: dict[str, list[int | None]] = field(default_factory=dict)
    ran: list[tuple[str, bool]] = field(default_factory=list)

    def __call__(self, step: Step, plan: Plan, is_again: bool, _: Callable[[], bool]) -> int | None:  # noqa: FBT001
        self.ran.append((step.name, is_again))
        (plan.folder / f"{step.name}.log").write_text(f"{step.name}\nspoke last\n───\n")
        ends = self.ends.get(step.name)
        return ends.pop(0) if ends else 0

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.ran]


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    with Store.open(database_url) as opened:
        yield opened


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


def wanted(tmp_path: Path, *, news: dict[str, str] = NEWS, only_news: bool = False, version: int = 3) -> Wanted:
    def plan_of(run: Retraining) -> Plan:
        name, _, made = run.model.rpartition("@")
        return Plan(run.experiment, tmp_path, name, int(made), tmp_path / str(run.id))

    return Wanted(
        experiment="sports",
        cause="schedule",
        read_news=lambda: news,
        next_version=lambda: version,
        plan_of=plan_of,
        name="sports",
        only_news=only_news,
    )


def rows(store: Store) -> list[Retraining]:
    with reading(store.engine) as connection:
        return list_retrainings(connection, limit=10)


def test_all_steps_are_taken_in_order_and_the_model_is_promoted(store: Store, steps: Steps, tmp_path: Path) -> None:
    run = retrain(store.engine, wanted(tmp_path), run_step=steps)
    assert steps.ran == [(name, False) for name in ORDER]
    assert (run.outcome, run.model, run.reason) == ("promoted", "sports@3", None)
    assert [one["step"] for one in run.done] == ORDER
    assert rows(store) == [run]


@pytest.mark.parametrize(
    ("step", "code", "outcome"),
    [
        ("doctor", 3, "held"),
        ("doctor", 2, "failed"),
        ("doctor", 1, "failed"),
        ("promote", 3, "held"),
        ("promote", 1, "failed"),
        ("fit", 1, "failed"),
        ("fit", 3, "failed"),
        ("export", 2, "failed"),
    ],
)
def test_what_a_step_finds_holds_or_fails_the_run_and_nothing_comes_after_it(
    store: Store, steps: Steps, tmp_path: Path, *, step: str, code: int, outcome: str
) -> None:
    steps.ends = {step: [code]}
    run = retrain(store.engine, wanted(tmp_path), run_step=steps)
    assert (run.outcome, run.reason) == (outcome, f"{step}: spoke last")
    assert steps.names == ORDER[: ORDER.index(step) + 1]
    again = retrain(store.engine, wanted(tmp_path), run_step=steps)
    assert (again.id, again.outcome) == (run.id + 1, "promoted")


@pytest.mark.parametrize("step", ORDER)
def test_a_run_that_is_cut_off_in_a_step_goes_on_with_it(store: Store, steps: Steps, tmp_path: Path, step: str) -> None:
    class CutOffError(Exception):
        pass

    def cut_off(one: Step, plan: Plan, is_again: bool, ask: Callable[[], bool]) -> int | None:  # noqa: FBT001
        if one.name == step:
            raise CutOffError
        return steps(one, plan, is_again, ask)

    with pytest.raises(CutOffError):
        retrain(store.engine, wanted(tmp_path), run_step=cut_off)
    (left,) = rows(store)
    assert (left.outcome, left.step) == (None, step)
    run = retrain(store.engine, wanted(tmp_path, news={"photographs": "2"}, version=9), run_step=steps)
    assert (run.id, run.model, run.outcome) == (left.id, "sports@3", "promoted")
    assert steps.names == ORDER
    assert dict(steps.ran)[step]  # it is told that it was begun before


def test_a_step_that_is_told_to_stop_leaves_the_run_open(store: Store, steps: Steps, tmp_path: Path) -> None:
    steps.ends = {"fit": [None]}
    run = retrain(store.engine, wanted(tmp_path), run_step=steps, is_stopping=lambda: True)
    assert (run.outcome, run.step) == (None, "fit")
    assert steps.names[-1] == "fit"


def test_a_step_that_is_killed_is_begun_again_but_not_for_ever(store: Store, steps: Steps, tmp_path: Path) -> None:
    steps.ends = {"fit": [-9]}
    assert retrain(store.engine, wanted(tmp_path), run_step=steps).outcome == "promoted"
    assert [is_again for name, is_again in steps.ran if name == "fit"] == [False, True]
    steps.ends = {"fit": [-9] * MAX_TRIES}
    run = retrain(store.engine, wanted(tmp_path), run_step=steps)
    assert run.outcome == "failed"
    assert "cut off 3 times" in (run.reason or "")
    assert open_in(store) is None


@pytest.mark.parametrize("code", [130, -15, 1])
def test_a_step_that_ends_badly_while_the_run_is_told_to_stop_leaves_it_open(
    store: Store, steps: Steps, tmp_path: Path, code: int
) -> None:
    steps.ends = {"fit": [code]}
    run = retrain(store.engine, wanted(tmp_path), run_step=steps, is_stopping=lambda: "fit" in steps.names)
    assert (run.outcome, run.step, steps.names[-1]) == (None, "fit", "fit"), "a signal to the group reaches both"


def test_a_step_that_somebody_else_interrupts_is_begun_again(store: Store, steps: Steps, tmp_path: Path) -> None:
    steps.ends = {"fit": [130]}
    assert retrain(store.engine, wanted(tmp_path), run_step=steps).outcome == "promoted"
    assert [is_again for name, is_again in steps.ran if name == "fit"] == [False, True]


@pytest.mark.parametrize("step", ["prepare", "promote"])
def test_a_step_that_somebody_else_keeps_waiting_is_tried_again(
    store: Store, steps: Steps, tmp_path: Path, step: str
) -> None:
    steps.ends = {step: [75, 75]}
    run = retrain(store.engine, wanted(tmp_path), run_step=steps, busy_pause_s=0.0)
    assert run.outcome == "promoted"
    assert [one for one in steps.ran if one[0] == step] == [(step, False)] * 3, "a try that did not begin is none"


def test_a_run_whose_step_is_kept_waiting_for_long_stays_open_and_goes_on_later(
    store: Store, steps: Steps, tmp_path: Path
) -> None:
    for _ in range(MAX_TRIES + 1):
        steps.ends = {"promote": [75] * BUSY_TRIES}
        with pytest.raises(BusyError, match=r"waits in promote: spoke last; retrain again"):
            retrain(store.engine, wanted(tmp_path), run_step=steps, busy_pause_s=0.0)
        (left,) = rows(store)
        assert (left.outcome, left.step) == (None, "promote")
    assert retrain(store.engine, wanted(tmp_path), run_step=steps).outcome == "promoted"
    assert len(rows(store)) == 1


@pytest.mark.parametrize("step", ["fit", "install"])
def test_a_step_that_is_kept_waiting_stops_when_it_is_told_to_and_has_not_begun(
    store: Store, steps: Steps, tmp_path: Path, step: str
) -> None:
    for _ in range(MAX_TRIES + 1):
        steps.ends = {step: [75]}
        steps.ran.clear()
        run = retrain(store.engine, wanted(tmp_path), run_step=steps, is_stopping=lambda: step in steps.names)
        assert (run.outcome, run.step, run.tries) == (None, step, 0)
    assert retrain(store.engine, wanted(tmp_path), run_step=steps).outcome == "promoted"
    assert {one for one in steps.ran if one[0] == step} == {(step, False)}, "a fit that never began is a fresh one"


def test_a_run_that_dies_while_a_step_is_kept_waiting_has_not_begun_it(
    store: Store, steps: Steps, tmp_path: Path
) -> None:
    def dies() -> bool:
        if "fit" in steps.names:
            raise SystemExit
        return False

    steps.ends = {"fit": [75]}
    with pytest.raises(SystemExit):
        retrain(store.engine, wanted(tmp_path), run_step=steps, is_stopping=dies)
    (left,) = rows(store)
    assert (left.outcome, left.step, left.tries) == (None, "fit", 0)


def open_in(store: Store) -> Retraining | None:
    with reading(store.engine) as connection:
        return open_retraining(connection)


def test_without_news_nothing_is_done(store: Store, steps: Steps, tmp_path: Path) -> None:
    retrain(store.engine, wanted(tmp_path), run_step=steps)
    steps.ran.clear()
    run = retrain(store.engine, wanted(tmp_path, only_news=True), run_step=steps)
    assert (run.outcome, steps.ran) == ("nothing new", [])
    fresh = wanted(tmp_path, news=NEWS | {"photographs": "2"}, only_news=True)
    assert retrain(store.engine, fresh, run_step=steps).outcome == "promoted"
    assert retrain(store.engine, wanted(tmp_path), run_step=steps).outcome == "promoted", "a person has asked"


def test_a_run_that_failed_is_no_answer_and_one_that_was_held_is(store: Store, steps: Steps, tmp_path: Path) -> None:
    steps.ends = {"fit": [1], "doctor": [0, 3]}
    news = wanted(tmp_path, only_news=True)
    outcomes = [retrain(store.engine, news, run_step=steps).outcome for _ in range(3)]
    assert outcomes == ["failed", "held", "nothing new"]


@pytest.mark.servers
@pytest.mark.parametrize("dialect", ["postgres"])
def test_nothing_is_begun_while_another_process_is_at_it(store: Store, steps: Steps, tmp_path: Path) -> None:
    with only_one(store.engine, RETRAINING_LOCK) as is_ours:
        assert is_ours
        with pytest.raises(RetrainingUnderWayError):
            retrain(store.engine, wanted(tmp_path), run_step=steps)
    assert (steps.ran, rows(store)) == ([], [])


def test_one_run_is_open_at_a_time(store: Store) -> None:
    with writing(store.engine) as connection:
        begin_retraining(connection, experiment="sports", cause="command", news={}, model="sports@1")
    with pytest.raises(IntegrityError), writing(store.engine) as connection:
        begin_retraining(connection, experiment="other", cause="command", news={}, model="other@1")


def test_a_row_that_is_no_run_is_refused(store: Store) -> None:
    with writing(store.engine) as connection:
        run = begin_retraining(connection, experiment="sports", cause="command", news={}, model="sports@1")
    for values in ({"outcome": "splendid"}, {"cause": "whim"}, {"is_open": None}):
        with pytest.raises(IntegrityError), writing(store.engine) as connection:
            connection.execute(update(retrainings).where(retrainings.c.id == run.id).values(values))


def test_sql_users_see_the_runs(store: Store, steps: Steps, tmp_path: Path) -> None:
    steps.ends = {"doctor": [3]}
    retrain(store.engine, wanted(tmp_path), run_step=steps)
    with reading(store.engine) as connection:
        seen = connection.exec_driver_sql("SELECT experiment, model, outcome, reason FROM retraining_history").all()
    assert [tuple(row) for row in seen] == [("sports", "sports@3", "held", "doctor: spoke last")]


# ------------------------------------------------------------------------------------------------------- child process


@pytest.mark.parametrize(
    ("crop", "told"),
    [(None, []), (FaceCrop("box", 224, 0.1), ["--crop", "box", "--size", "224", "--margin", "0.1"])],
)
def test_photographs_are_prepared_as_they_were_the_last_time(
    tmp_path: Path, crop: FaceCrop | None, told: list[str]
) -> None:
    plan = Plan("sports", tmp_path, "sports", 1, tmp_path, crop=crop)
    (prepare,) = [step for step in STEPS if step.name == "prepare"]
    assert prepare.arguments(plan, False) == ["prepare", "sports", "--workdir", str(tmp_path), *told]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"RETRAINING__STRANGERS": "strangers"}, "sports is prepared with others («box»)"),
        ({"RETRAINING__STRANGERS": "nowhere"}, "there is no folder nowhere"),
        ({"RETRAINING__STRANGERS": "empty"}, "empty holds no strangers"),
        (
            {"RETRAINING__GOLDEN": "golden.csv"},
            "set both ANNOTATOR_RETRAINING__GOLDEN and ANNOTATOR_RETRAINING__CLIPS",
        ),
        (
            {"RETRAINING__GOLDEN": "golden.csv", "RETRAINING__CLIPS": "."},
            "golden.csv:2: there is no missing.gif",
        ),
        ({"GATE__NEEDS_GOLDEN": "true"}, "ANNOTATOR_GATE__NEEDS_GOLDEN wants golden clips"),
        ({"RETRAINING__NAME": "Über Name"}, "cannot be the name of a model"),
    ],
)
def test_what_a_late_step_would_find_wrong_is_told_before_any_work_and_begins_no_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    settings: dict[str, str],
    message: str,
) -> None:
    places = experiment_in(tmp_path, "sports")
    for folder in ("strangers", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "strangers" / "someone.png").touch()
    (tmp_path / "golden.csv").write_text("file,people\nmissing.gif,Ada\n")
    places.crop_file.write_text(crop_text(FaceCrop("box", 224, 0.1)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", f"sqlite:///{tmp_path / 'archive.db'}")
    for name, value in settings.items():
        monkeypatch.setenv(f"ANNOTATOR_{name}", value)
    assert run(["retrain", "sports", "--workdir", str(places.workdir)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "archive.db").exists()


def experiment_in(folder: Path, name: str) -> Experiment:
    places = Experiment(name, folder / "workdir")
    places.raw_dataset.mkdir(parents=True)
    (folder / "experiments").mkdir()
    (folder / "experiments" / f"{name}.py").write_text("")
    return places


def test_experiments_without_a_letter_for_a_models_name_are_asked_for_one_and_share_no_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    places = experiment_in(tmp_path, "日本")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANNOTATOR_DATABASE_URL", f"sqlite:///{tmp_path / 'archive.db'}")
    assert run(["retrain", "日本", "--workdir", str(places.workdir)]) == 2
    assert "set ANNOTATOR_RETRAINING__NAME" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "archive.db").exists()


def talking(*words: str) -> Step:
    return Step("talk", "trainer", lambda _, is_again: [*words, *(["again"] if is_again else [])])


def test_a_step_is_a_command_with_its_own_log(tmp_path: Path) -> None:
    plan = Plan("sports", tmp_path, "sports", 1, tmp_path)
    assert run_child(talking("--version"), plan, False, lambda: False) == 0
    assert last_words(tmp_path / "talk.log").startswith("trainer ")
    assert run_child(talking("doctor", "nobody", "--workdir", str(tmp_path)), plan, False, lambda: False) == 2
    assert "nobody" in last_words(tmp_path / "talk.log")


def test_a_step_that_finds_somebody_else_at_work_says_so_by_its_exit_code(tmp_path: Path) -> None:
    plan = Plan("sports", tmp_path, "sports", 1, tmp_path)
    with only_worker(tmp_path / "sports"):
        assert run_child(talking("prepare", "sports", "--workdir", str(tmp_path)), plan, False, lambda: False) == 75
    assert "another process works in" in last_words(tmp_path / "talk.log")


def test_a_step_that_is_stopped_ends(store: Store, tmp_path: Path) -> None:
    url = store.engine.url.render_as_string(hide_password=False)
    step = Step("watch", "annotator", lambda *_: ["status", "--watch", "--database", url])
    plan = Plan("sports", tmp_path, "sports", 1, tmp_path)
    log = tmp_path / "watch.log"
    assert run_child(step, plan, False, lambda: log.stat().st_size > 0) is None

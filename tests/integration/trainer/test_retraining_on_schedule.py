"""Beat asks for a retraining, a worker runs it, and it is killed once in each of its steps: the model is promoted."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from annotator.settings import load_settings
from annotator.stack.local import LocalStack
from annotator.store import Store
from annotator.store.connection import reading, writing
from annotator.store.retrainings import Retraining, begin_retraining, end_retraining, list_retrainings
from annotator.store.tables import retrainings
from trainer.retraining.steps import STEPS

pytestmark = [pytest.mark.shared, pytest.mark.servers, pytest.mark.slow]

ATHLETES = ("Maria_Sharapova", "Roger_Federer", "Serena_Williams", "Virat_Kohli")
PHOTOGRAPHS = 8
TIMEOUT_S = 400.0
EXPERIMENT = """
from trainer.experiment import Augmentation, CrossEntropy, Experiment, Network, Schedule

experiment = Experiment(
    network=Network("sface-head", embedding_size=None, head="cosine"),
    loss=CrossEntropy(),
    augmentation=Augmentation(rate=0.3, copies=1),
    schedule=Schedule(epochs=2, batch=16),
)
"""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    settings = load_settings(env_file=None, s3_endpoint_url="http://127.0.0.1:9")  # nobody reads from a bucket
    with LocalStack(settings, data_dir=tmp_path / "stack", with_worker=False) as running:
        yield running


class System:
    """A folder with photographs, an archive of one clip, and the programs."""

    def __init__(self, stack: LocalStack, folder: Path, photographs: Path) -> None:
        self.folder = folder
        self.workdir = folder / "workdir"
        (folder / "experiments").mkdir()
        (folder / "experiments" / "sports.py").write_text(EXPERIMENT)
        for athlete in ATHLETES:
            (self.workdir / "sports" / "raw_dataset" / athlete).mkdir(parents=True)
            for picture in sorted((photographs / athlete).glob("*.jpg"))[:PHOTOGRAPHS]:
                shutil.copy2(picture, self.workdir / "sports" / "raw_dataset" / athlete)
        labels = "".join(f"{athlete},{number}\n" for number, athlete in enumerate(ATHLETES))
        (self.workdir / "sports" / "labels.csv").write_text(f"Label,Index\n{labels}")
        self.environment = {
            **os.environ,
            **stack.urls.environment,
            "ANNOTATOR_DATA_DIR": str(folder / "data"),
            "ANNOTATOR_CACHE_DIR": str(folder / "cache"),
            "ANNOTATOR_RETRAINING__CRON": "0 3 * * *",
            "ANNOTATOR_RETRAINING__EXPERIMENT": "sports",
            "ANNOTATOR_RETRAINING__WORKDIR": str(self.workdir),
            "ANNOTATOR_RETRAINING__LOOK_EVERY_S": "0.5",
            "ANNOTATOR_WORKER__HEARTBEAT_S": "0.5",
            "ANNOTATOR_WORKER__ALIVE_FILE": str(folder / "alive"),
        }
        self.store = Store.open(stack.urls.database_url)
        self._started: list[subprocess.Popen[bytes]] = []

    def run(self, *arguments: str) -> None:
        code = "import sys; from annotator.cli.entry import run; sys.exit(run(sys.argv[1:]))"
        subprocess.run([sys.executable, "-c", code, *arguments], env=self.environment, cwd=self.folder, check=True)

    def start(self, *arguments: str) -> None:
        with (self.folder / f"{arguments[0]}.log").open("ab") as log:
            command = [sys.executable, "-m", "celery", "-A", "workers", *arguments, "--loglevel", "INFO"]
            started = subprocess.Popen(command, env=self.environment, cwd=self.folder, stdout=log, stderr=log)
        self._started.append(started)

    def end(self) -> None:
        for process in self._started:
            process.kill()
            process.wait()
        self.store.close()

    def newest(self) -> Retraining:
        with reading(self.store.engine) as connection:
            return list_retrainings(connection, limit=1)[0]

    def logs(self) -> str:
        kept = [*self.folder.glob("*.log"), *self.workdir.glob("sports/retraining/**/*.log")]
        return "\n".join(f"--- {path.name}\n{path.read_text()[-1500:]}" for path in kept)

    def kill_command(self) -> bool:
        """Kill ``trainer retrain``, which has its steps as children; say whether it was there."""
        for found in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = found.read_bytes().split(b"\0")
            except OSError:
                continue  # it has ended
            if b"retrain" in words and str(self.workdir).encode() in words:
                os.kill(int(found.parent.name), signal.SIGKILL)
                return True
        return False


@pytest.fixture
def system(
    stack: LocalStack, tmp_path: Path, shared_data: Path, with_networks: Callable[[Path], Path]
) -> Iterator[System]:
    with_networks(tmp_path / "cache")
    made = System(stack, tmp_path, shared_data / "people" / "sports5")
    yield made
    made.end()


def last_ran(system: System, *, ago: timedelta) -> None:
    with writing(system.store.engine) as connection:
        run = begin_retraining(connection, experiment="sports", cause="schedule", news={}, model="sports@0")
        end_retraining(connection, run, "failed", reason="a disk was full")
        began = update(retrainings).where(retrainings.c.id == run.id).values(started_at=datetime.now(UTC) - ago)
        connection.execute(began)


def test_a_scheduled_retraining_is_killed_in_each_step_and_ends_promoted(system: System, shared_data: Path) -> None:
    system.run("annotate", str(shared_data / "clips" / "Jeremy-Renner.gif"))  # nobody whom the starter knows
    last_ran(system, ago=timedelta(days=1, minutes=1))
    system.start("worker", "-Q", "trainer", "--concurrency", "1")
    system.start("beat", "--schedule", str(system.folder / "schedule"))
    to_kill = [step.name for step in STEPS]
    killed = []
    until_s = time.monotonic() + TIMEOUT_S
    while (run := system.newest()).outcome is None or run.cause != "schedule" or run.model == "sports@0":
        assert time.monotonic() < until_s, (run, killed, system.logs())
        if run.finished_at is None and run.step in to_kill and run.tries == 1 and system.kill_command():
            to_kill.remove(run.step)
            killed.append(run.step)
        time.sleep(0.1)
    assert run.outcome == "promoted", (run, system.logs())
    assert killed == [step.name for step in STEPS]
    assert [one["step"] for one in run.done] == killed
    with reading(system.store.engine) as connection:
        shown = connection.exec_driver_sql("SELECT kind, model, former_model FROM model_history ORDER BY step").all()
    assert [tuple(row) for row in shown][-1] == ("promotion", "sports@1", "starter@1")

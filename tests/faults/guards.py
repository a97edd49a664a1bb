"""What each fault test guards: take the guard out of a copy of the project, and the test must fail.

    python -m tests.faults.guards            # all; minutes
    python -m tests.faults.guards heartbeat  # those whose test's name has the word

The table says for each test which lines of the product it watches over. A test of this folder holds the table to the
source: each text stands there exactly once.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_COPIED: Final = ("annotator", "workers", "migrations", "tests", "pyproject.toml", "alembic.ini", "README.md")
_TIMEOUT_S: Final = "25"


@dataclass(frozen=True, slots=True)
class Guard:
    """A piece of the product that a test watches over.

    Attributes:
        test: the file below this folder and the name of the test.
        what: the guard, in words.
        path: where it stands.
        edits: pieces of its source, and what is put in their place.

    """

    test: str
    what: str
    path: str
    edits: tuple[tuple[str, str], ...]


_CLAIM: Final = (
    "only what is pending can be claimed",
    "annotator/store/work.py",
    ((" AND state = 0 AND suspect = :suspect", " AND suspect = :suspect"),),
)
_FENCE: Final = (
    "the fence refuses the reports of another session or attempt",
    "annotator/store/work.py",
    ((" AND work.session_id = u.session_id", ""), (" AND work.attempts = u.attempts", "")),
)
_WAITS: Final = (
    "results wait for the database",
    "workers/writer.py",
    (("except StoreUnavailableError as error:", "except ZeroDivisionError as error:"),),
)

GUARDS: Final = (
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_decoding",
        "a sweep takes back the claims of sessions that fell silent",
        "annotator/store/sweeping.py",
        ((" OR s.ended_at IS NOT NULL) LIMIT :limit", ") LIMIT :limit"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_decoding",
        "the chunks of a lost worker are forgotten",
        "annotator/store/chunks.py",
        (("        if lost.isdisjoint(row.media_ids):\n", "        if lost or not lost:\n"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_its_networks_run",
        "media of a dead process are suspects and run alone",
        "annotator/store/sweeping.py",
        (("suspect = suspect OR lost.died", "suspect = suspect"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_in_the_transaction_that_writes_results",
        "a report and its results are one transaction",
        "workers/writer.py",
        (
            (
                "            counted = finish(connection, network_id=self._rows.network_id, reports=reports)\n",
                (
                    "            with writing(self._engine) as other:\n"
                    "                counted = finish(other, network_id=self._rows.network_id, reports=reports)\n"
                ),
            ),
        ),
    ),
    Guard("test_workers_that_die.py::test_a_worker_killed_after_the_commit_and_before_it_acknowledges", *_CLAIM),
    Guard(
        "test_workers_that_die.py::test_a_worker_that_is_told_to_stop_gives_back_what_it_has_in_hand",
        "a worker that stops gives back what it has in hand",
        "workers/worker.py",
        (("        self._give_back_rest()\n        self._end_session()\n", "        self._end_session()\n"),),
    ),
    Guard("test_workers_that_die.py::test_a_worker_frozen_past_its_heartbeat_and_woken_changes_nothing", *_FENCE),
    Guard(
        "test_workers_that_die.py::test_a_worker_that_vanishes_in_the_transaction_holds_no_locks",
        "Postgres ends a transaction in which a worker falls silent",
        "workers/boot.py",
        (("            max_silence_s=settings.worker.session_timeout_s,\n", ""),),
    ),
    Guard("test_messages.py::test_two_workers_given_the_same_message", *_CLAIM),
    Guard("test_messages.py::test_ten_thousand_copies_of_a_message", *_CLAIM),
    Guard(
        "test_broker.py::test_the_broker_is_killed_and_comes_back",
        "a job of beat that fails is tried again",
        "workers/schedule.py",
        (("            failure = error\n            self._tell(str(error))\n", "            raise\n"),),
    ),
    Guard(
        "test_broker.py::test_the_broker_loses_everything",
        "a broker that has lost everything is told by its missing epoch",
        "workers/broker.py",
        (("return not self._redis.exists(EPOCH_KEY)", "return False"),),
    ),
    Guard(
        "test_broker.py::test_the_connection_breaks_as_a_message_is_published",
        "what could not be published waits again",
        "workers/feeder.py",
        (("put_back(connection, [chunk.id for chunk in taken[sent:]])", "pass"),),
    ),
    Guard("test_postgres.py::test_the_database_is_restarted_while_media_are_in_hand", *_WAITS),
    Guard("test_postgres.py::test_the_connection_breaks_at_the_commit_of_results[cut_before]", *_WAITS),
    Guard("test_postgres.py::test_the_connection_breaks_at_the_commit_of_results[cut_after]", *_FENCE),
)


def occurrences(guard: Guard) -> list[int]:
    """Return how often each piece of a guard stands in the source."""
    source = (ROOT / guard.path).read_text()
    return [source.count(piece) for piece, _ in guard.edits]


def fails_without(guard: Guard) -> bool:
    """Run the guard's test against a copy without the guard; whether it fails."""
    with tempfile.TemporaryDirectory(prefix="without-guard-") as name:
        copy = Path(name)
        for part in _COPIED:
            source = ROOT / part
            if source.is_dir():
                shutil.copytree(source, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy / part)
        path = copy / guard.path
        for piece, instead in guard.edits:
            path.write_text(path.read_text().replace(piece, instead))
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "--no-header"]
        ran = subprocess.run(
            [*command, f"tests/faults/{guard.test}"],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "FAULTS_TIMEOUT_S": _TIMEOUT_S},
            capture_output=True,
            text=True,
            check=False,
        )
        told = [line for line in ran.stdout.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))]
        sys.stdout.write("".join(f"    {line[:200]}\n" for line in told[:3]))
        # An error of the fixtures is no failure of the test.
        return ran.returncode == 1 and any(line.startswith("FAILED") for line in told)


def main(words: list[str]) -> int:
    """Take out one guard after the other; exit code 1 if a test does not notice."""
    chosen = [guard for guard in GUARDS if not words or any(word in guard.test for word in words)]
    unnoticed = 0
    for guard in chosen:
        sys.stdout.write(f"{guard.test}\n  without: {guard.what} ({guard.path})\n")
        sys.stdout.flush()
        fails = fails_without(guard)
        unnoticed += not fails
        sys.stdout.write(f"  {'fails, as it must' if fails else 'NOT NOTICED'}\n")
        sys.stdout.flush()
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

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
_COPIED: Final = (
    *("annotator", "workers", "trainer", "migrations", "tests"),
    *("pyproject.toml", "alembic.ini", "README.md"),
)
_TIMEOUT_S: Final = "25"


@dataclass(frozen=True, slots=True)
class Guard:
    """A piece of the product that a test watches over.

    Attributes:
        test: the file below this folder and the name of the test.
        what: the guard, in words.
        path: where it stands.
        edits: pieces of its source, and what is put in their place.
        also: a second guard, where each of two is enough: both are taken out.

    """

    test: str
    what: str
    path: str
    edits: tuple[tuple[str, str], ...]
    also: "Guard | None" = None


_CLAIM: Final = (
    "only what is pending can be claimed",
    "annotator/store/queue/work.py",
    ((" AND state = 0 AND suspect = :suspect", " AND suspect = :suspect"),),
)
_FENCE: Final = (
    "the fence refuses the reports of another session or attempt",
    "annotator/store/queue/work.py",
    ((" AND work.session_id = u.session_id", ""), (" AND work.attempts = u.attempts", "")),
)
_WAITS: Final = (
    "results wait for the database",
    "workers/annotating/writer.py",
    (("except StoreUnavailableError as error:", "except ZeroDivisionError as error:"),),
)
_UNAVAILABLE: Final = (
    "results wait for a server that lacks room or connections",
    "annotator/store/database_errors.py",
    (('("08", "53", "57",', '("08", "57",'),),
)
_UNREACHED: Final = (
    "a server that refuses connections is said to be away, in one line",
    "annotator/store/database_errors.py",
    (
        (
            "return exc.connection_invalidated or isinstance(exc, OperationalError | InterfaceError)",
            "return exc.connection_invalidated",
        ),
    ),
)
_REGISTERS: Final = "        count = register_objects(connection, self._run.asked, batch.objects, told=batch.told,"
_MOVES: Final = "shard, batch.cursor, pages=batch.pages, count=count, is_end=batch.is_end)\n"
_CURSOR: Final = (
    "the cursor moves in the transaction that registers",
    "workers/backlog/lister.py",
    (
        (
            _REGISTERS,
            (
                "        count = ListingCount(len(batch.objects))\n        with self._store.writing() as other:\n"
                f"            moved = move_cursor(other, {_MOVES}{_REGISTERS}"
            ),
        ),
        (f"        moved = move_cursor(connection, {_MOVES}", ""),
    ),
)

GUARDS: Final = (
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_decoding",
        "a sweep takes back the claims of sessions that fell silent",
        "annotator/store/queue/sweeping.py",
        (("{is_late}s.ended_at IS NOT NULL) LIMIT :limit", "{is_late}false) LIMIT :limit"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_decoding",
        "the chunks of a lost worker are forgotten",
        "annotator/store/queue/chunks.py",
        (("        if lost.isdisjoint(row.media_ids):\n", "        if lost or not lost:\n"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_while_its_networks_run",
        "media of a dead process are suspects and run alone",
        "annotator/store/queue/sweeping.py",
        (("suspect = suspect OR lost.died", "suspect = suspect"),),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_in_the_transaction_that_writes_results",
        "a report and its results are one transaction",
        "workers/annotating/writer.py",
        (
            (
                "            counted = finish(connection, network_id=",
                (
                    "            with writing(self._engine) as other:\n"
                    "                counted = finish(other, network_id="
                ),
            ),
        ),
    ),
    Guard("test_workers_that_die.py::test_a_worker_killed_after_the_commit_and_before_it_acknowledges", *_CLAIM),
    Guard(
        "test_workers_that_die.py::test_a_worker_that_is_told_to_stop_gives_back_what_it_has_in_hand",
        "a worker that stops gives back what it has in hand",
        "workers/annotating/worker.py",
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
    Guard("test_messages.py::test_thousands_of_copies_of_a_message", *_CLAIM),
    Guard(
        "test_broker.py::test_the_broker_is_killed_and_comes_back",
        "a job of beat that fails is tried again",
        "workers/beat/schedule.py",
        (("            failure = error\n            self._tell(str(error))\n", "            raise\n"),),
    ),
    Guard(
        "test_broker.py::test_the_broker_loses_everything",
        "a broker that has lost everything is told by its missing epoch",
        "workers/beat/broker.py",
        (("return not self._redis.exists(EPOCH_KEY)", "return False"),),
    ),
    Guard(
        "test_broker.py::test_the_connection_breaks_as_a_message_is_published",
        "what could not be published waits again",
        "workers/beat/feeder.py",
        (("put_back(connection, [chunk.id for chunk in taken[sent:]])", "pass"),),
    ),
    Guard("test_postgres.py::test_the_database_is_restarted_while_media_are_in_hand", *_WAITS),
    Guard("test_postgres.py::test_the_connection_breaks_at_the_commit_of_results[cut_before]", *_WAITS),
    Guard("test_postgres.py::test_the_connection_breaks_at_the_commit_of_results[cut_after]", *_FENCE),
    Guard(
        "test_postgres.py::test_the_connection_breaks_in_the_transaction_of_a_claim[cut_before]",
        "a message waits for the database, and goes back when nothing else helps",
        "workers/annotating/worker.py",
        (
            (
                "            except StoreUnavailableError as error:\n",
                "            except ZeroDivisionError as error:\n",
            ),
            ("                self._return_chunk(chunk_id, _FAULT_WAIT_S)\n", "                pass\n"),
        ),
    ),
    Guard(
        "test_postgres.py::test_the_connection_breaks_in_the_transaction_of_a_claim[cut_after]",
        "a claim of which the worker has not heard is taken again",
        "workers/annotating/worker.py",
        (("self._unsure.update(media_ids)", "pass"),),
    ),
    Guard("test_postgres.py::test_the_disk_of_the_database_is_full", *_UNAVAILABLE),
    Guard("test_postgres.py::test_a_database_with_too_many_connections_at_the_start", *_UNREACHED),
    Guard(
        "test_postgres.py::test_transactions_that_cannot_be_serialized_are_run_again[annotations]",
        "what could not be serialized is run again",
        "annotator/store/database_errors.py",
        (('= ("40001", "40P01")', '= ("40P01",)'),),
    ),
    Guard(
        "test_postgres.py::test_transactions_that_cannot_be_serialized_are_run_again[work]",
        "a chunk that cannot be run goes back",
        "workers/annotating/worker.py",
        (("                self._return_chunk(chunk_id, _FAULT_WAIT_S)\n", "                pass\n"),),
    ),
    Guard(
        "test_postgres.py::test_a_deadlock_with_somebody_elses_transaction",
        "a transaction that lost a deadlock is run again",
        "annotator/store/database_errors.py",
        (('= ("40001", "40P01")', '= ("40001",)'),),
    ),
    Guard(
        "test_postgres.py::test_the_database_only_reads_for_a_while[all sessions may write again]",
        "results wait for a server that only reads",
        "annotator/store/database_errors.py",
        (('READ_ONLY_SQLSTATE, "25P03"', '"25P03"'),),
    ),
    Guard(
        "test_postgres.py::test_the_database_only_reads_for_a_while[its sessions stay read-only]",
        "connections to a server that only reads are let go",
        "annotator/store/connection.py",
        (('    event.listen(engine, "handle_error", _leave_what_only_reads)\n', ""),),
    ),
    Guard(
        "test_broker.py::test_a_broker_that_is_full_gets_everything_when_there_is_room_again",
        "what could not be published waits again",
        "workers/beat/feeder.py",
        (("put_back(connection, [chunk.id for chunk in taken[sent:]])", "pass"),),
    ),
    Guard(
        "test_broker.py::test_workers_that_take_messages_from_a_broker_that_is_full",
        "a message that a full broker cannot note down is run all the same",
        "workers/transport.py",
        (("        except OutOfMemoryError:\n", "        except ZeroDivisionError:\n"),),
    ),
    Guard(
        "test_broker.py::test_a_broker_that_is_reached_only_later",
        "a worker asks for the broker as long as it takes",
        "workers/app.py",
        (('    "broker_connection_retry_on_startup": True,\n', '    "broker_connection_retry_on_startup": False,\n'),),
    ),
    Guard("test_broker.py::test_the_broker_is_restarted_while_media_are_in_hand", *_CLAIM),
    Guard("test_producer.py::test_a_producer_killed_between_two_transactions_of_its_listing", *_CURSOR),
    Guard("test_producer.py::test_a_producer_killed_in_the_transaction_that_registers_and_queues", *_CURSOR),
    Guard("test_producer.py::test_the_connection_of_a_producer_breaks_at_the_commit[cut_before]", *_CURSOR),
    Guard(
        "test_producer.py::test_the_connection_of_a_producer_breaks_at_the_commit[cut_after]",
        "a producer goes on with the backlog that is not listed to its end",
        "annotator/store/backlog/listing.py",
        (
            (
                "    run_id = same[0] if same else _add_run(",
                "    same = []\n    run_id = same[0] if same else _add_run(",
            ),
        ),
    ),
    Guard(
        "test_producer.py::test_two_producers_at_once",
        "a shard is listed by whoever holds its lock",
        "workers/backlog/lister.py",
        (('if self._try_lock(f"shard {shard.id}") and', "if"),),
    ),
    Guard(
        "test_producer.py::test_a_beat_killed_after_it_has_marked_chunks_as_published_and_before_it_publishes_them",
        "chunks that nobody has claimed for long are published again",
        "workers/beat/sweeper.py",
        (("again = put_back_unclaimed(connection, after_s=after_s, waiting=waiting or ())", "again = 0"),),
        also=Guard(
            "test_producer.py::test_a_beat_killed_after_it_has_marked_chunks_as_published_and_before_it_publishes_them",
            "chunks without a message are published again",
            "workers/beat/sweeper.py",
            (("lost = set() if waiting is None else", "lost = set() if True else"),),
        ),
    ),
    Guard(
        "test_workers_that_die.py::test_a_worker_killed_with_a_message_that_the_broker_no_longer_knows",
        "chunks without a message are published again",
        "workers/beat/sweeper.py",
        (("lost = set() if waiting is None else", "lost = set() if True else"),),
    ),
    Guard(
        "test_operations.py::test_wall_clocks_that_step_back_an_hour",
        "beat's jobs know nothing of the wall clock",
        "workers/beat/schedule.py",
        (
            ("        next_s = time.monotonic()\n        while", "        next_s = time.time()\n        while"),
            ("max(0.0, next_s - time.monotonic())", "max(0.0, next_s - time.time())"),
            ("next_s + self._job.every_s, time.monotonic()", "next_s + self._job.every_s, time.time()"),
        ),
    ),
    Guard(
        "test_operations.py::test_the_clock_of_the_database_steps_back_an_hour",
        "a session whose last sign of life lies in the future is looked at again",
        "annotator/store/queue/sweeping.py",
        (('    connection.execute(early, {"timeout": timeout_s})\n', ""),),
    ),
    Guard(
        "test_operations.py::test_another_labelling_in_the_middle_of_a_backlog",
        "what another labelling has labelled is labelled by the next one, too",
        "annotator/store/relabelling/reading.py",
        (("labelled_contents WHERE labelling_id = :l AND", "labelled_contents WHERE labelling_id <= :l AND"),),
    ),
    Guard(
        "test_operations.py::test_workers_of_two_networks_at_one_queue",
        "a worker gives back the chunks of another network",
        "workers/annotating/worker.py",
        (("if chunk is not None and chunk.network_id != self._rows.network_id:", "if chunk_id < 0:"),),
    ),
    Guard(
        "test_operations.py::test_a_backlog_of_a_network_that_nobody_runs_waits_and_holds_nobody_up",
        "chunks are published for networks that somebody runs",
        "annotator/store/queue/feeding.py",
        (("    if wanted.network_id is not None:\n", "    if wanted.limit < 0:\n"),),
    ),
    Guard(
        "test_operations.py::test_the_database_is_upgraded_while_workers_annotate",
        "an upgrade that has to wait for a lock gives way",
        "annotator/store/schema.py",
        (('f"SET lock_timeout = {_LOCK_TIMEOUT_MS}"', '"SET lock_timeout = 0"'),),
    ),
    Guard(
        "test_operations.py::test_two_beats_at_once",
        "one feeder works at a time",
        "workers/beat/feeder.py",
        (('            if not try_lock(connection, "feed"):\n                return 0\n', ""),),
        also=Guard(
            "test_operations.py::test_two_beats_at_once",
            "a chunk that is locked is passed over",
            "annotator/store/queue/feeding.py",
            (("        .with_for_update(skip_locked=True)\n", ""),),
        ),
    ),
    Guard("test_operations.py::test_a_deadline_that_passes_as_the_result_is_written[the sweep]", *_FENCE),
    Guard(
        "test_operations.py::test_a_deadline_that_passes_as_the_result_is_written[the result]",
        "a sweep passes over what is being written",
        "annotator/store/queue/sweeping.py",
        ((" FOR UPDATE OF w SKIP LOCKED", " FOR UPDATE OF w"),),
    ),
    Guard(
        "test_messages.py::test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done",
        "nothing is unpickled",
        "workers/app.py",
        (('"accept_content": ["json"]', '"accept_content": ["json", "pickle"]'),),
    ),
    Guard(
        "test_messages.py::test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done",
        "what has not the form of a task does not reach a task thread",
        "workers/consuming.py",
        (("if not _has_form_of_task(message.payload):", "if message is None:"),),
    ),
    Guard(
        "test_messages.py::test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done",
        "what is no message at all does not end the worker",
        "workers/transport.py",
        (("except Exception as error:  # noqa: BLE001 - the boundary", "except ZeroDivisionError as error:  #"),),
    ),
    Guard(
        "test_messages.py::test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done",
        "ids are positive whole numbers",
        "workers/messages.py",
        (("return type(value) is int and 0 < value <= _MAX_ID", "return True or value"),),
    ),
    Guard(
        "test_messages.py::test_messages_that_are_none_of_ours_are_thrown_away_and_what_they_stood_for_is_done",
        "a message that does not name all media of a chunk does not settle it",
        "workers/annotating/worker.py",
        (("if chunk is not None and set(chunk.media_ids) <= set(media_ids):", "if chunk is not None:"),),
    ),
    Guard(
        "test_s3.py::test_a_bucket_that_is_silent_asks_to_slow_down_or_breaks_off",
        "a silent bucket is waited for no longer than a transfer may take",
        "annotator/media/s3.py",
        (
            (
                "read_timeout=min(self._limits.read_timeout_s, self._limits.timeout_s / self._attempts)",
                "read_timeout=60.0",
            ),
        ),
    ),
    Guard(
        "test_s3.py::test_a_bucket_that_is_silent_asks_to_slow_down_or_breaks_off",
        "a bucket that does not answer now is asked again later",
        "workers/annotating/retry.py",
        (("SourceUnavailableError: _OUTAGE,", "SourceUnavailableError: NEVER,"),),
    ),
    Guard(
        "test_s3.py::test_an_object_that_may_not_be_read_fails_at_once_and_is_brought_back_when_it_may",
        "what may not be read is not asked for again and again",
        "workers/annotating/retry.py",
        (("ForbiddenSourceError: NEVER,", "ForbiddenSourceError: RetryPolicy(),"),),
    ),
    Guard(
        "test_s3.py::test_an_object_that_may_not_be_read_fails_at_once_and_is_brought_back_when_it_may",
        "what is retried travels in new chunks",
        "annotator/store/store.py",
        (("                requeue(connection, chosen, again, limits=limits)\n", ""),),
    ),
    Guard(
        "test_s3.py::test_a_bucket_that_seems_empty_for_a_while_takes_nothing_for_gone",
        "a listing that lacks too much is not believed",
        "annotator/store/backlog/settling.py",
        (("        return self.missing > self.most\n", "        return False\n"),),
    ),
    Guard(
        "test_s3.py::test_an_object_that_is_gone_fails_at_once_and_the_next_listing_marks_it",
        "what is gone is not asked for again and again",
        "workers/annotating/retry.py",
        (("SourceNotFoundError: NEVER,", "SourceNotFoundError: RetryPolicy(),"),),
    ),
    Guard(
        "test_s3.py::test_an_object_that_is_gone_fails_at_once_and_the_next_listing_marks_it",
        "what was gone and is back is pending again",
        "annotator/store/backlog/registration.py",
        (("(media.deleted_at IS NOT NULL AND work.reason = 'not_found' AND work.state > 1)", "false"),),
    ),
    Guard(
        "test_s3.py::test_objects_that_have_changed_since_they_were_listed_are_annotated_once_as_they_are_now",
        "an object that has changed is read as it is now",
        "workers/annotating/retry.py",
        (("first_wait_s=1.0, forgets_etag=True", "first_wait_s=1.0"),),
    ),
    Guard(
        "test_s3.py::test_objects_that_have_changed_since_they_were_listed_are_annotated_once_as_they_are_now",
        "the version that was listed is read, or none",
        "annotator/media/s3.py",
        (('{"IfMatch": etag} if etag is not None else {}', "{}"),),
    ),
    Guard(
        "test_media.py::test_a_media_that_lets_its_decoder[die]",
        "the exit code of a decoder counts",
        "annotator/media/child.py",
        (("if code != 0 or _tells_of_a_limit(", "if _tells_of_a_limit("),),
    ),
    Guard(
        "test_media.py::test_a_media_that_lets_its_decoder[hang]",
        "a decoder has only so much time",
        "annotator/media/child.py",
        (('            raise self._timed_out("wall")\n', "            return\n"),),
    ),
    *(
        Guard(
            f"test_media.py::test_a_decoder_that_is_killed_by_somebody_else_is_not_its_medias_fault[{key}]",
            "SIGKILL comes from outside",
            "annotator/media/child.py",
            (("if code == -signal.SIGKILL:", "if code == 0:"),),
        )
        for key in ("gifs/edith.gif", "films/walk.mp4")
    ),
    Guard(
        "test_media.py::test_a_media_that_fills_the_memory_of_its_decoder",
        "a decoder has only so much memory",
        "annotator/media/child.py",
        ((' && ulimit -v "$1" && ulimit -d "$2"', ""),),
    ),
    Guard(
        "test_media.py::test_a_media_that_kills_its_worker_each_time_is_quarantined_and_no_other",
        "three deaths alone are enough",
        "annotator/store/queue/sweeping.py",
        (("_MAX_DEATHS: Final = 3", "_MAX_DEATHS: Final = 9"),),
    ),
    Guard(
        "test_media.py::test_a_media_that_kills_its_worker_each_time_is_quarantined_and_no_other",
        "a death together with others is nobody's",
        "annotator/store/queue/sweeping.py",
        (("deaths = deaths + CASE WHEN lost.died AND suspect THEN", "deaths = deaths + CASE WHEN lost.died THEN"),),
    ),
    Guard(
        "test_media.py::test_a_media_at_which_the_networks_raise_is_named_and_no_other",
        "the engine survives a breakdown",
        "workers/annotating/engine.py",
        (("except Exception as error:  # noqa: BLE001 - the boundary", "except ZeroDivisionError as error:  #"),),
    ),
    Guard(
        "test_media.py::test_a_media_from_which_the_networks_do_not_return_in_time_costs_a_process_and_is_done_by_the_next",
        "the watchdog lets a process leave whose networks never return",
        "workers/annotating/watchdog.py",
        (("if self._awake_s - self._seen_s[one] > limit_s:", "if limit_s < 0:"),),
    ),
    Guard(
        "test_media.py::test_a_disk_that_is_full_costs_time_only",
        "trouble with our own disk is told from trouble with the bucket",
        "annotator/media/reader.py",
        (
            (
                "        with on_this_disk():\n            self._file.write(data)\n",
                "        self._file.write(data)\n",
            ),
        ),
    ),
)


def occurrences(guard: Guard) -> list[int]:
    """Return how often each piece of a guard stands in the source."""
    source = (ROOT / guard.path).read_text()
    others = occurrences(guard.also) if guard.also is not None else []
    return [source.count(piece) for piece, _ in guard.edits] + others


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
        for one in (guard, guard.also):
            for piece, instead in one.edits if one is not None else ():
                path = copy / one.path
                path.write_text(path.read_text().replace(piece, instead))
        command = [sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", "--no-header"]
        ran = subprocess.run(
            [*command, f"tests/faults/{guard.test}"],
            cwd=copy,
            # Celery refuses to unpickle as root, whatever is accepted: another guard, which is not ours.
            env={**os.environ, "PYTHONPATH": str(copy), "FAULTS_TIMEOUT_S": _TIMEOUT_S, "C_FORCE_ROOT": "1"},
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

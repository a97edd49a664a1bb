"""A bucket that is slow, busy, forbidden, or changes under the hands of its reader."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.faults.clips import draw_gif
from tests.faults.ends import end_without_waits, with_failure, with_media
from tests.faults.rows import Rows
from tests.faults.s3_proxy import ChangedDuring, Refused, Silent, Truncated, put_object
from tests.faults.servers import Servers
from tests.faults.system import Backlog, MakeSystem, System, prepare_backlog

pytestmark = [pytest.mark.servers, pytest.mark.faults]

SILENT, BUSY, BROKEN_OFF = "gifs/ben.gif", "gifs/edith.gif", "gifs/ada-leaves.gif"
FORBIDDEN = "gifs/edith.gif"
CHANGED_BEFORE, CHANGED_DURING, GONE = "gifs/ben.gif", "gifs/edith.gif", "gifs/nobody.gif"
LONGER_THAN_ANY_WAIT_S = 90.0
# A part that a decoder would take for a damaged GIF.
PART_BYTES = 60_000


@pytest.fixture(scope="module")
def listed(servers: Servers, backlog: Backlog, tmp_path_factory: pytest.TempPathFactory) -> Backlog:
    """A few clips in a bucket of their own, which may change after they were listed."""
    keys = (CHANGED_BEFORE, CHANGED_DURING, GONE, "gifs/catherine.gif")
    return prepare_backlog(servers, tmp_path_factory.mktemp("listed"), {key: backlog.clips[key] for key in keys})


@pytest.fixture(scope="module")
def changed(servers: Servers, listed: Backlog, tmp_path_factory: pytest.TempPathFactory) -> Backlog:
    """What two of them have changed to, and what an undisturbed run makes of that."""
    new = {
        CHANGED_BEFORE: draw_gif([{0: (10, 10 + 5 * step), 4: (90, 30)} for step in range(4)]),
        CHANGED_DURING: draw_gif([{2: (100 - 8 * step, 12)} for step in range(5)]),
    }
    return prepare_backlog(servers, tmp_path_factory.mktemp("changed"), {**listed.clips, **new})


@pytest.fixture
def changeable(listed: Backlog, servers: Servers) -> Iterator[Backlog]:
    """The clips of ``listed``; they lie in their bucket again afterwards."""
    yield listed
    for key, body in listed.clips.items():
        put_object(servers.s3_port, listed.bucket, key, body)


def retry(system: System, reason: str) -> None:
    url = system.servers.database_url(system.database)
    command = [sys.executable, "-c", "from annotator.cli import main; main()", "retry", "--reason", reason]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "ANNOTATOR_DATABASE_URL": url})


def test_a_bucket_that_is_silent_asks_to_slow_down_or_breaks_off(make_system: MakeSystem, undisturbed: Rows) -> None:
    system = make_system(fetch__timeout_s=2)
    system.s3.script(SILENT, *[Silent(LONGER_THAN_ANY_WAIT_S)] * 3)
    system.s3.script(BUSY, *[Refused(503, "SlowDown")] * 7)
    system.s3.script(BROKEN_OFF, *[Truncated(PART_BYTES)] * 2)
    system.start_beat()
    system.start_worker()
    end_without_waits(system)
    system.assert_ends_as(undisturbed)
    for key, times in {SILENT: 3, BUSY: 7, BROKEN_OFF: 2}.items():
        assert system.s3.reads[key] > times, key


def test_an_object_that_may_not_be_read_fails_at_once_and_is_brought_back_when_it_may(
    system: System, undisturbed: Rows
) -> None:
    system.s3.script(FORBIDDEN, *[Refused(403, "AccessDenied")] * 9)
    system.start_beat()
    system.start_worker()
    why = "may not be read (AccessDenied); check the credentials, and how it is kept there."
    message = f"s3://{system.bucket}/{FORBIDDEN} {why}"
    system.assert_ends_as(with_failure(undisturbed, FORBIDDEN, "forbidden", message))
    assert system.s3.reads[FORBIDDEN] <= 3, "again only until another object of the bucket was read"
    while system.s3.next_fault(FORBIDDEN):
        pass  # from now on it may be read
    retry(system, "forbidden")
    system.assert_ends_as(undisturbed)


def test_an_object_that_is_gone_fails_at_once_and_the_next_listing_marks_it(
    make_system: MakeSystem, changeable: Backlog
) -> None:
    system = make_system(changeable)
    system.s3.delete(system.bucket, GONE)
    system.start_beat()
    system.start_worker()
    message = f"There is no s3://{system.bucket}/{GONE}; check bucket and key."
    without = with_failure(changeable.rows, GONE, "not_found", message)
    system.assert_ends_as(without)
    assert system.s3.reads[GONE] == 1
    system.produce()
    _, etag, _ = without.media[GONE,]
    system.assert_ends_as(with_media(without, GONE, None, etag, True))
    system.s3.put(system.bucket, GONE, changeable.clips[GONE])
    system.produce()
    system.assert_ends_as(changeable.rows)


def test_a_bucket_that_seems_empty_for_a_while_takes_nothing_for_gone(
    make_system: MakeSystem, changeable: Backlog
) -> None:
    system = make_system(changeable, backlog__min_gone=1)
    for key in changeable.clips:
        system.s3.delete(system.bucket, key)
    producer = system.producer()
    producer.start()
    assert producer.wait_for_end() == 3, producer.log_tail()
    assert "--allow-gone" in producer.log_tail()
    for key, body in changeable.clips.items():
        system.s3.put(system.bucket, key, body)
    system.start_beat()
    system.start_worker()
    system.assert_ends_as(changeable.rows)


def test_objects_that_have_changed_since_they_were_listed_are_annotated_once_as_they_are_now(
    make_system: MakeSystem, changeable: Backlog, changed: Backlog
) -> None:
    system = make_system(changeable)
    system.s3.put(system.bucket, CHANGED_BEFORE, changed.clips[CHANGED_BEFORE])
    system.s3.script(CHANGED_DURING, ChangedDuring(changed.clips[CHANGED_DURING], PART_BYTES))
    system.start_beat()
    system.start_worker()
    end_without_waits(system)
    expected = changed.rows
    for key in (CHANGED_BEFORE, CHANGED_DURING):  # which version was read is known from the next listing on
        sha256, _, is_gone = expected.media[key,]
        expected = with_media(expected, key, sha256, None, is_gone)
    system.assert_ends_as(expected)
    assert system.s3.reads[CHANGED_BEFORE] == 2
    assert system.s3.reads[CHANGED_DURING] == 3
    system.produce()
    system.assert_ends_as(changed.rows)

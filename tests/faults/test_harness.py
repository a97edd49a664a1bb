"""The harness itself: an undisturbed run is what the drawn clips say, and a difference is found."""

import pytest

from tests.faults.clips import BROKEN_KEY, DOUBLES
from tests.faults.guards import GUARDS, Guard, occurrences
from tests.faults.rows import Rows
from tests.faults.system import Backlog, System

pytestmark = [pytest.mark.servers, pytest.mark.faults]


def test_an_undisturbed_run_names_the_drawn_people_and_the_one_that_is_no_media(backlog: Backlog) -> None:
    rows = backlog.rows
    assert set(rows.failures) == {BROKEN_KEY}
    assert len(rows.media) == len(backlog.clips)
    assert len(rows.annotations) == len(backlog.clips) - len(DOUBLES) - 1
    names = {name for _, _, name in rows.content_labels}
    assert names == {"Ada Lovelace", "Bén Brown", "Catherine Clark"}
    assert len(rows.tracks) > len(rows.track_labels) > len(rows.annotations) / 2


def test_a_second_undisturbed_run_has_the_very_same_rows(system: System, undisturbed: Rows) -> None:
    system.start_beat()
    system.start_worker()
    system.assert_ends_as(undisturbed)


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: f"{guard.test} {guard.path}")
def test_what_a_test_guards_stands_in_the_source_once(guard: Guard) -> None:
    assert set(occurrences(guard)) == {1}, f"the guard has moved: {guard.what}; correct tests/faults/guards.py"

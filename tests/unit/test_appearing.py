"""Files and folders that appear when they are whole."""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotator.appearing import appearing_file, appearing_folder, appearing_path, remove_parts
from annotator.errors import ConfigError, LocalDiskError


def test_a_folder_appears_when_it_is_whole_with_the_rights_of_any_other(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with appearing_folder(tmp_path / "made" / "new") as part:
        (part / "file").write_text("whole")
        assert not (tmp_path / "made" / "new").exists()
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["new"]
    assert (tmp_path / "made" / "new" / "file").read_text() == "whole"
    assert stat.S_IMODE((tmp_path / "made" / "new").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_nothing_is_left_where_it_is_not_finished(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), appearing_folder(tmp_path / "new"):
        raise KeyboardInterrupt
    with pytest.raises(LocalDiskError, match=r"disk full.*name another place"), appearing_folder(tmp_path / "new"):
        raise OSError(28, "disk full")
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_one_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    for _ in range(2):
        (tmp_path / "new").mkdir(exist_ok=True)
        with appearing_folder(tmp_path / "new") as part:
            (part / "file").write_text("mine")
        with pytest.raises(ConfigError, match="new or empty folder"), appearing_folder(tmp_path / "new"):
            pass
        assert (tmp_path / "new" / "file").read_text() == "mine"
        (tmp_path / "new" / "file").unlink()


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("strict_umask")
def test_a_file_has_the_rights_that_the_umask_says(tmp_path: Path) -> None:
    with appearing_file(tmp_path / "stream") as file:
        file.write(b"whole")
    with appearing_path(tmp_path / "by_name") as part:
        part.write_bytes(b"whole")
    for path in tmp_path.iterdir():
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"whole", 0o640)


def test_two_threads_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "made" / "clip.gif"
    both_are_at_it, wrong = threading.Barrier(2), []

    def write(content: bytes) -> None:
        try:
            with appearing_file(path) as file:
                file.write(content)
                both_are_at_it.wait(timeout=10)
                file.write(content)
        except LocalDiskError as error:
            wrong.append(error)

    writers = [threading.Thread(target=write, args=[one]) for one in (b"a", b"b")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not wrong
    assert path.read_bytes() in {b"aa", b"bb"}
    assert list(path.parent.iterdir()) == [path]


def test_what_is_written_by_name_ends_as_the_file_does_however_long_its_name(tmp_path: Path) -> None:
    path = tmp_path / f"{'n' * 244}.weights.h5"
    assert len(path.name) == 255
    path.write_text("before")
    with appearing_path(path) as part:
        assert part.name.endswith(".part.weights.h5")
        part.write_text("after")
        assert path.read_text() == "before"
    assert path.read_text() == "after"


def test_what_a_kill_has_left_half_written_is_taken_away_and_nothing_else(tmp_path: Path) -> None:
    for name in (".a.part", ".a.part.weights.h5", "a.jpg", ".hidden", ".partner", "b.part"):
        (tmp_path / name).write_bytes(b"x")
    remove_parts(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"a.jpg", ".hidden", ".partner", "b.part"}

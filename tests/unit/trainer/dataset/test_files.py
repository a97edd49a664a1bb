import errno
from pathlib import Path

import pytest

from annotator.errors import BusyError, LocalDiskError
from trainer.dataset.files import disk_errors, only_worker, write_whole


def test_a_disk_that_refuses_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "new" / "a.csv"
    write_whole(path, b"old")

    def fill_up(part: Path, _target: Path) -> None:
        assert part.read_bytes() == b"new"
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", fill_up)
    with pytest.raises(LocalDiskError, match=r"a\.csv cannot be written \(No space left on device\): make room"):
        write_whole(path, b"new")
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [("a.csv", b"old")]


def test_a_folder_is_one_workers_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    refused = pytest.raises(BusyError, match="another process works in")
    with only_worker(folder), refused, only_worker(folder):
        pytest.fail("two work in one folder")
    with only_worker(folder):
        assert folder.is_dir()


def test_a_full_disk_is_told_in_one_line_and_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(LocalDiskError, match="is full"), disk_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(PermissionError), disk_errors(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")

from pathlib import Path

import pytest

from tests import quick_disk


def test_a_folder_in_memory_is_gone_afterwards_and_so_is_what_a_killed_process_has_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_disk, "_MEMORY", tmp_path)
    monkeypatch.setattr(quick_disk, "_MIN_FREE_BYTES", 0)
    left = tmp_path / "annotator-tests-left"
    left.mkdir()
    (left / "file").touch()
    with quick_disk.quick_folder(tmp_path) as first, quick_disk.quick_folder(tmp_path) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert list(tmp_path.iterdir()) == []


def test_where_memory_is_short_the_other_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick_disk, "_MIN_FREE_BYTES", 1 << 60)
    with quick_disk.quick_folder(tmp_path) as folder:
        assert folder == tmp_path

"""Folders that appear when they are whole; files are tested where exports write them."""

import stat
from pathlib import Path

import pytest

from annotator.appearing import appearing_folder
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

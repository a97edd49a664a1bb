"""The file by which one takedown of an SQLite database goes on at a time."""

from pathlib import Path

import pytest

from annotator.errors import LocalDiskError
from annotator.store.connection import open_engine
from annotator.store.takedowns.alone import is_under_way, only_takedown


def test_two_databases_in_one_folder_do_not_wait_for_each_other(tmp_path: Path) -> None:
    engines = [open_engine(f"sqlite:///{tmp_path / name}") for name in ("one.db", "two.db")]
    with only_takedown(engines[0]):
        assert [is_under_way(engine) for engine in engines] == [True, False]
        with only_takedown(engines[1]):
            assert is_under_way(engines[1])
    (tmp_path / "three.db.takedown-lock").mkdir()
    refused = pytest.raises(LocalDiskError, match=r"three\.db\.takedown-lock cannot be opened")
    with refused, only_takedown(open_engine(f"sqlite:///{tmp_path / 'three.db'}")):
        pass

"""Golden clips are read with all that is wrong told at once, and decoded once for all models."""

from pathlib import Path

import pytest

from annotator.errors import InputError
from annotator.promotion.golden import GoldenClip, read_golden, try_model
from annotator.store import Store
from tests.integration.promotion.pretending import PEOPLE_IN, PretendAnnotator
from tests.made_up_bundles import identity_of


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in PEOPLE_IN:
        (folder / name).write_bytes(b"GIF89a")
    return folder


def write_list(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "golden.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_clips_are_decoded_once_for_all_models_of_a_network(tmp_path: Path, clips: Path, store: Store) -> None:
    golden = [GoldenClip(name, tuple(identity_of(one).name for one in people)) for name, people in PEOPLE_IN.items()]
    first = PretendAnnotator(tmp_path / "first")
    found = try_model(first, golden, clips, kept=store)  # type: ignore[arg-type]
    assert first.decoded == list(PEOPLE_IN)
    assert found.right == {("one.gif", "Person 01"), ("two.gif", "Person 02"), ("two.gif", "Person 03")}
    assert found.wrong == frozenset()
    second = PretendAnnotator(tmp_path / "second", version=2, swapped={3: 7, 7: 3})
    tried = try_model(second, golden, clips, kept=store)  # type: ignore[arg-type]
    assert second.decoded == ["broken.gif"]
    assert tried.right == {("one.gif", "Person 01"), ("two.gif", "Person 02")}
    assert tried.wrong == {("two.gif", "Person 07")}


def test_a_list_is_read_with_its_other_columns_left_alone(tmp_path: Path, clips: Path) -> None:
    path = write_list(tmp_path, "file,people,sure\none.gif,Person 01; Bén,yes\ntwo.gif,,no\n")
    assert read_golden(path, clips) == [GoldenClip("one.gif", ("Person 01", "Bén")), GoldenClip("two.gif", ())]


def test_all_that_is_wrong_with_a_list_is_told_with_its_line(tmp_path: Path, clips: Path) -> None:
    path = write_list(tmp_path, "file,people\none.gif,A\n../secret.gif,B\nmissing.gif,C\n/etc/passwd,D\n,E\n")
    with pytest.raises(InputError, match="4 lines are wrong") as caught:
        read_golden(path, clips)
    assert [line.split(": ")[0] for line in caught.value.details] == [f"{path}:{number}" for number in (3, 4, 5, 6)]


@pytest.mark.parametrize("text", ["name,people\n", "file,people\n", "file\none.gif\n"])
def test_a_list_without_columns_or_clips_is_refused(tmp_path: Path, clips: Path, text: str) -> None:
    with pytest.raises(InputError):
        read_golden(write_list(tmp_path, text), clips)

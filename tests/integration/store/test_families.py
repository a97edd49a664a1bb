"""Families of clips as rows: found in any order of batches, and what they share is told, not copied."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from annotator.store import Store
from annotator.store.duplicates import families
from annotator.store.duplicates.families import Compared, count_new, find_families
from annotator.store.duplicates.listing import family_of, list_families
from annotator.types import U8, FaceTrack, TrackEvidence, TrackLabel
from tests.drawn_scenes import drawn_scene, fingerprint_of
from tests.store_values import ADA, SPEC, annotation, digest, known, ref, track, unknown

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "duplicates.md").read_text(encoding="utf-8")
ROWS = "SELECT content_id, family_id, like_content_id, changes FROM content_families ORDER BY 1"


@pytest.fixture
def save(database_url: str) -> Callable[..., None]:
    """Save a media that shows scenes, with tracks; contents get ids in the order of their saving."""
    with Store.open(database_url) as store:
        network_id = store.register_network(SPEC)
        labelling_id = store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})

    def save_one(
        number: int, *scenes: U8, tracks: tuple[FaceTrack, ...] = (), labels: tuple[TrackLabel, ...] = ()
    ) -> None:
        found = annotation(ref(f"{number}.gif"), content=number, tracks=tracks, labels=labels)
        with Store.open(database_url) as store:
            store.save(
                [replace(found, fingerprint=fingerprint_of(*scenes))], network_id=network_id, labelling_id=labelling_id
            )

    return save_one


def clear_track(person: int) -> FaceTrack:
    """Return a track of a large, sharp face."""
    embeddings = np.eye(8, dtype=np.float16)[[person, person]]
    evidence = TrackEvidence(embeddings, np.full(2, 90, np.float16), np.full(2, 0.9, np.float16))
    return replace(track(0), evidence=evidence)


def mirrored(scene: U8) -> U8:
    return np.ascontiguousarray(scene[:, ::-1])


def cropped(scene: U8) -> U8:
    return scene[10:154, 50:306]


def rows(store: Store) -> list[tuple[int, int, int | None, str]]:
    with store.reading() as connection:
        return [tuple(row) for row in connection.execute(text(ROWS))]


@pytest.mark.parametrize("batch", [1, 100])
def test_clips_that_are_one_become_a_family_and_others_do_not(
    save: Callable[..., None], database_url: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(families, "BATCH", batch)
    scene = drawn_scene(1)
    save(1, scene)
    save(2, drawn_scene(2))
    save(3, mirrored(scene))
    save(4, cropped(scene))
    with Store.open(database_url) as store:
        assert find_families(store.engine) == Compared(4, 2)
        found = rows(store)
        assert [row[:2] for row in found] == [(1, 1), (3, 1), (4, 1)]
        assert found[0][2:] == (None, "")
        assert found[1][2:] == (1, "mirrored")
        assert "cropped" in found[2][3]
        assert find_families(store.engine) == Compared()
        assert rows(store) == found


def test_what_comes_later_joins_and_makes_two_families_one(save: Callable[..., None], database_url: str) -> None:
    first, second = drawn_scene(11), drawn_scene(12)
    for number, scenes in enumerate([(first,), (second,), (mirrored(first),), (mirrored(second),)], start=1):
        save(number, *scenes)
    with Store.open(database_url) as store:
        find_families(store.engine)
        assert [row[1] for row in rows(store)] == [1, 2, 1, 2]
        save(5, first, second)  # both, one after the other
        assert count_new(store.engine) == 1
        assert find_families(store.engine) == Compared(1, 1)
        assert {row[1] for row in rows(store)} == {1}


def test_families_stay_as_they_are_until_the_page_s_statements_let_all_be_judged_anew(
    save: Callable[..., None], database_url: str
) -> None:
    scene = drawn_scene(14)
    for number, one in enumerate([scene, mirrored(scene), drawn_scene(15)], start=1):
        save(number, one)
    with Store.open(database_url) as store:
        find_families(store.engine)
        found = rows(store)
        assert [row[0] for row in found] == [1, 2]
        with store.engine.begin() as connection:  # as if another rule had taken the third for the first
            connection.execute(text("INSERT INTO content_families (content_id, family_id, changes) VALUES (3, 1, '')"))
        find_families(store.engine)
        assert [row[0] for row in rows(store)] == [1, 2, 3]
        (statements,) = re.findall(r"^```sql\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
        with store.engine.begin() as connection:
            for statement in filter(None, map(str.strip, statements.split(";"))):
                connection.execute(text(statement))
        assert count_new(store.engine) == 3
        assert find_families(store.engine) == Compared(3, 1)
        assert rows(store) == found


def test_names_of_a_family_say_where_they_are_from_and_no_row_of_labels_changes(
    save: Callable[..., None], database_url: str
) -> None:
    scene = drawn_scene(21)
    save(1, scene, tracks=(clear_track(7),), labels=(known(ADA),))
    save(2, scene[::2, ::2], tracks=(clear_track(7),), labels=(unknown(ADA),))
    with Store.open(database_url) as store:
        find_families(store.engine)
        with store.reading() as connection:
            family = family_of(connection, ref("2.gif"))
            labelled = connection.execute(text("SELECT content_id FROM content_labels_by")).scalars().all()
            assert list_families(connection, limit=5) == [family]
        assert family is not None
        assert [(one.name, one.contents) for one in family.people] == [(ADA.name, 1)]
        assert family.contents == 2
        assert family.members[1].like_uri == ref("1.gif").uri
        assert labelled == [1]


def test_the_same_scene_with_another_clear_face_is_another_clip(save: Callable[..., None], database_url: str) -> None:
    scene = drawn_scene(31)
    save(1, scene, tracks=(clear_track(1),), labels=(unknown(ADA),))
    save(2, scene, tracks=(clear_track(2),), labels=(unknown(ADA),))
    with Store.open(database_url) as store:
        assert find_families(store.engine) == Compared(2, 0)
        assert rows(store) == []


def test_files_of_equal_bytes_are_one_content_and_need_no_family(save: Callable[..., None], database_url: str) -> None:
    save(1, drawn_scene(41))
    with Store.open(database_url) as store:
        find_families(store.engine)
        with store.reading() as connection:
            assert family_of(connection, ref("1.gif")) is None
            assert connection.execute(text("SELECT count(*) FROM fingerprints")).scalar_one() == 1
    assert digest(1) != digest(2)

"""The map of a small gallery: places, likeness, and what a browser gets of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ConfigError, LocalDiskError
from annotator.space.directions import most_alike, people_directions
from annotator.space.files import read_map, write_map
from annotator.space.packing import pack_map
from annotator.space.placing import SpaceMap, make_map
from annotator.space.projector import write_projector
from annotator.space.sample import SampledFaces
from tests.made_up_gallery import SIZE, gallery
from tests.optional import import_optional

MADE_AT = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
IDS = [100 + place for place in range(12)]
NAMES = {identity_id: (identity_id, f"Person {identity_id - 100}") for identity_id in IDS}


def faces() -> SampledFaces:
    """Return a face at each of the first three people, of whom the second has no name, and one face far away."""
    directions = np.concatenate([people_directions(gallery())[:3], -people_directions(gallery())[:1]])
    return SampledFaces(np.arange(1, 5), np.zeros(4, np.int64), directions, [100, None, 102, None])


def small_map() -> SpaceMap:
    return make_map(gallery(), faces(), identity_ids=IDS, model="small@1", made_at=MADE_AT)


def unpacked(data: bytes) -> tuple[dict[str, object], np.ndarray, np.ndarray]:
    """Read as the page does: points (M, 3), and the places of the people of named faces."""
    length = int.from_bytes(data[:4], "little")
    header = json.loads(data[4 : 4 + length])
    points = len(header["people"]) + header["named"] + header["unnamed"]
    start = 4 + length
    end = start + points * 6
    assert start % 4 == 0
    whose = np.frombuffer(data, "<u4", offset=end + -end % 4)
    return header, np.frombuffer(data, "<f2", points * 3, start).reshape(-1, 3).astype(np.float64), whose


def test_a_face_like_its_person_lies_where_the_person_is() -> None:
    space = small_map()
    np.testing.assert_allclose(space.named_xyz, space.people_xyz[[0, 2]], atol=1e-6)
    np.testing.assert_allclose(space.unnamed_xyz[0], space.people_xyz[1], atol=1e-6)
    assert space.named_id.tolist() == [100, 102]
    assert np.abs(space.people_xyz).max() == pytest.approx(1.0)


def test_whom_somebody_resembles_is_told_by_all_dimensions_best_first_and_never_oneself() -> None:
    directions = people_directions(gallery())
    places, cosines = most_alike(directions, 4)
    similar = directions @ directions.T
    np.fill_diagonal(similar, -2)
    assert places.tolist() == np.argsort(-similar, axis=1)[:, :4].tolist()
    np.testing.assert_allclose(cosines, -np.sort(-similar, axis=1)[:, :4], atol=1e-6)


@pytest.mark.parametrize("people", [0, 1, 3])
def test_of_few_people_all_others_are_alike(people: int) -> None:
    places, cosines = most_alike(np.eye(3)[:people], 8)
    assert places.shape == cosines.shape == (people, max(0, people - 1))


def test_a_map_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path, space = tmp_path / "space" / "one.npz", small_map()
    write_map(path, space)
    again = read_map(path)
    assert again is not None
    assert (again.model, again.made_at) == ("small@1", MADE_AT)
    for name in ("explained", "identity_id", "photographs", "people_xyz", "alike", "alike_cosine", "unnamed_xyz"):
        assert np.array_equal(getattr(again, name), getattr(space, name)), name
    assert [one.name for one in path.parent.iterdir()] == ["one.npz"]


def test_a_map_that_is_cut_off_is_none(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    assert read_map(path) is None
    write_map(path, small_map())
    whole = path.read_bytes()
    for kept in (0, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:kept])
        assert read_map(path) is None


def test_a_map_holds_no_name_of_anybody(tmp_path: Path) -> None:
    write_map(tmp_path / "one.npz", small_map())
    assert b"Person" not in (tmp_path / "one.npz").read_bytes()


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "space").write_text("a file")
    with pytest.raises(LocalDiskError, match="ANNOTATOR_CACHE_DIR"):
        write_map(tmp_path / "space" / "one.npz", small_map())


def test_a_browser_gets_names_points_and_whose_each_face_is() -> None:
    space = small_map()
    header, points, whose = unpacked(pack_map(space, NAMES))
    people = header["people"]
    assert isinstance(people, list)
    assert [row[:4] for row in people[:3]] == [
        [100, "Person 0", 3, 1],
        [101, "Person 1", 3, 0],
        [102, "Person 2", 3, 1],
    ]
    assert (header["model"], header["named"], header["unnamed"]) == ("small@1", 2, 2)
    assert whose.tolist() == [0, 2]
    np.testing.assert_allclose(points[:12], space.people_xyz, atol=1e-3)
    np.testing.assert_allclose(points[12:], np.concatenate([space.named_xyz, space.unnamed_xyz]), atol=2e-3)
    assert people[5][4][::2] == space.alike[5].tolist()
    assert people[5][4][1::2] == [round(100 * float(one)) for one in space.alike_cosine[5]]


def test_who_is_gone_from_the_database_is_gone_from_the_page_and_the_others_keep_their_faces() -> None:
    names = {identity_id: name for identity_id, name in NAMES.items() if identity_id != 100}
    names[103] = (102, "Person 2")  # merged meanwhile
    data = pack_map(small_map(), names)
    header, points, whose = unpacked(data)
    people = header["people"]
    assert isinstance(people, list)
    assert b"Person 0" not in data
    assert [row[:2] for row in people[:3]] == [[101, "Person 1"], [102, "Person 2"], [102, "Person 2"]]
    assert (header["named"], header["unnamed"], whose.tolist()) == (1, 3, [1])
    np.testing.assert_allclose(points[11], small_map().named_xyz[1], atol=2e-3)
    places = [number for row in people for number in row[4][::2]]
    assert max(places) == 10


def test_the_json_begins_the_numbers_at_a_multiple_of_four_whatever_names_there_are() -> None:
    for length in range(4):
        names = NAMES | {100: (100, "Ä" * length)}
        header, _, whose = unpacked(pack_map(small_map(), names))
        assert isinstance(header["people"], list)
        assert header["people"][0][1] == "Ä" * length
        assert whose.tolist() == [0, 2]


def test_the_projector_of_tensorboard_gets_embeddings_names_and_their_shape(tmp_path: Path) -> None:
    folder = tmp_path / "points"
    assert write_projector(folder, gallery(), faces(), {100: "Person 0", 102: "Two\twords\n"}) == 16
    points = np.fromfile(folder / "tensors.bytes", "<f4").reshape(16, SIZE)
    np.testing.assert_allclose(points[:12], people_directions(gallery()), atol=1e-6)
    rows = [row.split("\t") for row in (folder / "metadata.tsv").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == ["name", "kind", "photographs", "content", "track"]
    assert rows[1] == ["Person 0", "person", "3", "", ""]
    assert [row[0] for row in rows[13:]] == ["Person 0", "unknown", "Two words", "unknown"]
    assert len(rows) == 17


def test_who_is_gone_from_the_database_meanwhile_is_unknown_to_the_projector(tmp_path: Path) -> None:
    write_projector(tmp_path / "points", gallery(), faces(), {100: "Person 0"})
    rows = (tmp_path / "points" / "metadata.tsv").read_text(encoding="utf-8").splitlines()
    assert [row.partition("\t")[0] for row in rows[13:]] == ["Person 0", "unknown", "unknown", "unknown"]


def test_the_projector_reads_the_configuration(tmp_path: Path) -> None:
    plugin = import_optional("tensorboard.plugins.projector.projector_config_pb2")
    text_format = import_optional("google.protobuf.text_format")
    write_projector(tmp_path / "points", gallery(), faces(), {100: "Person 0", 102: "Person 2"})
    config = text_format.Parse(
        (tmp_path / "points" / "projector_config.pbtxt").read_text(encoding="utf-8"), plugin.ProjectorConfig()
    )
    (embedding,) = config.embeddings
    assert list(embedding.tensor_shape) == [16, SIZE]
    assert (tmp_path / "points" / embedding.tensor_path).stat().st_size == 16 * SIZE * 4
    assert (tmp_path / "points" / embedding.metadata_path).exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    with pytest.raises(ConfigError, match="new or empty"):
        write_projector(tmp_path, gallery(), faces(), {100: "Person 0", 102: "Person 2"})
    assert [one.name for one in tmp_path.iterdir()] == ["mine"]


def test_a_map_whose_arrays_do_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="photographs must be"):
        replace(small_map(), identity_id=np.arange(11))

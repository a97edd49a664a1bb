"""Photographs that are held out are in no prototype, and people of two parts never meet."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from annotator.accuracy.subjects import PARTS, STRANGERS, HeldOut, hold_out, part_of
from annotator.errors import ConfigError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.collection import Collection
from annotator.recognition.crops import ALIGNED, FaceCrop
from annotator.types import F32, U8
from tests.made_up_bundles import EMBEDDER, unit, write_made_up_bundle

SIDE = 112
COUNTS = {"Ann": 1, "Bea": 2, "Cid": 5, "Dot": 6, "Eve": 12}
HELD = {"Ann": 0, "Bea": 1, "Cid": 1, "Dot": 2, "Eve": 3}


@dataclass(frozen=True)
class MeanColours:
    """An embedder: the colours of the four quarters of a crop, at unit length."""

    network_id: str = EMBEDDER
    precision: str = "f32"
    crop: FaceCrop = ALIGNED

    def embed(self, faces: U8) -> F32:
        quarters = faces.reshape(len(faces), 2, SIDE // 2, 2, SIDE // 2, 3).mean(axis=(2, 4)).reshape(len(faces), -1)
        return unit(quarters - 128.0)


def crop_of(person: int, photograph: int) -> U8:
    quarters = np.random.default_rng(person).uniform(0, 255, (2, 2, 3))
    quarters += np.random.default_rng((person, photograph)).normal(0, 40, quarters.shape)
    return np.kron(np.clip(quarters, 0, 255), np.ones((SIDE // 2, SIDE // 2, 1))).astype(np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> ModelBundle:
    return write_made_up_bundle(tmp_path / "bundle")


@pytest.fixture
def pictures() -> Collection:
    collection = Collection()
    for person, (name, count) in enumerate(COUNTS.items()):
        crops = np.stack([crop_of(person, number) for number in range(count)])
        collection.add(name, crops, [Path(f"people/gallery/{name}/{number}.jpg") for number in range(count)], "")
    # The press has three photographs of Cid, one of which the gallery has, and two of somebody whom it has not.
    shown = [crop_of(2, 0), crop_of(2, 50), crop_of(2, 51)]
    collection.add("Cid", np.stack(shown), [Path(f"people/press/Cid/{number}.jpg") for number in range(3)], "")
    unknown = np.stack([crop_of(77, 0), crop_of(77, 1)])
    collection.add("Una", unknown, [Path(f"people/press/Una/{number}.jpg") for number in range(2)], "")
    return collection.in_order()


@pytest.fixture
def held(pictures: Collection, bundle: ModelBundle, tmp_path: Path) -> HeldOut:
    strangers = tmp_path / "strangers"
    strangers.mkdir()
    for number in range(6):
        cv2.imwrite(str(strangers / f"{number}.png"), crop_of(500 + number, 0))
    folder = tmp_path / "crops"
    folder.mkdir()
    return hold_out(pictures, strangers, others=["press"], bundle=bundle, embedder=MeanColours(), folder=folder)


def test_so_many_of_each_are_held_out_as_they_have(held: HeldOut) -> None:
    names = [subject.key for subject in held.subjects.values() if subject.source == "gallery"]
    assert {name: names.count(name) for name in COUNTS} == HELD
    stay = dict(zip([one.name for one in held.bundle.identities], held.bundle.photo_counts.tolist(), strict=True))
    assert stay == {name: COUNTS[name] - HELD[name] for name in COUNTS}


def test_prototypes_are_made_without_them(held: HeldOut, pictures: Collection) -> None:
    embeddings = MeanColours().embed(np.stack(pictures.crops))
    for place, identity in enumerate(held.bundle.identities):
        rest = [
            number
            for number, (name, path) in enumerate(zip(pictures.people, pictures.paths, strict=True))
            if name == identity.name and path.parent.parent.name == "gallery" and number not in held.subjects
        ]
        expected = unit(embeddings[rest].astype(np.float64).sum(axis=0))
        np.testing.assert_allclose(held.bundle.prototypes[place], expected, atol=1e-6)


def test_other_sources_are_drawn_whole_but_for_what_the_gallery_has(held: HeldOut) -> None:
    press = [subject for subject in held.subjects.values() if subject.source == "press"]
    assert sorted(subject.key for subject in press) == ["Cid", "Cid", "Una", "Una"]
    assert {subject.person for subject in press} == {"Cid", None}
    assert {subject.part for subject in held.subjects.values() if subject.key in {"Cid", "Una"}} == {"test"}


def test_strangers_are_nobody_and_of_both_parts(held: HeldOut) -> None:
    strangers = [subject for subject in held.subjects.values() if subject.source == STRANGERS]
    assert len({subject.key for subject in strangers}) == 6
    assert {subject.person for subject in strangers} == {None}


def test_numbers_of_the_parts_have_nobody_in_common(held: HeldOut) -> None:
    people = [{held.subjects[number].key for number in held.numbers(part)} for part in PARTS]
    assert not people[0] & people[1]
    assert sum(len(held.numbers(part)) for part in PARTS) == len(held.subjects)
    assert {held.subjects[number].source for number in held.numbers("test", sources=["press"])} == {"press"}


def test_half_of_all_people_are_of_each_part_forever() -> None:
    parts = [part_of(f"Person {number}") for number in range(1000)]
    assert 450 < parts.count("test") < 550
    assert [part_of("Ann"), part_of("Bea"), part_of("Cid")] == ["development", "test", "test"]


def test_crops_are_written_as_they_were(held: HeldOut, pictures: Collection) -> None:
    for number, subject in held.subjects.items():
        if subject.source != STRANGERS:
            read = cv2.imread(str(held.photographs[number]))
            assert read is not None
            assert np.array_equal(read[:, :, ::-1], pictures.crops[number])


def test_another_network_is_refused(pictures: Collection, bundle: ModelBundle, tmp_path: Path) -> None:
    other = replace(bundle, embedder="another")
    with pytest.raises(ConfigError, match="another"):
        hold_out(pictures, tmp_path, others=[], bundle=other, embedder=MeanColours(), folder=tmp_path)

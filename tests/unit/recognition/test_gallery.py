"""A gallery is a bundle with people added, merged, renamed and left out."""

import numpy as np
import pytest

from annotator.errors import ConfigError, ModelError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.gallery import EnrolledPerson, Gallery
from annotator.types import F32, Identity


def photographs(seed: int, count: int = 2, size: int = 32) -> F32:
    vectors = np.random.default_rng(seed).normal(0, 1, (1, size)) + np.random.default_rng(seed + 1).normal(
        0, 0.1, (count, size)
    )
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def person(name: str, seed: int = 50, count: int = 2) -> EnrolledPerson:
    return EnrolledPerson(Identity(name), photographs(seed, count), "sface-2021dec")


def test_a_bundle_alone_is_its_own_gallery(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle)
    assert gallery.model == "small@1"
    assert gallery.identities == bundle.identities
    np.testing.assert_allclose(gallery.prototypes, bundle.prototypes, atol=1e-6)
    assert gallery.photo_counts.tolist() == bundle.photo_counts.tolist()


def test_an_enrolled_person_joins_and_the_model_says_so(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, enrolled=[person("Eileen")])
    assert gallery.identities[-1] == Identity("Eileen")
    assert gallery.photo_counts[-1] == 2
    assert gallery.model.startswith("small@1+")
    assert len(gallery.model) == len("small@1+") + 8
    assert gallery.digest != Gallery.from_bundle(bundle).digest


def test_the_order_of_enrolling_makes_no_difference(bundle: ModelBundle) -> None:
    people = [person("A", 60), person("B", 70), person("A", 80, 1)]
    first, second = (Gallery.from_bundle(bundle, enrolled=order) for order in (people, people[::-1]))
    assert first.model == second.model
    assert first.digest == second.digest
    assert first.identities == second.identities
    np.testing.assert_array_equal(first.prototypes, second.prototypes)
    assert first.photo_counts[-2:].tolist() == [3, 2]


def test_photographs_of_a_known_person_move_the_prototype(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, enrolled=[person("Person 04", count=5)])
    assert len(gallery) == len(bundle.identities)
    assert gallery.photo_counts[4] == 10
    before = bundle.prototypes[4] @ photographs(50, 1)[0]
    assert gallery.prototypes[4] @ photographs(50, 1)[0] > before


def test_a_rename_changes_the_name_and_nothing_else(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, renames={"Person 03": "Somebody", "Nobody": "X"})
    assert gallery.identities[3] == Identity("Somebody", "/m/03")
    assert gallery.digest == Gallery.from_bundle(bundle).digest
    assert gallery.model == "small@1"


def test_merged_people_are_one(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, merges={"Person 02": "Person 03", "Person 03": "Person 05"})
    names = [identity.name for identity in gallery.identities]
    assert len(gallery) == len(bundle.identities) - 2
    place = names.index("Person 05")
    assert gallery.identities[place].kg_mid == "/m/05"
    assert gallery.photo_counts[place] == 15
    mean = bundle.prototypes[[2, 3, 5]].mean(axis=0)
    np.testing.assert_allclose(gallery.prototypes[place], mean / np.linalg.norm(mean), atol=1e-6)
    assert gallery.digest != Gallery.from_bundle(bundle).digest


def test_merges_in_a_circle_are_refused(bundle: ModelBundle) -> None:
    with pytest.raises(ConfigError, match="circle"):
        Gallery.from_bundle(bundle, merges={"Person 02": "Person 03", "Person 03": "Person 02"})


def test_a_removed_person_is_gone(bundle: ModelBundle) -> None:
    gallery = Gallery.from_bundle(bundle, removed=["Person 07"])
    assert "Person 07" not in {identity.name for identity in gallery.identities}


def test_two_people_cannot_have_one_name(bundle: ModelBundle) -> None:
    with pytest.raises(ConfigError, match="would be called 'Person 04'"):
        Gallery.from_bundle(bundle, renames={"Person 03": "Person 04"})


def test_embeddings_of_another_network_are_refused(bundle: ModelBundle) -> None:
    other = EnrolledPerson(Identity("A"), photographs(1), "arcface-r50")
    with pytest.raises(ModelError, match="arcface-r50"):
        Gallery.from_bundle(bundle, enrolled=[other])
    with pytest.raises(ModelError, match="cannot name embeddings of arcface-r50"):
        Gallery.from_bundle(bundle).check_embedder("arcface-r50")


def test_nobody_is_enrolled_without_a_photograph() -> None:
    with pytest.raises(ValueError, match="without a photograph"):
        EnrolledPerson(Identity("A"), np.zeros((0, 32), np.float32), "sface-2021dec")

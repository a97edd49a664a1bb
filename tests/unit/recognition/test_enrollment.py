"""Photographs are checked before they stand for a person."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import ConfigError, EnrollmentError, ModelError, SourceNotFoundError, UndecodableMediaError
from annotator.recognition.bundle import ModelBundle
from annotator.recognition.calibration import Calibration
from annotator.recognition.enrollment import Photograph, enroll_person, read_photographs
from annotator.recognition.gallery import Gallery
from annotator.types import U8, Identity
from tests.made_up_faces import PatternEmbedder, TileDetector, face_of

PEOPLE = 30


@pytest.fixture
def gallery(calibration: Calibration) -> Gallery:
    faces = np.stack([face_of(person) for person in range(PEOPLE)])
    prototypes = PatternEmbedder().embed(faces)
    return Gallery.from_bundle(
        ModelBundle(
            "patterns",
            1,
            "sface-2021dec",
            tuple(Identity(f"Person {person}") for person in range(PEOPLE)),
            prototypes,
            np.ones(PEOPLE, np.int32),
            prototypes.mean(axis=0),
            calibration,
        )
    )


def photograph(*people: int, take: int = 1) -> Photograph:
    tiles: list[U8] = [face_of(person, take=take) for person in people]
    picture = np.concatenate(tiles, axis=1) if tiles else np.zeros((112, 112, 3), np.uint8)
    return Photograph(f"{'-'.join(map(str, people)) or 'empty'}.jpg", picture)


def enroll(gallery: Gallery, name: str, *photographs: Photograph, face: int | None = None) -> np.ndarray:
    return enroll_person(
        Identity(name), photographs, gallery=gallery, detector=TileDetector(), embedder=PatternEmbedder(), face=face
    ).embeddings


def refused(gallery: Gallery, message: str, name: str, *photographs: Photograph, face: int | None = None) -> None:
    with pytest.raises(EnrollmentError, match=message) as caught:
        enroll(gallery, name, *photographs, face=face)
    assert "\n" not in str(caught.value)


def test_a_new_person_is_enrolled_from_one_photograph_or_more(gallery: Gallery) -> None:
    assert enroll(gallery, "New", photograph(100)).shape == (1, 192)
    person = enroll_person(
        Identity("New", "/m/1"),
        [photograph(100), photograph(100, take=2)],
        gallery=gallery,
        detector=TileDetector(),
        embedder=PatternEmbedder(),
    )
    assert person.identity == Identity("New", "/m/1")
    assert person.embedder == "sface-2021dec"
    assert len(person.embeddings) == 2


def test_a_photograph_without_a_face_is_refused(gallery: Gallery) -> None:
    refused(gallery, r"empty.jpg shows no clear face", "New", photograph(100), photograph())


def test_of_several_faces_one_must_be_named(gallery: Gallery) -> None:
    refused(gallery, r"shows 2 faces: crop it, or say which one with --face 1", "New", photograph(3, 100))
    np.testing.assert_array_equal(
        enroll(gallery, "New", photograph(3, 100), face=2), enroll(gallery, "New", photograph(100))
    )
    refused(gallery, "none with the number 3", "New", photograph(3, 100), face=3)


def test_the_number_of_the_face_does_not_matter_where_there_is_one(gallery: Gallery) -> None:
    assert len(enroll(gallery, "New", photograph(100), photograph(3, 100), face=2)) == 2


def test_a_small_face_is_refused(gallery: Gallery) -> None:
    small = Photograph("small.jpg", photograph(100).picture[::3, ::3])
    with pytest.raises(EnrollmentError, match="37 pixels large, 48 needed"):
        enroll_person(
            Identity("New"),
            [small],
            gallery=gallery,
            detector=TileDetector(scale=1 / 3),
            embedder=PatternEmbedder(),
        )


def test_a_face_unlike_the_others_is_refused_and_named(gallery: Gallery) -> None:
    refused(
        gallery,
        r"face on 101.jpg is unlike the person's other photographs",
        "New",
        photograph(100),
        photograph(100, take=2),
        photograph(101),
    )


def test_somebody_elses_face_is_refused_and_named(gallery: Gallery) -> None:
    refused(gallery, "are Person 7's to the gallery", "New", photograph(7))


def test_more_photographs_of_a_known_person_are_welcome(gallery: Gallery) -> None:
    assert len(enroll(gallery, "Person 7", photograph(7))) == 1


def test_a_namesake_is_refused(gallery: Gallery) -> None:
    refused(gallery, "the gallery knows another Person 7", "Person 7", photograph(100))


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "x" * 300])
def test_what_is_no_name_is_refused(gallery: Gallery, name: str) -> None:
    refused(gallery, "is no name", name, photograph(100))


def test_no_photographs_are_refused(gallery: Gallery) -> None:
    refused(gallery, "without a photograph", "New")


def test_an_embedder_of_lower_precision_or_another_network_is_refused(gallery: Gallery) -> None:
    arguments = {"gallery": gallery, "detector": TileDetector()}
    with pytest.raises(ConfigError, match="f32"):
        enroll_person(Identity("New"), [photograph(100)], embedder=PatternEmbedder("bf16"), **arguments)
    other = Gallery.from_bundle(replace(gallery.bundle, embedder="other"))
    with pytest.raises(ModelError, match="other"):
        enroll_person(
            Identity("New"), [photograph(100)], gallery=other, detector=TileDetector(), embedder=PatternEmbedder()
        )


def test_a_photograph_that_is_not_there_or_is_no_picture_is_said_in_words(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="There is no photograph"):
        read_photographs([tmp_path / "mistyped.jpg"])
    (tmp_path / "letter.jpg").write_text("Dear Cher,")
    with pytest.raises(UndecodableMediaError, match="is no JPEG, PNG or WebP by its content"):
        read_photographs([tmp_path / "letter.jpg"])

"""Real photographs: bundles are rebuilt bit for bit, and people are enrolled by detection."""

from pathlib import Path

import numpy as np
import pytest

from annotator.detection import MtcnnDetector
from annotator.errors import EnrollmentError
from annotator.recognition.building import BuildParams, BundleInfo, build_bundle
from annotator.recognition.bundle import load_bundle
from annotator.recognition.collection import BuildSources
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.enrollment import enroll_person, read_photographs
from annotator.recognition.gallery import Gallery
from annotator.recognition.photographs import choose_faces, find_faces, people_folders, read_aligned, read_picture
from annotator.recognition.revocation import RevocationList
from annotator.runtime import Engine
from annotator.starter import load_starter
from annotator.types import Identity

pytestmark = pytest.mark.shared

PARAMS = BuildParams(face_sizes_px=(48,), variants=1, rates=(0.1,), max_false_positive_rate=0.1)
MIN_COSINE_TO_STARTER = 0.9999


@pytest.fixture(scope="module")
def detector(engine: Engine) -> MtcnnDetector:
    return MtcnnDetector(engine)


@pytest.fixture(scope="module")
def starter() -> Gallery:
    return Gallery.from_bundle(load_starter())


def links(folder: Path, targets: list[Path]) -> Path:
    folder.mkdir(parents=True)
    for target in targets:
        (folder / target.name).symlink_to(target)
    return folder


def test_a_part_of_the_gallery_is_rebuilt_bit_for_bit_and_as_in_the_starter_model(
    shared_data: Path, tmp_path: Path, embedder: FaceEmbedder, detector: MtcnnDetector
) -> None:
    people = shared_data / "people"
    sources = BuildSources(
        gallery_dirs=(links(tmp_path / "gallery", people_folders(people / "gallery")[:6]),),
        strangers_dir=links(tmp_path / "strangers", sorted((people / "strangers").iterdir())[:20]),
        known_dirs=(links(tmp_path / "known", [people / "known" / "Rose_Leslie"]),),
        people_tables=(people / "gallery.csv",),
        labels=shared_data / "giphy_labels.csv",
    )
    info = BundleInfo("part", revoked=RevocationList("00" * 16))
    for name in ("first", "second"):
        build_bundle(sources, out=tmp_path / name, embedder=embedder, detector=detector, info=info, params=PARAMS)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    part, whole = load_bundle(tmp_path / "first"), load_starter()
    place = {person: index for index, person in enumerate(whole.identities)}
    for index, person in enumerate(part.identities):
        cosine = part.prototypes[index] @ whole.prototypes[place[person]]
        assert cosine >= MIN_COSINE_TO_STARTER, person
        assert part.photo_counts[index] == whole.photo_counts[place[person]], person


def test_the_right_face_is_chosen_on_a_photograph_of_several_people(
    shared_data: Path, embedder: FaceEmbedder, detector: MtcnnDetector
) -> None:
    picture = read_picture(shared_data / "people" / "known" / "Barack_Obama" / "obama3.jpg")
    faces = find_faces(picture, detector=detector)
    gallery = sorted((shared_data / "people" / "gallery" / "Barack_Obama").iterdir())
    (index,) = choose_faces([faces], like=read_aligned(gallery), embedder=embedder)
    likeness = embedder.embed(np.stack([face.crop for face in faces])) @ embedder.embed(read_aligned(gallery)).mean(
        axis=0
    )
    assert index == int(likeness.argmax())
    assert likeness[index] > 0.5


def test_who_is_known_already_is_recognised_when_enrolled_under_another_name(
    shared_data: Path, starter: Gallery, embedder: FaceEmbedder, detector: MtcnnDetector
) -> None:
    photographs = read_photographs(sorted((shared_data / "people" / "known" / "Kit_Harington").glob("john1*")))
    with pytest.raises(EnrollmentError, match="Kit Harington's to the gallery"):
        enroll_person(Identity("Jon Snow"), photographs, gallery=starter, detector=detector, embedder=embedder, face=1)


def test_a_known_person_gains_photographs(
    shared_data: Path, starter: Gallery, embedder: FaceEmbedder, detector: MtcnnDetector
) -> None:
    photographs = read_photographs([shared_data / "people" / "known" / "Joe_Biden" / "biden2.jpg"])
    person = enroll_person(Identity("Joe Biden"), photographs, gallery=starter, detector=detector, embedder=embedder)
    grown = Gallery.from_bundle(starter.bundle, enrolled=[person])
    assert len(grown) == len(starter)
    assert grown.model.startswith("starter@1+")

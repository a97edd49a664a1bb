"""A bundle is built from photographs, the same way every time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ConfigError
from annotator.recognition.building import BuildParams, BuildReport, BundleInfo, build_bundle
from annotator.recognition.bundle import load_bundle
from annotator.recognition.collection import BuildSources
from annotator.types import Identity
from tests.made_up_faces import PatternEmbedder, TileDetector, face_of

PEOPLE, EACH = 12, 4
PARAMS = BuildParams(face_sizes_px=(32, 64), rates=(0.1, 0.05), max_false_positive_rate=0.1, cohort=5)
INFO = BundleInfo("patterns", 3, "test only")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("people")

    def save(person: int, take: int, path: Path, *, beside: int | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        faces = [face_of(person, take=take)] + ([face_of(beside)] if beside is not None else [])
        Image.fromarray(np.concatenate(faces[::-1], axis=1)).save(path)

    for person in range(PEOPLE):
        for take in range(EACH):
            save(person, take, root / "gallery" / f"Person_{person:02}" / f"{take}.png")
    save(99, 0, root / "gallery" / "Person_05" / "wrong.png")
    save(3, 0, root / "gallery" / "Person_03" / "repeated.png")
    for take in range(EACH):
        save(77, take, root / "gallery" / "Not_Public" / f"{take}.png")
    save(77, EACH, root / "known" / "Not_Public" / "whole.png")
    for stranger in range(40):
        save(200 + stranger, 0, root / "strangers" / f"{stranger}.png")
    save(50, 0, root / "known" / "New_One" / "a.png")
    save(50, 1, root / "known" / "New_One" / "b.png", beside=51)
    save(4, 9, root / "known" / "Person_04" / "c.png", beside=51)
    Image.new("RGB", (112, 112)).save(root / "known" / "New_One" / "empty.png")
    (root / "gallery.csv").write_text("folder,name,sources\nPerson_07,Dr. Seven,here;there\n")
    (root / "labels.csv").write_text("Labels,Index\nperson_01_[m.01],0\n")
    (root / "excluded.csv").write_text("picture,why\nPerson_02/3.png,by eye\n")
    (root / "left_out.csv").write_text("name,why\nNot Public,a child\nMisspelled One,a child\n")
    return root


def sources_of(data: Path) -> BuildSources:
    return BuildSources(
        gallery_dirs=(data / "gallery",),
        strangers_dir=data / "strangers",
        known_dirs=(data / "known",),
        people_tables=(data / "gallery.csv",),
        known_sources="elsewhere",
        labels=data / "labels.csv",
        excluded=data / "excluded.csv",
        left_out=data / "left_out.csv",
    )


def build(data: Path, out: Path) -> BuildReport:
    return build_bundle(
        sources_of(data), out=out, embedder=PatternEmbedder(), detector=TileDetector(), info=INFO, params=PARAMS
    )


@pytest.fixture(scope="module")
def built(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildReport, Path]:
    out = tmp_path_factory.mktemp("bundle")
    return build(data, out), out


def test_everybody_is_in_it_with_name_id_and_number_of_photographs(built: tuple[BuildReport, Path]) -> None:
    bundle = load_bundle(built[1])
    counts = dict(zip([person.name for person in bundle.identities], bundle.photo_counts.tolist(), strict=True))
    assert len(counts) == PEOPLE + 1
    assert counts["Dr. Seven"] == EACH
    assert counts["New One"] == 2
    assert counts["Person 02"] == EACH - 1
    assert counts["Person 04"] == EACH + 1
    assert Identity("Person 01", "/m/01") in bundle.identities
    assert bundle.model == "patterns@3"
    assert [person.name for person in bundle.identities] == sorted(counts)


def test_what_was_left_out_is_said(built: tuple[BuildReport, Path]) -> None:
    assert set(built[0].dropped) == {
        ("Person_02/3.png", "by eye"),
        ("Person_03/repeated.png", "repeated"),
        ("Person_05/wrong.png", "unlike the others"),
        ("New_One/empty.png", "no clear face"),
    }


def test_who_must_not_be_known_is_left_out_and_that_is_said(built: tuple[BuildReport, Path]) -> None:
    bundle = load_bundle(built[1])
    assert "Not Public" not in {person.name for person in bundle.identities}
    likeness = bundle.prototypes @ PatternEmbedder().embed(face_of(77)[None])[0]
    assert likeness.max() < 0.8, "nor is the face somebody else's"
    assert dict(built[0].left_out) == {"Not Public": "a child"}
    assert bundle.manifest["people_left_out"] == {"a child": 1}
    assert not any("Not_Public" in picture for picture, _ in built[0].dropped), "pictures of nobody are not counted"


def test_the_log_says_who_is_left_out_and_which_name_nobody_has(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        build(data, tmp_path)
    said = [(record.levelname, record.getMessage()) for record in caplog.records if "left out" in record.getMessage()]
    assert said == [("INFO", "left out Not Public: a child")]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 1
    assert "Misspelled One" in warnings[0]


@pytest.mark.parametrize("text", [None, "person,why\nNot Public,a child\n", ""])
def test_a_list_that_cannot_be_read_leaves_nobody_in_by_mistake(data: Path, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "left_out.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"left_out\.csv"):
        build_bundle(
            replace(sources_of(data), left_out=path),
            out=tmp_path / "out",
            embedder=PatternEmbedder(),
            detector=TileDetector(),
            info=INFO,
            params=PARAMS,
        )


def test_the_persons_own_face_is_taken_from_a_photograph_of_two(built: tuple[BuildReport, Path]) -> None:
    bundle = load_bundle(built[1])
    names = [person.name for person in bundle.identities]
    embedder = PatternEmbedder()
    for name, person in (("New One", 50), ("Person 04", 4)):
        likeness = bundle.prototypes[names.index(name)] @ embedder.embed(face_of(person)[None])[0]
        assert likeness > 0.95


def test_thresholds_hold_the_rate_and_figures_are_in_the_manifest(built: tuple[BuildReport, Path]) -> None:
    bundle = load_bundle(built[1])
    assert [point.face_px for point in bundle.calibration.points] == [32.0, 64.0]
    assert bundle.calibration.max_false_positive_rate == 0.1
    metrics = bundle.manifest["metrics"]
    assert metrics["strangers"] == 40
    assert metrics["left_out_people"] == PEOPLE + 1
    assert metrics["by_face_size"]["64_px"]["fpir_0.1"]["tpir"] > 0.9


def test_building_again_gives_the_same_bytes(data: Path, built: tuple[BuildReport, Path], tmp_path: Path) -> None:
    build(data, tmp_path)
    for path in built[1].iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_no_picture_is_in_it(built: tuple[BuildReport, Path]) -> None:
    assert {path.suffix for path in built[1].iterdir()} == {"", ".csv", ".json", ".md", ".npz"}


def test_lower_precision_no_strangers_and_odd_crops_are_refused(data: Path, tmp_path: Path) -> None:
    arguments = {"detector": TileDetector(), "info": INFO, "params": PARAMS, "out": tmp_path / "out"}
    with pytest.raises(ConfigError, match="f32"):
        build_bundle(sources_of(data), embedder=PatternEmbedder("bf16"), **arguments)
    (tmp_path / "none").mkdir()
    nobody = BuildSources((data / "gallery",), tmp_path / "none")
    with pytest.raises(ConfigError, match="strangers"):
        build_bundle(nobody, embedder=PatternEmbedder(), **arguments)
    with pytest.raises(ConfigError, match="no aligned crop"):
        build_bundle(BuildSources((data / "known",), data / "strangers"), embedder=PatternEmbedder(), **arguments)
    with pytest.raises(ConfigError, match="there is no folder"):
        build_bundle(BuildSources((data / "absent",), data / "strangers"), embedder=PatternEmbedder(), **arguments)

"""Clips that were drawn and annotated come back from the file as they were, unless what decides them has changed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from annotator.accuracy.kept import KeptClips, keep_clips, kept_clips, part_digest
from annotator.accuracy.scenes import plan_scene
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip
from annotator.errors import ConfigError, LocalDiskError
from annotator.types import TrackEvidence

SCENES = [plan_scene(f"clip{number}", [number], others=[], seed=number) for number in range(3)]


def evidence(faces: int) -> TrackEvidence:
    random = np.random.default_rng(faces)
    numbers = (random.normal(0, 1, (faces, 4)), random.uniform(30, 90, faces), random.uniform(0, 1, faces))
    return TrackEvidence(*(one.astype(np.float16) for one in numbers))


def clips() -> list[ShownClip]:
    face = SeenFace("clip0", 0, 5, "live", 61.25, (0, 400))
    tracks = (
        SeenTrack("clip0", 0, 5, "live", evidence(3), ((0, 100), (200, 400))),
        SeenTrack("clip0", 1, None, None, evidence(0), ((0, 40),)),
    )
    other = SeenTrack("clip2", 0, 2, "poster", evidence(2), ((0, 40),))
    return [ShownClip(SCENES[0], (face,), tracks), ShownClip(SCENES[1], (), ()), ShownClip(SCENES[2], (), (other,))]


def told(clip: ShownClip) -> object:
    tracks = []
    for one in clip.tracks:
        numbers = (one.evidence.embeddings, one.evidence.face_px, one.evidence.quality)
        tracks.append((one.clip, one.shot, one.photograph, one.kind, one.spans, [array.tolist() for array in numbers]))
    return clip.scene, clip.faces, tracks


def test_they_come_back_in_the_order_of_the_scenes(tmp_path: Path) -> None:
    keep_clips(tmp_path / "clips.npz", list(reversed(clips())))
    back = kept_clips(tmp_path / "clips.npz", SCENES)
    assert [told(clip) for clip in back] == [told(clip) for clip in clips()]
    assert [path.name for path in tmp_path.iterdir()] == ["clips.npz"]


def test_without_a_single_face_too(tmp_path: Path) -> None:
    bare = [ShownClip(SCENES[0], (), ())]
    keep_clips(tmp_path / "clips.npz", bare)
    assert [told(clip) for clip in kept_clips(tmp_path / "clips.npz", SCENES[:1])] == [told(bare[0])]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"no archive at all"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "clips.npz").write_bytes(content)
    with pytest.raises(ConfigError, match="remove it"):
        kept_clips(tmp_path / "clips.npz", SCENES)


def test_other_clips_are_told(tmp_path: Path) -> None:
    keep_clips(tmp_path / "clips.npz", clips()[:2])
    with pytest.raises(ConfigError, match="clip2"):
        kept_clips(tmp_path / "clips.npz", SCENES)


PHOTOGRAPHS = {number: f"{number:064x}" for number in range(9)}
NETWORK: dict[str, object] = {"embedder": "sface", "detector": {"min_face_px": 20}}


def test_a_part_keeps_its_name_while_nothing_changes_that_decides_it() -> None:
    name = part_digest(SCENES, PHOTOGRAPHS, NETWORK)
    assert name == part_digest(list(SCENES), dict(reversed(PHOTOGRAPHS.items())), dict(reversed(NETWORK.items())))
    assert name == part_digest(SCENES, PHOTOGRAPHS | {8: "another photograph, which is not drawn"}, NETWORK)


def test_a_part_has_another_name_once_its_plan_its_photographs_or_the_networks_change() -> None:
    names = [
        part_digest(SCENES, PHOTOGRAPHS, NETWORK),
        part_digest(SCENES[:2], PHOTOGRAPHS, NETWORK),
        part_digest([replace(SCENES[0], colours=2), *SCENES[1:]], PHOTOGRAPHS, NETWORK),
        part_digest(SCENES, PHOTOGRAPHS | {1: "another"}, NETWORK),
        part_digest(SCENES, PHOTOGRAPHS, NETWORK | {"detector": {"min_face_px": 24}}),
    ]
    assert len(set(names)) == len(names)


def test_a_part_has_another_name_once_the_program_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = part_digest(SCENES, PHOTOGRAPHS, NETWORK)
    monkeypatch.setattr("annotator.accuracy.kept.program_digest", lambda: "of another version")
    assert part_digest(SCENES, PHOTOGRAPHS, NETWORK) != before


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalDiskError, match="cannot be made"):
        KeptClips(tmp_path / "file" / "clips")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(LocalDiskError, match="cannot be written"):
        keep_clips(tmp_path / "file" / "clips.npz", clips())

"""Drawn clips go the whole way, and what is found lies where it was drawn."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from annotator.accuracy.scenes import plan_scene
from annotator.accuracy.tracks import ShownClip, Span, show_clips
from annotator.build import build_annotator
from annotator.errors import ConfigError
from annotator.settings import load_settings

pytestmark = [pytest.mark.shared, pytest.mark.slow]

CLIPS = 8
SURE_PX = 48.0
"""Faces from this size on are found in all clips; see the detector's own tests."""


@pytest.fixture(scope="module")
def photographs(shared_data: Path) -> dict[int, Path]:
    folders = sorted((shared_data / "people" / "gallery").iterdir())[: 3 * CLIPS]
    return {number: min(folder.iterdir()) for number, folder in enumerate(folders)}


@pytest.fixture(scope="module")
def shown(photographs: dict[int, Path], cache_dir: Path) -> Iterator[list[ShownClip]]:
    settings = load_settings(env_file=None, device="cpu", threads=2, cache_dir=cache_dir)
    others = list(photographs)[2 * CLIPS :]
    scenes = [plan_scene(f"clip{n}", [2 * n, 2 * n + 1], others=others, seed=n) for n in range(CLIPS)]
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        yield list(show_clips(scenes, photographs, build_annotator(settings), executor))


def overlap(one: tuple[Span, ...], other: tuple[Span, ...]) -> float:
    common = sum(max(0, min(b, d) - max(a, c)) for a, b in one for c, d in other)
    return common / (sum(b - a for a, b in one) + sum(d - c for c, d in other) - common)


def test_every_clip_comes_back_once(shown: list[ShownClip]) -> None:
    assert sorted(clip.scene.name for clip in shown) == sorted(f"clip{n}" for n in range(CLIPS))


def test_large_faces_are_found_when_they_are_seen(shown: list[ShownClip]) -> None:
    asked = [(clip, face) for clip in shown for face in clip.faces if face.kind == "live" and face.face_px >= SURE_PX]
    assert len(asked) >= CLIPS
    for clip, face in asked:
        mine = [one for one in clip.tracks if (one.photograph, one.shot) == (face.photograph, face.shot)]
        found = tuple(sorted(span for track in mine for span in track.spans))
        assert overlap((face.span,), found) > 0.8, (clip.scene.name, face)


def test_tracks_lie_on_what_was_drawn_and_have_its_size(shown: list[ShownClip]) -> None:
    tracks = [(clip, track) for clip in shown for track in clip.tracks]
    on_faces = [(clip, track) for clip, track in tracks if track.photograph is not None]
    assert len(on_faces) > 0.9 * len(tracks)
    for clip, track in on_faces:
        of_track = (track.photograph, track.kind, track.shot)
        (face,) = [one for one in clip.faces if (one.photograph, one.kind, one.shot) == of_track]
        assert len(track.evidence) > 0
        assert float(track.evidence.face_px.mean()) == pytest.approx(face.face_px, rel=0.35)


def test_a_photograph_that_is_no_aligned_crop_is_refused(shared_data: Path, cache_dir: Path) -> None:
    whole = next((shared_data / "people" / "known").rglob("*.jpg"))
    settings = load_settings(env_file=None, device="cpu", threads=2, cache_dir=cache_dir)
    scenes = [plan_scene("clip", [0], others=[], seed=0)]
    with ProcessPoolExecutor(1, get_context("spawn")) as executor, pytest.raises(ConfigError, match="112"):
        list(show_clips(scenes, {0: whole}, build_annotator(settings), executor))

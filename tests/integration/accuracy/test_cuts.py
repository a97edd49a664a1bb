"""Where one person follows another at the same place of the frame, no track holds both."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from annotator.accuracy.scenes import FPS_OF_MP4, Appearance, Place, Scene, Shot
from annotator.accuracy.tracks import ShownClip, show_clips
from annotator.build import build_annotator
from annotator.settings import load_settings

pytestmark = [pytest.mark.shared, pytest.mark.slow]

FOLDERS = ("Abdoulaye_Wade", "Abdullah_Gul")
FRAMES = 10
"""A shot: all frames of a clip are samples."""

FRAME_MS = 1000 // FPS_OF_MP4
ROOM = 3
OTHER_ROOMS = (19, 20, 27)
"""Seeds of backgrounds that resemble the first one: their thumbnails correlate by 0.41 to 0.43 with its own."""


def shot(photograph: int, room: int) -> Shot:
    place = Place(0.5, 0.5, face_px=90.0, turn_deg=0.0)
    return Shot(
        frames=FRAMES,
        appearances=(Appearance(photograph, "live", place, place, is_mirrored=False),),
        seed=room,
        caption="",
        hides_faces=False,
        motion_px=(0.0, 0.0),
        contrast=1.0,
        brightness=0.0,
    )


@pytest.fixture(scope="module")
def shown(shared_data: Path, cache_dir: Path) -> list[ShownClip]:
    photographs = {n: min((shared_data / "people" / "gallery" / name).iterdir()) for n, name in enumerate(FOLDERS)}
    settings = load_settings(env_file=None, device="cpu", threads=2, cache_dir=cache_dir)
    scenes = [
        Scene(
            name=f"room{room}",
            format="mp4",
            size_wh=(320, 240),
            delays_ms=(FRAME_MS,) * 2 * FRAMES,
            colours=256,
            shots=(shot(0, ROOM), shot(1, room)),
        )
        for room in OTHER_ROOMS
    ]
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        return list(show_clips(scenes, photographs, build_annotator(settings), executor))


def test_each_of_two_people_has_a_track_that_ends_at_the_cut(shown: list[ShownClip]) -> None:
    cut_ms, end_ms = FRAMES * FRAME_MS, 2 * FRAMES * FRAME_MS
    for clip in shown:
        seen = sorted((track.photograph, track.spans) for track in clip.tracks)
        assert [photograph for photograph, _ in seen] == [0, 1], clip.scene.name
        (first,), (second,) = (spans for _, spans in seen)
        # A sample stands for the time nearer to it than to others, so what it shows may end half a frame too early.
        assert first == pytest.approx((0, cut_ms), abs=FRAME_MS / 2), clip.scene.name
        assert second == pytest.approx((cut_ms, end_ms), abs=FRAME_MS / 2), clip.scene.name

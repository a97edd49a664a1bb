"""Drawn clips show what was planned, where and when it was planned."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageSequence

from annotator.accuracy.drawing import draw_clip, draw_frames
from annotator.accuracy.scenes import Appearance, Kind, Place, Scene, Shot
from annotator.render.writers import RenderError

PHOTOGRAPH = 3
RED = np.full((112, 112, 3), (230, 10, 10), np.uint8)


def appearance(kind: Kind = "live", *, is_mirrored: bool = False, x: float = 0.5, last_x: float = 0.5) -> Appearance:
    return Appearance(PHOTOGRAPH, kind, Place(x, 0.5, 80, 0), Place(last_x, 0.5, 80, 0), is_mirrored)


def shot(*appearances: Appearance, frames: int = 3, **changes: Any) -> Shot:
    plain: dict[str, Any] = {
        "seed": 1,
        "caption": "",
        "hides_faces": False,
        "motion_px": (0.0, 0.0),
        "contrast": 1.0,
        "brightness": 0.0,
    }
    return Shot(frames, appearances, **{**plain, **changes})


def scene(*shots: Shot, **changes: Any) -> Scene:
    delays = tuple(40 + 10 * n for n in range(sum(one.frames for one in shots)))
    plain: dict[str, Any] = {"name": "s", "format": "gif", "size_wh": (320, 240), "delays_ms": delays, "colours": 256}
    return Scene(shots=shots, **{**plain, **changes})


def images(one: Scene, photograph: Any = RED) -> Any:
    return np.stack([frame.image for frame in draw_frames(one, {PHOTOGRAPH: photograph})])


def test_a_face_is_drawn_in_its_box() -> None:
    drawn = list(draw_frames(scene(shot(appearance(x=0.3, last_x=0.7))), {PHOTOGRAPH: RED}))
    for frame in drawn:
        left, top, right, bottom = (round(edge) for edge in frame.faces[0].box_xyxy)
        inside = frame.image[top + 8 : bottom - 8, left + 8 : right - 8].reshape(-1, 3).mean(axis=0)
        assert inside[0] > 180
        assert inside[1] < 60
    assert [round(frame.faces[0].box_xyxy[0]) for frame in drawn] == sorted(
        round(frame.faces[0].box_xyxy[0]) for frame in drawn
    )
    assert drawn[-1].faces[0].box_xyxy[0] - drawn[0].faces[0].box_xyxy[0] > 100


@pytest.mark.parametrize("face_px", [27.0, 40.0, 150.0])
def test_a_face_of_any_size_lies_in_the_middle_of_its_box(face_px: float) -> None:
    spot = np.full((112, 112, 3), 120, np.uint8)
    spot[48:64, 48:64] = 250
    place = Place(0.37, 0.52, face_px, 0)
    (drawn,) = draw_frames(
        scene(shot(Appearance(PHOTOGRAPH, "live", place, place, is_mirrored=False), frames=1)), {PHOTOGRAPH: spot}
    )
    left, top, right, bottom = drawn.faces[0].box_xyxy
    box = drawn.image[round(top) : round(bottom), round(left) : round(right)].astype(float).mean(axis=2)
    rows, columns = np.nonzero(box > 180)
    middle = (columns.mean() + 0.5 + round(left), rows.mean() + 0.5 + round(top))
    assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=0.8)
    assert np.sqrt(len(rows)) / face_px == pytest.approx(16 / 112, rel=0.35)


def test_a_face_that_is_partly_outside_is_cut_off_and_one_that_is_wholly_outside_is_not_seen() -> None:
    partly, nowhere, beside = (
        images(scene(shot(appearance(x=x, last_x=x), frames=1)))[0].astype(int) for x in (0.0, -0.9, 1.9)
    )
    assert np.abs(nowhere - beside).max() == 0
    assert np.abs(partly - beside)[100:140, :30].mean() > 20


def test_the_noise_of_each_frame_is_another() -> None:
    first, second, third = images(scene(shot(frames=3))).astype(float)
    assert 1.5 < (first - second).std() < 3.0
    assert 1.5 < (second - third).std() < 3.0
    correlation = np.corrcoef((first - second).ravel(), (second - third).ravel())[0, 1]
    assert correlation == pytest.approx(-0.5, abs=0.05)  # of differences that share one of three fresh frames


def test_equal_scenes_are_drawn_alike() -> None:
    np.testing.assert_array_equal(images(scene(shot(appearance()))), images(scene(shot(appearance()))))


def test_a_cut_changes_the_background() -> None:
    first, second = images(scene(shot(frames=1), shot(frames=1, seed=2))).astype(int)
    assert np.abs(first - second).mean() > 10


def test_left_and_right_are_exchanged_where_it_is_mirrored() -> None:
    half = RED.copy()
    half[:, :56] = (10, 10, 230)
    plain, mirrored = (
        images(scene(shot(appearance(is_mirrored=flag), frames=1)), half)[0][110:130, 130:155].mean(axis=(0, 1))
        for flag in (False, True)
    )
    assert plain[2] > 150 > plain[0]
    assert mirrored[0] > 150 > mirrored[2]


def test_a_moving_camera_blurs() -> None:
    checked = np.kron(np.indices((14, 14)).sum(axis=0) % 2, np.ones((8, 8)))[..., None] * np.full(3, 255)
    still, moved = (
        images(scene(shot(appearance(), frames=1, motion_px=motion)), checked.astype(np.uint8))[0]
        for motion in ((0.0, 0.0), (8.0, 0.0))
    )
    spread = [np.asarray(one, float)[100:140, 140:180].std() for one in (still, moved)]
    assert spread[1] < 0.6 * spread[0]


def test_a_caption_is_written_below_or_over_the_face() -> None:
    plain, below, over = (
        images(scene(shot(appearance(), frames=1, caption=caption, hides_faces=hides)))[0].astype(int)
        for caption, hides in (("", False), ("HELLO", False), ("HELLO", True))
    )
    rows = [np.flatnonzero(np.abs(one - plain).sum(axis=(1, 2)) > 1500) for one in (below, over)]
    assert rows[0].min() > 190
    assert 80 < rows[1].min() < rows[1].max() < 165


def test_a_cartoon_has_dark_lines_where_light_changes() -> None:
    photograph = np.full((112, 112, 3), 210, np.uint8)
    photograph[:, 56:] = 120
    live, drawn = (images(scene(shot(appearance(kind), frames=1)), photograph)[0] for kind in ("live", "cartoon"))
    assert live[100:140, 140:180].min() > 90
    assert (drawn[100:140, 140:180].max(axis=2) < 60).any(axis=1).mean() > 0.9


@pytest.mark.parametrize("format_", ["gif", "mp4"])
def test_a_clip_is_a_file_with_all_frames(tmp_path: Path, format_: Any) -> None:
    planned = scene(shot(appearance(last_x=0.8)), shot(appearance(), frames=2, seed=5), format=format_)
    path, frames = draw_clip(planned, {PHOTOGRAPH: RED}, tmp_path)
    assert path.name == f"s.{format_}"
    assert len(frames) == 5
    if format_ == "gif":
        with Image.open(path) as clip:
            shown = [(one.info["duration"], one.convert("RGB")) for one in ImageSequence.Iterator(clip)]
        assert [shown_ms for shown_ms, _ in shown] == list(planned.delays_ms)
        for frame, (_, image) in zip(frames, shown, strict=True):
            assert np.abs(np.asarray(image, float) - frame.image).mean() < 12


def test_few_colours_are_few_in_all_frames_together(tmp_path: Path) -> None:
    planned = replace(scene(shot(appearance(last_x=0.8)), shot(appearance(), seed=5)), colours=32)
    path, _ = draw_clip(planned, {PHOTOGRAPH: RED}, tmp_path)
    with Image.open(path) as clip:
        frames = np.concatenate([np.asarray(one.convert("RGB")) for one in ImageSequence.Iterator(clip)])
    assert 8 < len(np.unique(frames.reshape(-1, 3), axis=0)) <= 32


@pytest.mark.parametrize("format_", ["gif", "mp4"])
def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, format_: Any) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(RenderError, match="name another folder"):
        draw_clip(scene(shot(frames=1), format=format_), {}, tmp_path / "taken")

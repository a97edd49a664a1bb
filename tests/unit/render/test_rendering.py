import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from annotator.render.clip import render_media
from annotator.render.drawing import FaceMark, draw_marks, draw_text, shorten, text_width_px
from annotator.render.marks import drawn_tracks, marks_at
from annotator.render.names import picture_names
from annotator.render.sheet import MAX_TRACKS, contact_sheet
from annotator.render.writers import RenderError, write_gif, write_mp4
from annotator.types import (
    U8,
    Candidate,
    ClipReport,
    FaceTrack,
    FrameBatch,
    Identity,
    MediaAnnotation,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

WIDTH, HEIGHT = 320, 240


class DrawnFrames:
    """A clip of flat pictures that appear at given times."""

    content_sha256 = "0" * 64
    report = ClipReport(WIDTH, HEIGHT, None, 0, 0, None)

    def __init__(self, images: U8, pts_ms: list[int]) -> None:
        self._images = images
        self._pts_ms = pts_ms

    def __iter__(self) -> Iterator[FrameBatch]:
        for number, at in enumerate(self._pts_ms):
            one = np.array([number], np.int64)
            yield FrameBatch(self._images[number : number + 1], one, one * 0 + at, one * 0 + at, one * 0 + 1)


class DrawnSource:
    """Opens one drawn clip, whatever is asked for."""

    def __init__(self, images: U8, pts_ms: list[int]) -> None:
        self._frames = DrawnFrames(images, pts_ms)

    @contextmanager
    def open(self, media: MediaRef) -> Iterator[DrawnFrames]:  # noqa: ARG002
        yield self._frames

    def spec(self) -> dict[str, object]:
        return {}


def flat_images(count: int, *, grey: int = 60) -> U8:
    return np.full((count, HEIGHT, WIDTH, 3), grey, np.uint8)


def make_track(pts_ms: list[int], lefts: list[float], *, faces: int = 3, track_no: int = 0) -> FaceTrack:
    length = len(pts_ms)
    boxes = [[left, 80.0, left + 60.0, 150.0] for left in lefts]
    shades = np.linspace(40, 220, faces).astype(np.uint8)
    return FaceTrack(
        track_no=track_no,
        shot_no=0,
        frame_index=np.arange(length, dtype=np.int64),
        pts_ms=np.array(pts_ms, np.int64),
        from_ms=np.array(pts_ms, np.int64),
        shown_ms=np.full(length, 100, np.int64),
        boxes_xyxy=np.array(boxes, np.float32),
        scores=np.ones(length, np.float32),
        quality=np.ones(length, np.float32),
        evidence=TrackEvidence(
            np.zeros((faces, 4), np.float16), np.full(faces, 60, np.float16), np.ones(faces, np.float16)
        ),
        best_faces=np.broadcast_to(shades[:, None, None, None], (faces, 112, 112, 3)).copy(),
    )


def known(name: str = "Zoë Kravitz", confidence: float = 0.97) -> TrackLabel:
    return TrackLabel(
        "known", (Candidate(Identity(name), 0.61, confidence), Candidate(Identity("Mads Mikkelsen"), 0.3, 0.02))
    )


UNKNOWN = TrackLabel("unknown", (Candidate(Identity("Mads Mikkelsen"), 0.31, 0.02),))


def annotate(
    *pairs: tuple[FaceTrack, TrackLabel], media_id: str = "clips/x.gif", duration_ms: int | None = 400
) -> MediaAnnotation:
    return MediaAnnotation(
        media=MediaRef(media_id, f"file:///{media_id}"),
        model="starter@1",
        content_sha256="0" * 64,
        clip=ClipReport(WIDTH, HEIGHT, duration_ms, 4, 4, None),
        frames_sampled=4,
        faces=sum(len(track.pts_ms) for track, _ in pairs),
        tracks=tuple(track for track, _ in pairs),
        labels=tuple(label for _, label in pairs),
    )


def lefts(pts_ms: int, *pairs: tuple[FaceTrack, TrackLabel], cuts_ms: list[int] | None = None) -> list[float]:
    tracks = drawn_tracks([track for track, _ in pairs], [label for _, label in pairs])
    return [mark.box_xyxy[0] for mark in marks_at(pts_ms, tracks, cuts_ms=cuts_ms or [])]


def test_a_box_moves_evenly_between_two_sampled_frames() -> None:
    track = make_track([0, 200], [10, 110])
    assert [lefts(at, (track, UNKNOWN)) for at in (0, 50, 100, 200)] == [[10], [35], [60], [110]]


def test_a_box_stands_still_for_its_share_and_no_longer() -> None:
    track = make_track([100], [10])
    assert [lefts(at, (track, UNKNOWN)) for at in (99, 100, 199, 200)] == [[], [10], [10], []]


def test_a_box_does_not_outlive_its_shot() -> None:
    track = make_track([100], [10])
    assert [lefts(at, (track, UNKNOWN), cuts_ms=[150]) for at in (149, 150, 180)] == [[10], [], []]


def test_a_person_keeps_the_colour_and_unknown_people_are_grey() -> None:
    tracks = [make_track([0], [10], track_no=number) for number in range(4)]
    drawn = drawn_tracks(tracks, [known(), UNKNOWN, known("Brad Pitt"), known()])
    assert drawn[0].colour == drawn[3].colour
    assert len({one.colour for one in drawn}) == 3
    assert len(set(drawn[1].colour)) == 1
    assert [one.text for one in drawn[:2]] == ["Zoë Kravitz 97 %", "unknown"]


def test_a_picture_in_the_clip_is_said_to_be_one() -> None:
    poster = replace(make_track([0], [10.0]), is_picture=True)
    drawn = drawn_tracks([poster, poster, make_track([0], [10.0])], [known(), UNKNOWN, known()])
    assert [one.text for one in drawn] == [
        "Zoë Kravitz 97 %, on a picture",
        "unknown, on a picture",
        "Zoë Kravitz 97 %",
    ]


@pytest.mark.parametrize("name", ["Beyoncé", "Søren", "Łukasz", "Škoda", "Владимир", "周杰伦"])
def test_names_of_many_scripts_are_drawn_and_not_replaced(name: str) -> None:
    def drawn(text: str) -> U8:
        image = np.zeros((40, 300, 3), np.uint8)
        draw_text(image, text, left=4, baseline=28, size_px=20, style=((255, 255, 255), 400))
        return image

    replaced = "".join("?" if ord(one) > 127 else one for one in name)
    assert drawn(name).any()
    assert not np.array_equal(drawn(name), drawn(replaced))


def test_text_that_is_too_wide_is_cut() -> None:
    cut = shorten("Jennifer Lawrence", 14, 60)
    assert cut.endswith("…")
    assert text_width_px(cut, 14) <= 60
    assert shorten("Cher", 14, 60) == "Cher"


def test_two_names_at_one_place_do_not_cover_each_other() -> None:
    frame = flat_images(1)[0]
    red, green = (200, 0, 0), (0, 200, 0)
    marks = [FaceMark((100, 80, 160, 150), "Jennifer Lawrence", red), FaceMark((104, 80, 164, 150), "Cher", green)]
    image = draw_marks(frame, marks)
    for colour, alone in ((red, marks[0]), (green, marks[1])):
        count = int((image == colour).all(axis=2).sum())
        count_alone = int((draw_marks(frame, [alone]) == colour).all(axis=2).sum())
        assert count >= 0.8 * count_alone  # of text and box; the boxes cross


def test_a_small_frame_is_enlarged_until_names_can_be_read() -> None:
    assert draw_marks(np.zeros((60, 80, 3), np.uint8), [], scale=4).shape == (240, 320, 3)


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (0, 0, 1, 1), (300, 200, 400, 300)])
def test_boxes_at_and_beyond_the_border_are_drawn_as_far_as_they_are_seen(box: tuple[float, ...]) -> None:
    marks = [FaceMark((box[0], box[1], box[2], box[3]), "a name that is longer than the frame is wide" * 3, (9, 9, 9))]
    assert draw_marks(np.zeros((20, 30, 3), np.uint8), marks).shape == (20, 30, 3)


def render(tmp_path: Path, media_id: str, pts_ms: list[int], *, duration_ms: int | None) -> Path:
    images = flat_images(len(pts_ms))
    images[:, ::7] = np.arange(len(pts_ms), dtype=np.uint8)[:, None, None, None] * 40
    track = make_track([pts_ms[0]], [20])
    annotation = annotate((track, known()), media_id=media_id, duration_ms=duration_ms)
    return render_media(annotation, source=DrawnSource(images, pts_ms), target=tmp_path / media_id)


def gif_delays(path: Path) -> list[int]:
    with Image.open(path) as image:
        delays = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            delays.append(int(image.info["duration"]))
        return delays


def test_a_gif_keeps_its_uneven_delays(tmp_path: Path) -> None:
    rendering = render(tmp_path, "clips/x.gif", [0, 40, 240, 1000], duration_ms=1070)
    assert rendering == tmp_path / "clips" / "x.gif"
    assert gif_delays(rendering) == [40, 200, 760, 70]


def test_delays_that_are_no_hundredths_keep_the_length_of_the_clip(tmp_path: Path) -> None:
    with write_gif(tmp_path / "x.gif") as writer:
        for image in flat_images(30) + np.arange(30, dtype=np.uint8)[:, None, None, None]:
            writer.add(image, shown_ms=33)
    assert sum(gif_delays(tmp_path / "x.gif")) == 990


def test_the_pixels_of_a_gif_are_those_of_the_frame(tmp_path: Path) -> None:
    image = flat_images(2)
    image[1, :, :160] = (200, 30, 30)
    with write_gif(tmp_path / "x.gif") as writer:
        for one in image:
            writer.add(one, shown_ms=100)
    with Image.open(tmp_path / "x.gif") as read:
        read.seek(1)
        assert np.abs(np.asarray(read.convert("RGB")).astype(int) - image[1]).max() <= 8


def mp4_frames(path: Path) -> tuple[int, int]:
    command = [get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "framehash", "-hash", "crc32", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    return len(rows), len({row[-1] for row in rows})


def test_a_video_keeps_its_length_and_repeats_long_frames(tmp_path: Path) -> None:
    rendering = render(tmp_path, "film.mkv", [0, 40, 80, 120, 520], duration_ms=600)
    assert rendering == tmp_path / "film.mkv.mp4"
    assert mp4_frames(rendering)[0] == 15


def test_odd_sides_are_no_obstacle_for_a_video(tmp_path: Path) -> None:
    with write_mp4(tmp_path / "x.mp4", fps=10) as writer:
        for _ in range(3):
            writer.add(np.zeros((135, 241, 3), np.uint8), shown_ms=100)
    assert mp4_frames(tmp_path / "x.mp4")[0] == 3


def test_a_still_becomes_one_picture(tmp_path: Path) -> None:
    rendering = render(tmp_path, "photo.jpg", [0], duration_ms=None)
    assert rendering == tmp_path / "photo.jpg.png"
    with Image.open(rendering) as image:
        assert image.size == (WIDTH, HEIGHT)


def test_a_broken_run_leaves_nothing_behind(tmp_path: Path) -> None:
    def break_off() -> None:
        with write_gif(tmp_path / "x.gif") as writer:
            writer.add(flat_images(1)[0], shown_ms=10)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_encoder_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotator.render.writers.get_ffmpeg_exe", lambda: "/bin/false")
    with pytest.raises(RenderError, match="could not be written"):
        render(tmp_path, "x.mp4", [0, 40_000], duration_ms=80_000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("media_id", "expected"),
    [
        ("../../etc/x.gif", "etc/x.gif"),
        ("/clips/x.gif", "clips/x.gif"),
        ("https://host.example/a%20b.gif?x=1", "host.example/a b.gif"),
        ("https://host.example/%2e%2e/%2e%2e/x.gif", "host.example/x.gif"),
        ("..", "media"),
    ],
)
def test_pictures_stay_in_their_folder(media_id: str, expected: str) -> None:
    assert names_of(MediaRef(media_id, "file:///x")) == [expected]


def names_of(*media: MediaRef, given: tuple[str, ...] = ()) -> list[str]:
    return [str(name) for name in picture_names(media, given=given).values()]


def test_a_media_that_was_named_itself_is_drawn_under_its_name_alone() -> None:
    given = ("/home/ann/x.gif", "clips/y.gif", "https://host.example/a/z.gif?size=1")
    assert names_of(*(MediaRef(one, f"file:///{one}") for one in given), given=given) == ["x.gif", "y.gif", "z.gif"]


def test_a_media_of_a_folder_keeps_its_path_below_it() -> None:
    assert names_of(MediaRef("cats/x.gif", "file:///clips/cats/x.gif"), given=("/clips",)) == ["cats/x.gif"]


def test_media_of_one_name_do_not_draw_over_each_other() -> None:
    named = [MediaRef(one, f"file://{one}") for one in ("/ann/x.gif", "/bob/x.gif", "/bob/y.gif")]
    assert names_of(*named, given=tuple(one.media_id for one in named)) == ["ann/x.gif", "bob/x.gif", "y.gif"]
    of_folders = [MediaRef("x.gif", "file:///ann/x.gif"), MediaRef("x.gif", "s3://bucket/bob/x.gif")]
    assert names_of(*of_folders, given=("/ann", "s3://bucket/bob/")) == ["ann/x.gif", "bucket/bob/x.gif"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RenderError, match="name another folder"):
        render(tmp_path, "file/x.gif", [0, 40], duration_ms=80)


def test_the_contact_sheet_has_a_row_for_each_track_and_one_for_nobody() -> None:
    heights = [
        contact_sheet(annotate(*[(make_track([0], [10], track_no=number), known()) for number in range(count)])).shape[
            0
        ]
        for count in (0, 1, 2, 3, MAX_TRACKS + 5)
    ]
    row = heights[2] - heights[1]
    assert heights[0] == heights[1]
    assert heights[3] - heights[2] == row
    assert heights[4] == heights[1] + (MAX_TRACKS - 1) * row


def test_a_track_without_embedded_faces_has_its_row_too() -> None:
    sheet = contact_sheet(annotate((make_track([0], [10], faces=0), TrackLabel("too_poor", ()))))
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    assert buffer.tell() > 0

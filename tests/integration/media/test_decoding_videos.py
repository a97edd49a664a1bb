"""Videos through the decoder child: times, rotation, seeking, repeats, damage."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media import DecodeLimits, Sampling, films
from annotator.media.child import ffmpeg_path
from annotator.types import FrameBatch
from tests.media_factory import noise, read_media, write_video

# RGB to YUV 4:4:4 and back, without loss but rounded.
COLOUR_TOLERANCE = 4
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-pix_fmt", "yuv444p", "-g", "12", "-bf", "2")


def assert_shares_tile(batch: FrameBatch, duration_ms: int | None) -> None:
    ends = batch.from_ms + batch.shown_ms
    assert batch.from_ms[0] == 0
    assert np.array_equal(batch.from_ms[1:], ends[:-1])
    assert ends[-1] == duration_ms


def same(one: FrameBatch, other: FrameBatch) -> bool:
    names = ("images", "frame_index", "pts_ms", "from_ms", "shown_ms")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", H264),
        ("a.mov", H264),
        ("a.mkv", H264),
        ("a.webm", ("-c:v", "libvpx-vp9", "-lossless", "1", "-speed", "8", "-g", "12", "-pix_fmt", "yuv444p")),
    ],
)
def test_frames_of_all_containers_arrive_in_order_with_their_times(
    tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    frames = noise(30)
    path = write_video(tmp_path / name, frames, options=options)
    batch, report = read_media(path)
    assert np.abs(batch.images.astype(int) - frames).max() <= COLOUR_TOLERANCE
    assert batch.pts_ms.tolist() == [40 * number for number in range(30)]
    assert batch.frame_index.tolist() == list(range(30))
    assert (report.duration_ms, report.frames_decoded, report.damage) == (1200, 30, None)
    assert_shares_tile(batch, 1200)


@pytest.mark.parametrize(
    "sampling",
    [Sampling.even(7), Sampling.even(30), Sampling.every(130), Sampling.every(40), Sampling.at([70, 79, 1100])],
)
def test_samples_are_frames_of_the_whole(tmp_path: Path, sampling: Sampling) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30))
    whole, _ = read_media(path)
    batch, report = read_media(path, sampling)
    assert np.array_equal(batch.images, whole.images[batch.frame_index])
    assert np.array_equal(batch.pts_ms, whole.pts_ms[batch.frame_index])
    assert_shares_tile(batch, report.duration_ms)


def test_every_takes_the_frames_shown_at_its_times(tmp_path: Path) -> None:
    batch, _ = read_media(write_video(tmp_path / "a.mp4", noise(30)), Sampling.every(100))
    assert batch.frame_index.tolist() == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22, 25, 27]


def test_of_named_times_only_the_stretches_that_show_them_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mp4", noise(240), options=H264)
    monkeypatch.setattr(films, "_decoded_whole", lambda *_: pytest.fail("everything was decoded"))
    batch, _ = read_media(path, Sampling.at([1230, 1999, 50]))
    assert (batch.frame_index.tolist(), batch.pts_ms.tolist()) == ([1, 30, 49], [40, 1200, 1960])


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("sampling", [Sampling.even(5), Sampling.even(12), Sampling.every(900)])
def test_seeking_gives_the_same_frames_as_decoding_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sampling: Sampling
) -> None:
    path = write_video(tmp_path / name, noise(240), options=H264)
    whole, report_of_whole = read_media(path, sampling)
    monkeypatch.setattr(films, "CHILD_COST_PIXELS", 1)
    monkeypatch.setattr(films, "MAX_SOUGHT_PART", 2.0)
    monkeypatch.setattr(films, "_decoded_whole", lambda *_: pytest.fail("everything was decoded"))
    sought, report = read_media(path, sampling)
    assert same(whole, sought)
    assert report == report_of_whole


def test_more_frames_than_the_buffer_holds_stream_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", noise(60))
    whole, _ = read_media(path, Sampling.even(25))
    monkeypatch.setattr(films, "_decoded_whole", lambda *_: pytest.fail("frames were collected"))
    streamed, _ = read_media(path, Sampling.even(25), DecodeLimits(buffer_bytes=10_000, batch_bytes=20_000))
    assert same(whole, streamed)


def test_a_video_that_begins_late_or_has_sound_before_counts_from_its_first_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30), options=(*H264, "-output_ts_offset", "3.5"))
    batch, report = read_media(path, Sampling.even(6))
    assert batch.pts_ms[0] == 80
    assert report.duration_ms == 1200


def test_a_variable_rate_keeps_presentation_times_and_the_last_frames_duration(tmp_path: Path) -> None:
    frames = noise(4)
    times = ("-vf", "setpts='if(eq(N,0),0,if(eq(N,1),10,if(eq(N,2),11,40)))/(25*TB)'", "-fps_mode", "vfr")
    batch, report = read_media(write_video(tmp_path / "a.mp4", frames, before=times))
    assert batch.pts_ms.tolist() == [0, 400, 440, 1600]
    assert batch.shown_ms[:3].tolist() == [400, 40, 1160]
    assert report.duration_ms is not None
    assert report.duration_ms > 1600


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_video_is_turned_as_players_turn_it(tmp_path: Path, degrees: int) -> None:
    frames = noise(12)
    plain = write_video(tmp_path / "plain.mp4", frames)
    turned = tmp_path / "turned.mp4"
    subprocess.run(
        [ffmpeg_path(), "-v", "error", "-display_rotation", str(degrees), "-i", plain, "-c", "copy", turned], check=True
    )
    for sampling in (Sampling.all(), Sampling.even(4)):
        batch, report = read_media(turned, sampling)
        expected = np.rot90(frames[batch.frame_index], degrees // 90, axes=(1, 2))
        assert np.abs(batch.images.astype(int) - expected).max() <= COLOUR_TOLERANCE
        assert (report.height_px, report.width_px) == expected.shape[1:3]


def test_repeated_pictures_of_a_video_are_one_frame_each(tmp_path: Path) -> None:
    slides = noise(5)
    path = write_video(tmp_path / "a.mp4", slides.repeat(10, axis=0))
    for sampling in (Sampling.even(20), Sampling.all(), Sampling.every(400)):
        batch, report = read_media(path, sampling)
        assert batch.frame_index.tolist() == [0, 10, 20, 30, 40]
        assert batch.shown_ms.tolist() == [400] * 5
        assert (report.frames_decoded, report.frames_distinct) == (50, 5)


def test_a_short_picture_between_long_ones_is_not_missed(tmp_path: Path) -> None:
    slides = noise(3)
    frames = np.concatenate([slides[:1].repeat(50, axis=0), slides[1:2], slides[2:].repeat(70, axis=0)])
    batch, _ = read_media(write_video(tmp_path / "a.mp4", frames), Sampling.even(5))
    assert batch.frame_index.tolist() == [0, 50, 51]
    assert np.abs(batch.images.astype(int) - slides).max() <= COLOUR_TOLERANCE


def test_repeats_between_sought_samples_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(films, "CHILD_COST_PIXELS", 1)
    monkeypatch.setattr(films, "MAX_SOUGHT_PART", 2.0)
    path = write_video(tmp_path / "a.mp4", noise(2).repeat(40, axis=0))
    batch, report = read_media(path, Sampling.even(10))
    assert len(batch) == 2
    assert_shares_tile(batch, report.duration_ms)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_cut_video_gives_the_frames_before_the_cut_and_says_so(tmp_path: Path, name: str) -> None:
    options = (*H264, "-movflags", "+faststart") if name == "a.mp4" else H264
    content = write_video(tmp_path / name, noise(60), options=options).read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(content[: len(content) * 2 // 3])
    for sampling in (Sampling.all(), Sampling.even(10)):
        batch, report = read_media(cut, sampling)
        assert report.damage
        assert 20 < report.frames_decoded < 60
        assert_shares_tile(batch, report.duration_ms)


def test_a_video_cut_before_its_index_is_undecodable(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mp4", noise(20)).read_bytes()
    (tmp_path / "b.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(UndecodableMediaError, match="no index"):
        read_media(tmp_path / "b.mp4")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (DecodeLimits(max_frames=10), "more than 10 frames"),
        (DecodeLimits(max_duration_ms=500), r"more than 0\.5 s"),
        (DecodeLimits(max_pixels=64 * 47), "pixels"),
    ],
)
def test_a_video_over_a_limit_is_refused_under_every_policy(tmp_path: Path, limits: DecodeLimits, reason: str) -> None:
    path = write_video(tmp_path / "a.mp4", noise(30))
    for sampling in (Sampling.all(), Sampling.even(3), Sampling.every(200)):
        with pytest.raises(MediaTooLargeError, match=reason):
            read_media(path, sampling, limits)

"""Pictures and animations, drawn with known truth, through the decoder child."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media import DecodeLimits, LocalMedia, Sampling, sample_frames
from annotator.types import FrameBatch, MediaRef
from tests.media_factory import BLACK, BLUE, GREEN, PALETTE, RED, WHITE, GifPart, composed, flat, gif_bytes
from tests.media_factory import read_media as read

# A JPEG or WebP is unpacked by another program than the one that it is compared with.
LOSSY_TOLERANCE = 6


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def colours_of(batch: FrameBatch) -> list[tuple[int, ...]]:
    return [tuple(image[0, 0].tolist()) for image in batch.images]


def rgb(*indices: int) -> list[tuple[int, ...]]:
    return [tuple(PALETTE[index].tolist()) for index in indices]


def test_delays_of_a_gif_are_those_of_a_browser(tmp_path: Path) -> None:
    delays = [0, 1, 2, 3, 50, None, 7]
    parts = [GifPart(flat(10 + number), delay) for number, delay in enumerate(delays)]
    batch, report = read(write(tmp_path, "a.gif", gif_bytes(parts)))
    assert batch.shown_ms.tolist() == [100, 100, 20, 30, 500, 100, 70]
    assert batch.pts_ms.tolist() == [0, 100, 200, 220, 250, 750, 850]
    assert colours_of(batch) == rgb(*range(10, 17))
    assert (report.duration_ms, report.frames_decoded, report.damage) == (920, 7, None)


def test_a_repeated_frame_adds_time_and_is_not_new(tmp_path: Path) -> None:
    colours = [RED, RED, BLUE, RED, RED, RED]
    path = write(tmp_path, "a.gif", gif_bytes([GifPart(flat(colour), 10) for colour in colours]))
    for sampling in (Sampling.all(), Sampling.even(20), Sampling.every(100)):
        batch, report = read(path, sampling)
        assert batch.frame_index.tolist() == [0, 2, 3]
        assert batch.shown_ms.tolist() == [200, 100, 300]
        assert (report.frames_decoded, report.frames_distinct) == (6, 3)


def test_a_gif_of_one_frame_has_no_duration(tmp_path: Path) -> None:
    for sampling in (Sampling.all(), Sampling.even(20), Sampling.every(100)):
        batch, report = read(write(tmp_path, "a.gif", gif_bytes([GifPart(flat(BLUE), 30)])), sampling)
        assert len(batch) == 1
        assert report.duration_ms is None
        assert batch.shown_ms.tolist() == [0]


@st.composite
def gifs(draw: st.DrawFn) -> list[GifPart]:
    def part() -> GifPart:
        x, y = draw(st.integers(0, 15)), draw(st.integers(0, 11))
        width, height = draw(st.integers(1, 16 - x)), draw(st.integers(1, 12 - y))
        colours = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 6, (height, width), dtype=np.uint8)
        return GifPart(
            colours,
            draw(st.integers(0, 20)),
            (x, y),
            draw(st.integers(0, 3)),
            draw(st.none() | st.integers(0, 5)),
            draw(st.booleans()),
        )

    return [part() for _ in range(draw(st.integers(1, 6)))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=gifs(), background=st.integers(0, 5))
def test_any_gif_is_composed_as_a_browser_shows_it_on_a_white_page(
    tmp_path: Path, parts: list[GifPart], background: int
) -> None:
    expected = composed(parts, size_wh=(16, 12))
    batch, report = read(write(tmp_path, "a.gif", gif_bytes(parts, background=background)))
    assert report.damage is None
    assert report.frames_decoded == len(parts)
    for image, index in zip(batch.images, batch.frame_index.tolist(), strict=True):
        assert np.array_equal(image, expected[index])


def test_disposing_to_the_background_shows_white_whatever_the_background_colour(tmp_path: Path) -> None:
    parts = [
        GifPart(flat(BLUE), disposal=1),
        GifPart(flat(GREEN, 8, 6), disposal=2),
        GifPart(flat(BLACK, 2, 2), at_xy=(14, 10)),
    ]
    batch, _ = read(write(tmp_path, "a.gif", gif_bytes(parts, background=RED)))
    assert colours_of(batch) == rgb(BLUE, GREEN, WHITE)


@pytest.mark.parametrize("frames", [1, 3, 10, 39, 40, 60])
def test_a_clip_larger_than_the_buffer_gives_the_same_samples_by_a_second_run(tmp_path: Path, frames: int) -> None:
    parts = [GifPart(flat(5 + number % 100), 1 + number % 7) for number in range(40)]
    path = write(tmp_path, "a.gif", gif_bytes(parts))
    once, report = read(path, Sampling.even(frames))
    twice, report_of_two = read(path, Sampling.even(frames), DecodeLimits(buffer_bytes=2000))
    for name in ("images", "frame_index", "pts_ms", "from_ms", "shown_ms"):
        assert np.array_equal(getattr(once, name), getattr(twice, name))
    assert report == report_of_two
    assert len(once) == min(frames, 40)


def test_batches_are_bounded(tmp_path: Path) -> None:
    path = write(tmp_path, "a.gif", gif_bytes([GifPart(flat(5 + number)) for number in range(10)]))
    local = LocalMedia(MediaRef("a", ""), path, 0, "")
    for batch_bytes, sizes in ((3 * 576, [3, 3, 3, 1]), (1, [1] * 10)):
        limits = DecodeLimits(batch_bytes=batch_bytes)
        with sample_frames(local, sampling=Sampling.all(), limits=limits) as frames:
            assert [len(batch) for batch in frames] == sizes


def test_transparency_of_stills_is_composed_over_white(tmp_path: Path) -> None:
    rgba = np.random.default_rng(3).integers(0, 256, (40, 30, 4), dtype=np.uint8)
    picture = Image.fromarray(rgba)
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    expected = np.asarray(Image.alpha_composite(white, picture).convert("RGB")).astype(int)
    picture.save(tmp_path / "a.png")
    picture.save(tmp_path / "b.webp", lossless=True, exact=True)
    for name in ("a.png", "b.webp"):
        batch, report = read(tmp_path / name)
        assert np.abs(batch.images[0] - expected).max() <= 1
        assert report.duration_ms is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_photograph_is_upright_whatever_its_exif_says(tmp_path: Path, kind: str, orientation: int) -> None:
    blocks = np.random.default_rng(4).integers(0, 256, (3, 5, 3), dtype=np.uint8).repeat(16, axis=0).repeat(16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(blocks).save(tmp_path / "a", kind, exif=exif, quality=100, subsampling=0, lossless=True)
    with Image.open(tmp_path / "a") as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    batch, report = read(tmp_path / "a")
    assert batch.images.shape[1:] == expected.shape
    assert np.abs(batch.images[0] - expected).max() <= LOSSY_TOLERANCE
    assert (report.height_px, report.width_px) == expected.shape[:2]


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animated_png_and_webp_are_clips_with_the_delays_of_a_browser(tmp_path: Path, kind: str) -> None:
    pictures = [Image.new("RGBA", (20, 10), (40 * number, 0, 0, 255)) for number in range(5)]
    path = tmp_path / "a"
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    pictures[0].save(path, kind, save_all=True, append_images=pictures[1:], duration=[10, 40, 100, 250, 11], **options)
    batch, report = read(path)
    assert batch.shown_ms.tolist() == [100, 40, 100, 250, 11]
    assert [image[0, 0, 0] for image in batch.images] == [0, 40, 80, 120, 160]
    assert report.duration_ms == 501


def test_transparent_animations_are_composed_over_white(tmp_path: Path) -> None:
    pictures = [Image.new("RGBA", (20, 10), (0, 0, 0, 0)), Image.new("RGBA", (20, 10), (0, 0, 255, 128))]
    for kind, options in (("PNG", {"disposal": 1}), ("WEBP", {"lossless": True, "exact": True})):
        pictures[0].save(tmp_path / kind, kind, save_all=True, append_images=pictures[1:], duration=100, **options)
        batch, _ = read(tmp_path / kind)
        assert colours_of(batch)[0] == (255, 255, 255)
        assert np.abs(batch.images[1, 0, 0].astype(int) - (127, 127, 255)).max() <= 1


def test_only_the_first_picture_of_a_file_with_several_jpegs_is_read(tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (250, 0, 0)).save(out, "JPEG")
    Image.new("RGB", (8, 8), (0, 250, 0)).save(out, "JPEG")
    batch, _ = read(write(tmp_path, "a.jpg", out.getvalue()))
    assert batch.images.shape == (1, 32, 32, 3)


def test_a_picture_of_one_pixel_is_read(tmp_path: Path) -> None:
    batch, _ = read(write(tmp_path, "a.gif", gif_bytes([GifPart(flat(BLUE, 1, 1))], size_wh=(1, 1))))
    assert batch.images.tolist() == [[[[0, 0, 255]]]]


def test_a_gif_cut_anywhere_gives_the_frames_before_the_cut_and_says_so(tmp_path: Path) -> None:
    parts = [GifPart(flat(5 + number, 64, 64)) for number in range(6)]
    content = gif_bytes(parts, size_wh=(64, 64))
    for share in (0.3, 0.5, 0.7, 0.95):
        batch, report = read(write(tmp_path, "a.gif", content[: int(len(content) * share)]))
        assert report.damage is not None
        assert "ends too early" in report.damage
        whole = int(6 * share) - 1
        assert colours_of(batch)[:whole] == rgb(*range(5, 5 + whole))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_with_too_many_pixels_is_refused(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (300, 200)).save(tmp_path / "a", kind)
    with pytest.raises(MediaTooLargeError, match="more than 50000 pixels"):
        read(tmp_path / "a", limits=DecodeLimits(max_pixels=50_000))


def test_a_file_that_only_begins_like_a_picture_is_undecodable_and_the_reason_has_no_addresses(tmp_path: Path) -> None:
    for magic in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x20\0\0\0WEBPVP8 ", b"GIF89a\x08\0\x08\0\0\0\0,"):
        with pytest.raises(UndecodableMediaError) as caught:
            read(write(tmp_path, "a", magic + bytes(range(64))))
        assert "@ 0x" not in str(caught.value)


def test_an_animation_is_decoded_as_far_as_the_last_time_that_was_named(tmp_path: Path) -> None:
    parts = [GifPart(flat(2 + number % 3), delay_cs=10) for number in range(2000)]
    batch, report = read(write(tmp_path, "a.gif", gif_bytes(parts)), Sampling.at([350, 120]))
    assert (batch.frame_index.tolist(), batch.pts_ms.tolist()) == ([1, 3], [100, 300])
    assert report.frames_decoded < len(parts)
    assert report.damage is None

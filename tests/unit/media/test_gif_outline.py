"""Our own look at GIFs."""

import io
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import LocalDiskError, MediaTooLargeError, UndecodableMediaError
from annotator.media import gif
from annotator.media.gif import GifOutline, check_gif, rewritten, walk_gif
from tests.media_factory import BLUE, GREEN, GifPart, flat, gif_bytes

THREE = gif_bytes([GifPart(flat(BLUE), 0), GifPart(flat(GREEN), 1), GifPart(flat(BLUE, 4, 4), 2, (8, 8), 2)])


def outline_of(content: bytes) -> GifOutline:
    return walk_gif(io.BytesIO(content), max_frames=100)


def check(content: bytes, *, max_pixels: int = 10_000, max_frames: int = 100) -> None:
    outline = walk_gif(io.BytesIO(content), max_frames=max_frames)
    check_gif(outline, name="a.gif", max_pixels=max_pixels, max_frames=max_frames)


def test_the_outline_tells_rectangles_disposal_and_delays_as_browsers_show_them() -> None:
    outline = outline_of(THREE)
    assert (outline.width_px, outline.height_px, outline.damage) == (16, 12, None)
    assert [frame.shown_ms for frame in outline.frames] == [100, 100, 20]
    last = outline.frames[2]
    assert (last.x, last.y, last.width_px, last.height_px, last.disposal) == (8, 8, 4, 4, 2)


def test_a_delay_belongs_to_one_frame_only() -> None:
    outline = outline_of(gif_bytes([GifPart(flat(BLUE), 50), GifPart(flat(GREEN), None)]))
    assert [frame.shown_ms for frame in outline.frames] == [500, 100]


@given(st.integers(0, len(THREE) - 1))
def test_wherever_a_gif_is_cut_the_outline_says_so_or_refuses(length: int) -> None:
    try:
        outline = outline_of(THREE[:length])
    except UndecodableMediaError:
        assert length < 13 + 3 * 128
    else:
        assert outline.damage is not None
        assert len(outline.frames) <= 3


@given(st.binary(max_size=300))
def test_no_bytes_after_the_header_break_the_walk(rubbish: bytes) -> None:
    outline = outline_of(b"GIF89a" + struct.pack("<HHBBB", 8, 8, 0, 0, 0) + rubbish)
    assert len(outline.frames) <= 30


def test_a_canvas_without_area_and_a_gif_without_frames_are_undecodable() -> None:
    with pytest.raises(UndecodableMediaError, match="0 x 12"):
        check(gif_bytes([GifPart(flat(BLUE))], size_wh=(0, 12)))
    with pytest.raises(UndecodableMediaError, match="no frame"):
        check(gif_bytes([]))


def test_a_large_canvas_and_a_frame_far_outside_are_too_large() -> None:
    with pytest.raises(MediaTooLargeError, match="60000 x 60000"):
        check(gif_bytes([GifPart(flat(BLUE))], size_wh=(60000, 60000)))
    with pytest.raises(MediaTooLargeError, match="65016 x 12"):
        check(gif_bytes([GifPart(flat(BLUE), at_xy=(65000, 0))]))


def test_the_walk_ends_soon_after_too_many_frames() -> None:
    content = gif_bytes([GifPart(flat(BLUE, 1, 1))] * 50)
    assert len(walk_gif(io.BytesIO(content), max_frames=10).frames) == 11
    with pytest.raises(MediaTooLargeError, match="more than 10 frames"):
        check(content, max_frames=10)


@pytest.mark.parametrize(
    ("part", "needed"),
    [
        (GifPart(flat(BLUE)), False),
        (GifPart(flat(BLUE), disposal=1), False),
        (GifPart(flat(BLUE), disposal=2), True),
        (GifPart(flat(BLUE, 8, 8)), True),
        (GifPart(flat(BLUE), at_xy=(1, 0)), True),
        (GifPart(flat(BLUE), None), False),
    ],
)
def test_only_gifs_whose_canvas_shows_through_are_rewritten(part: GifPart, needed: bool) -> None:  # noqa: FBT001
    assert outline_of(gif_bytes([part])).needs_rewriting == needed


def test_the_copy_has_the_same_frames_and_a_white_background() -> None:
    parts = [GifPart(flat(BLUE), disposal=2), GifPart(flat(GREEN), has_own_palette=True), GifPart(flat(BLUE, 3, 2))]
    file = io.BytesIO(gif_bytes(parts))
    outline = walk_gif(file, max_frames=100)
    with rewritten(file, outline, name="a.gif") as copy:
        copied = walk_gif(copy, max_frames=100)
    assert copied.palette == b"\xff" * 6
    assert copied.damage is None
    assert all(frame.has_palette for frame in copied.frames)
    for ours, theirs in zip(outline.frames, copied.frames, strict=True):
        assert (ours.delay_cs, ours.disposal, ours.width_px) == (theirs.delay_cs, theirs.disposal, theirs.width_px)


def test_a_gif_in_which_only_some_frames_have_a_control_extension_is_rewritten() -> None:
    file = io.BytesIO(gif_bytes([GifPart(flat(BLUE), 70), GifPart(flat(GREEN), None), GifPart(flat(BLUE), 5)]))
    outline = walk_gif(file, max_frames=100)
    assert outline.needs_rewriting
    with rewritten(file, outline, name="a.gif") as copy:
        copied = walk_gif(copy, max_frames=100)
    assert [frame.shown_ms for frame in copied.frames] == [700, 100, 50]
    assert all(frame.has_control for frame in copied.frames)


def place_of_copy(content: bytes) -> str:
    file = io.BytesIO(content)
    with rewritten(file, walk_gif(file, max_frames=100), name="a.gif") as copy:
        return str(Path(f"/proc/self/fd/{copy.fileno()}").readlink())


def test_a_copy_that_is_long_lies_on_the_disk_and_is_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = gif_bytes([GifPart(flat(BLUE), disposal=2), GifPart(flat(GREEN), None)])
    growth = 2 * 384 + 8 + 6 - 384  # two palettes of their own, a control extension; two whites for the global palette
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gif, "MAX_MEMORY_BYTES", len(content) + growth)
    assert place_of_copy(content).startswith("/memfd:")
    monkeypatch.setattr(gif, "MAX_MEMORY_BYTES", len(content) + growth - 1)
    assert place_of_copy(content).startswith(f"{tmp_path}/")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_room_for_a_copy_is_no_fault_of_the_gif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    monkeypatch.setattr(gif, "MAX_MEMORY_BYTES", 0)
    with pytest.raises(LocalDiskError, match="make room"):
        place_of_copy(gif_bytes([GifPart(flat(BLUE), disposal=2)]))


def test_palettes_that_make_a_copy_far_longer_than_its_gif_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    content = gif_bytes([GifPart(flat(BLUE, 1, 1), None, disposal=2)] * 50)
    monkeypatch.setattr(gif, "MAX_GROWTH_BYTES", 10_000)
    with pytest.raises(MediaTooLargeError, match=r"a\.gif has so many frames .* 19222 bytes"):
        place_of_copy(content)


def test_frames_without_any_palette_get_none_by_the_copy() -> None:
    content = bytearray(gif_bytes([GifPart(flat(BLUE), disposal=2)]))
    content[10] &= 0x7F
    del content[13 : 13 + 3 * 128]
    assert not outline_of(bytes(content)).needs_rewriting


def test_a_large_gif_has_the_outline_of_a_small_one_wherever_a_chunk_of_its_file_ends() -> None:
    header, frames = THREE[: 13 + 3 * 128], THREE[13 + 3 * 128 : -1]
    chunk = 1 << 18  # so much is read at once
    comment = b"\x21\xfe" + (b"\xff" + b"c" * 255) * ((chunk - len(header) - len(frames)) // 256) + b"\0"
    alone = [(one.x, one.width_px, one.delay_cs, one.has_control) for one in outline_of(THREE).frames]
    for shift in range(0, len(frames) + 256, 3):
        content = header + comment + b"\0" * shift + frames + b"\x21\xfe\1c\0"
        outline = outline_of(content + b"\x3b")
        assert outline.damage is None
        assert [(one.x, one.width_px, one.delay_cs, one.has_control) for one in outline.frames] == alone
        assert [content[one.descriptor_at] for one in outline.frames] == [0x2C] * 3
        assert outline_of(content[:-1]).damage == outline_of(content).damage == "the file ends too early, at frame 3"

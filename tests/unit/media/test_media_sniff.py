"""Recognising media by content."""

import io
import struct

import pytest

from annotator.errors import UndecodableMediaError, UnsupportedMediaError
from annotator.media.sniff import exif_orientation, looks_like_media, sniff

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + b"\0\0\0\0"


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def box(name: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 8 + len(data)) + name + data


def tiff(value: int, order: str = "<") -> bytes:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IHHHIHH", 8, 1, 0x0112, 3, 1, value, 0)


@pytest.mark.parametrize(
    ("content", "demuxer", "kind"),
    [
        (b"GIF89a" + bytes(20), "gif", "animation"),
        (b"GIF87a" + bytes(20), "gif", "animation"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "jpeg_pipe", "still"),
        (PNG + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b"x"), "png_pipe", "still"),
        (PNG + chunk(b"IHDR", bytes(13)) + chunk(b"acTL", bytes(8)) + chunk(b"IDAT", b"x"), "apng", "animation"),
        (PNG + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b"x") + chunk(b"acTL", bytes(8)), "png_pipe", "still"),
        (riff((b"VP8 ", b"abc")), "webp_pipe", "still"),
        (riff((b"VP8X", bytes(10)), (b"VP8L", b"ab")), "webp_pipe", "still"),
        (riff((b"VP8X", b"\x02" + bytes(9)), (b"ANIM", bytes(6))), "webp_anim", "animation"),
        (box(b"ftyp", b"isom") + box(b"free") + box(b"moov", b"x"), "mov", "video"),
        (box(b"mdat", b"abc") + box(b"moov"), "mov", "video"),
        (b"\x1aE\xdf\xa3" + bytes(20), "matroska", "video"),
    ],
)
def test_content_decides_the_demuxer(content: bytes, demuxer: str, kind: str) -> None:
    form = sniff(io.BytesIO(content), name="a.txt")
    assert (form.demuxer, form.kind) == (demuxer, kind)
    assert looks_like_media(content[:64])


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\nfile:///etc/passwd",
        b"ffconcat version 1.0\nfile /etc/hostname",
        b"RIFF\0\0\0\0AVI LIST",
        b"OggS\0",
        b"II*\0abcd",
        box(b"ftyp", b"heic"),
        box(b"ftyp", b"avif"),
    ],
)
def test_what_is_known_but_not_read_is_unsupported(content: bytes) -> None:
    with pytest.raises(UnsupportedMediaError, match="not read"):
        sniff(io.BytesIO(content), name="a.gif")


@pytest.mark.parametrize(
    "content",
    [b"", b"G", b"\x7fELF\x02\x01", b"hello world, a text", box(b"ftyp", b"isom"), box(b"ftyp") + b"\0\0\1\0moov"],
)
def test_what_is_no_media_or_has_no_index_is_undecodable(content: bytes) -> None:
    with pytest.raises(UndecodableMediaError):
        sniff(io.BytesIO(content), name="a.gif")


@pytest.mark.parametrize("size", [0, 1, 7, 0xFFFFFFFF])
def test_boxes_of_impossible_size_end_the_search(size: int) -> None:
    with pytest.raises(UndecodableMediaError):
        sniff(io.BytesIO(box(b"ftyp", b"isom") + struct.pack(">I", size) + b"free" + b"\xff" * 40), name="a.mp4")


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_read_with_and_without_prefix_in_both_byte_orders(prefix: bytes, order: str) -> None:
    for value in range(1, 9):
        assert exif_orientation(prefix + tiff(value, order)) == value


@pytest.mark.parametrize(
    "exif",
    [b"", b"Exif\0\0", b"II*\0", tiff(9), tiff(0), tiff(6)[:12], b"II*\0\xff\xff\xff\xff\xff", b"XX*\0" + tiff(6)[4:]],
)
def test_orientation_that_cannot_be_read_is_none(exif: bytes) -> None:
    assert exif_orientation(exif) is None


def test_a_webp_is_turned_by_its_exif() -> None:
    still = riff((b"VP8X", bytes(10)), (b"VP8L", b"abc"), (b"EXIF", b"Exif\0\0" + tiff(6)))
    assert sniff(io.BytesIO(still), name="a").orientation == 6

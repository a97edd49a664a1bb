"""What a file is, by its content. The answer names the one demuxer that the decoder may use."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from annotator.errors import UndecodableMediaError, UnsupportedMediaError

Kind = Literal["still", "animation", "video"]

HEAD_BYTES = 64
# Chunks before the picture data of a PNG, or of a WebP, that are looked at; a real file has about ten.
MAX_CHUNKS = 1000
# No file is longer; beyond it a seek fails.
MAX_FILE_OFFSET = 1 << 62
# Bit of the VP8X chunk of a WebP that says that an animation follows.
ANIMATION_FLAG = 0x02
# The orientation that EXIF counts as upright.
UPRIGHT = 1

READ_FORMATS = "JPEG, PNG, WebP, GIF, APNG, mp4, mov, webm or mkv"

# Formats that are recognised in order to say so.
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"#EXTM3U", "a playlist that names other files"),
    (0, b"ffconcat", "a playlist that names other files"),
    (0, b"<?xml", "an XML document"),
    (0, b"<MPD", "a playlist that names other files"),
    (0, b"FLV\x01", "a Flash video"),
    (0, b"OggS", "an Ogg file"),
    (8, b"AVI ", "an AVI file"),
    (8, b"WAVE", "a sound file"),
    (0, b"ID3", "a sound file"),
    (0, b"fLaC", "a sound file"),
    (0, b"\x00\x00\x01\xba", "an MPEG program stream"),
    (0, b"\x30\x26\xb2\x75", "a Windows Media file"),
    (0, b"II*\x00", "a TIFF picture"),
    (0, b"MM\x00*", "a TIFF picture"),
    (0, b"%PDF-", "a PDF document"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
)
_ISO_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_PICTURE_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """What a media is.

    Attributes:
        name: for messages.
        kind: one picture, an animation of pictures that carry their delays, or a video with packets.
        demuxer: the only ffmpeg demuxer that may read it.
        has_alpha: whether its frames may be transparent and must be composed over white.
        orientation: EXIF orientation (1 to 8) where ffmpeg does not turn the picture itself, else None.

    """

    name: str
    kind: Kind
    demuxer: str
    has_alpha: bool = False
    orientation: int | None = None


_GIF = MediaFormat("GIF", "animation", "gif")
_JPEG = MediaFormat("JPEG", "still", "jpeg_pipe")
_PNG = MediaFormat("PNG", "still", "png_pipe", has_alpha=True)
_APNG = MediaFormat("APNG", "animation", "apng", has_alpha=True)
_ISO = MediaFormat("mp4 or mov", "video", "mov")
_MATROSKA = MediaFormat("webm or mkv", "video", "matroska")


def looks_like_media(head: bytes) -> bool:
    """Return whether a file that begins with these bytes claims to be of a format that is read."""
    return (
        head.startswith((b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"\x1aE\xdf\xa3"))
        or _is_webp(head)
        or head[4:8] in _ISO_BOXES
    )


def sniff(file: BinaryIO, *, name: str) -> MediaFormat:
    """Recognise a media by its content.

    Args:
        file: seekable, positioned anywhere.
        name: what messages call it.

    Raises:
        UnsupportedMediaError: recognised, but a format that is not read; playlists are among them.
        UndecodableMediaError: empty, or nothing known.

    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _GIF
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _APNG if _is_animated_png(file) else _PNG
    if head.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if _is_webp(head):
        return _webp(file)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return _MATROSKA
    if head[4:8] in _ISO_BOXES:
        if head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS:
            raise UnsupportedMediaError(f"{name} is a HEIF or AVIF picture, which is not read; convert it to JPEG.")
        if not _has_movie_box(file):
            raise UndecodableMediaError(f"{name} has no index, it is cut or still being written; fetch it anew.")
        return _ISO
    raise _refusal(head, name)


def _refusal(head: bytes, name: str) -> UnsupportedMediaError | UndecodableMediaError:
    if not head:
        return UndecodableMediaError(f"{name} is empty; fetch it anew.")
    for offset, magic, what in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return UnsupportedMediaError(f"{name} is {what}; that is not read: give {READ_FORMATS}.")
    return UndecodableMediaError(f"{name} is no picture or video by its content; give {READ_FORMATS}.")


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def _is_animated_png(file: BinaryIO) -> bool:
    """Whether an ``acTL`` chunk stands before the first ``IDAT``, as the APNG specification wants."""
    file.seek(8)
    for _ in range(MAX_CHUNKS):
        header = file.read(8)
        if len(header) < 8 or header[4:] == b"IDAT":
            return False
        if header[4:] == b"acTL":
            return True
        file.seek(struct.unpack(">I", header[:4])[0] + 4, 1)
    return False


def _has_movie_box(file: BinaryIO) -> bool:
    """Whether an mp4 or mov has its whole ``moov`` box, without which nothing can be decoded."""
    length = file.seek(0, 2)
    position = 0
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            return False
        size = int.from_bytes(header[:4])
        if size == 1:  # The real size follows as 64 bits.
            size = int.from_bytes(header[8:16])
        size = size or length - position  # 0: up to the end of the file.
        if header[4:8] == b"moov":
            return position + size <= length
        if size < 8 or position + size > MAX_FILE_OFFSET:
            return False
        position += size
    return True  # So many boxes come from a fragmented film; the decoder shall judge.


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield name and size of the chunks of a WebP, the file standing at the start of the chunk's data."""
    position = 12
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        header = file.read(8)
        if len(header) < 8:
            return
        size = struct.unpack("<I", header[4:])[0]
        yield header[:4], size
        position += 8 + size + size % 2


def _webp(file: BinaryIO) -> MediaFormat:
    orientation: int | None = None
    for name, size in _riff_chunks(file):
        if name == b"VP8X" and int.from_bytes(file.read(1)) & ANIMATION_FLAG:
            return MediaFormat("animated WebP", "animation", "webp_anim", has_alpha=True)
        if name == b"EXIF":
            # ffmpeg does not read EXIF that begins with "Exif\0\0", as many writers have it; so we turn WebP ourselves.
            orientation = exif_orientation(file.read(min(size, 65536)))
    return MediaFormat("WebP", "still", "webp_pipe", has_alpha=True, orientation=orientation or UPRIGHT)


def exif_orientation(exif: bytes) -> int | None:
    """Return the orientation tag (1 to 8) of the first directory of EXIF data, None where there is none.

    Args:
        exif: a TIFF header and directory, with or without ``Exif`` and two zeros before it.

    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    start = struct.unpack(f"{order}I", tiff[4:8])[0]
    count_bytes = tiff[start : start + 2]
    if len(count_bytes) < 2:
        return None
    for entry in range(struct.unpack(f"{order}H", count_bytes)[0]):
        field = tiff[start + 2 + 12 * entry : start + 14 + 12 * entry]
        if len(field) < 12:
            return None
        tag, _, _, value = struct.unpack(f"{order}HHIH", field[:10])
        if tag == 0x0112:
            return int(value) if 1 <= value <= 8 else None
    return None

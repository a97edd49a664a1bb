"""Media that break decoders: each gets what its row of odd.csv says."""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from annotator.errors import InputError, MediaTooLargeError, UndecodableMediaError, UnsupportedMediaError
from annotator.media import Sampling
from annotator.media.limits import MIB
from annotator.types import ClipReport, FrameBatch
from tests.media_factory import read_media

pytestmark = pytest.mark.shared

# What a decoder child may take for any of these small media.
MAX_PEAK_BYTES = 160 * MIB

Check = Callable[[FrameBatch, ClipReport], bool]

REFUSED: dict[str, type[InputError]] = {
    "decompression_bomb.gif": MediaTooLargeError,
    "decompression_bomb_extents.gif": MediaTooLargeError,
    "huge_dimensions.gif": MediaTooLargeError,
    "zero_width.gif": UndecodableMediaError,
    "empty.gif": UndecodableMediaError,
    "random_bytes.gif": UndecodableMediaError,
    "elf_binary.mp4": UndecodableMediaError,
    "header_only.mp4": UndecodableMediaError,
    "audio_only.mp4": UnsupportedMediaError,
    "playlist_reads_local_file.mp4": UnsupportedMediaError,
    "concat_reads_local_file.gif": UnsupportedMediaError,
}
READ: dict[str, Check] = {
    "truncated.gif": lambda batch, report: len(batch) >= 1 and report.damage is not None,
    "truncated.mp4": lambda batch, report: len(batch) == report.frames_decoded == 85 and report.damage is not None,
    "rotated_90.mp4": lambda batch, _: batch.images.shape[1:3] == (640, 360),
    "variable_rate.mp4": lambda batch, report: (
        batch.pts_ms[:5].tolist() == [0, 33, 100, 133, 200] and report.duration_ms == 1168
    ),
    "ten_bit_hevc.mp4": lambda batch, _: len(batch) == 35 and batch.images.std() > 20,
    "odd_dimensions.mp4": lambda batch, _: batch.images.shape == (5, 135, 241, 3),
    "single_frame.gif": lambda batch, report: len(batch) == 1 and report.duration_ms is None,
    "hopper.gif": lambda batch, report: len(batch) == 1 and report.duration_ms is None,
    "animated.webp": lambda batch, report: len(batch) == 7 and report.duration_ms == 700,
    "iss634.apng": lambda batch, _: len(batch) == 41,
    "iss634.gif": lambda batch, _: len(batch) == 42,
    "dispose_bgnd.gif": lambda batch, _: batch.images[2, 15, 10].tolist() == [255, 255, 255],
    "dispose_prev.gif": lambda batch, _: np.array_equal(batch.images[2, 15, 10], batch.images[0, 15, 10]),
    "transparent.gif": lambda batch, _: batch.images[0, 0, 0].tolist() == [255, 255, 255],
    "duplicate_frame.gif": lambda batch, report: (
        batch.shown_ms.tolist() == [1000, 2000] and (report.frames_decoded, report.frames_distinct) == (3, 2)
    ),
    "background_outside_palette.gif": lambda batch, _: len(batch) >= 1,
}


def listed(shared_data: Path) -> set[str]:
    with (shared_data / "odd" / "odd.csv").open(newline="") as file:
        return {row["file"] for row in csv.DictReader(file)}


def test_every_row_of_the_list_is_expected_here(shared_data: Path) -> None:
    assert listed(shared_data) == set(REFUSED) | set(READ)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_or_must_not_be_read_is_refused_with_a_reason(shared_data: Path, name: str) -> None:
    with pytest.raises(REFUSED[name]) as caught:
        read_media(shared_data / "odd" / name)
    assert type(caught.value) is REFUSED[name]
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(READ))
def test_what_can_be_read_is_read_as_a_browser_shows_it(shared_data: Path, name: str) -> None:
    batch, report = read_media(shared_data / "odd" / name)
    assert READ[name](batch, report)
    if name not in {"truncated.gif", "truncated.mp4"}:
        assert report.damage is None


@pytest.mark.parametrize("sampling", [Sampling.all(), Sampling.even(20), Sampling.every(100)], ids=lambda s: s.kind)
def test_every_odd_file_is_read_or_refused_under_every_policy(shared_data: Path, sampling: Sampling) -> None:
    read = 0
    for path in sorted((shared_data / "odd").iterdir()):
        try:
            batch, report = read_media(path, sampling)
        except (MediaTooLargeError, UndecodableMediaError, UnsupportedMediaError):
            continue
        assert batch.shown_ms.sum() == (report.duration_ms or 0)
        read += 1
    assert read > 40


# Linux counts the memory of a child's parent before exec as the child's: so we measure below a small parent.
MEASURE = """
import json, sys
from pathlib import Path
from annotator.errors import InputError
from annotator.media import DecodeLimits, LocalMedia, Sampling, sample_frames
from annotator.types import MediaRef
peaks = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    local = LocalMedia(MediaRef(path.name, ""), path, 0, "")
    try:
        with sample_frames(local, sampling=Sampling.even(20), limits=DecodeLimits()) as frames:
            list(frames)
    except InputError:
        continue
    peaks[path.name] = frames.peak_bytes
print(json.dumps(peaks))
"""


def test_the_decoder_stays_small_on_every_odd_file(shared_data: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(shared_data / "odd")], capture_output=True, check=True, timeout=120
    )
    peaks: dict[str, int] = json.loads(run.stdout)
    largest = max(peaks, key=peaks.__getitem__)
    print(f"largest decoder: {peaks[largest] / MIB:.0f} MiB for {largest}")  # noqa: T201 (asked for, shown with -s)
    assert len(peaks) > 40
    assert peaks[largest] < MAX_PEAK_BYTES

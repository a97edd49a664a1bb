"""A media may not hold a decoding thread for longer than its claim lasts."""

from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import pytest

from annotator import build
from annotator.build import MediaSource
from annotator.errors import DeadlineError, DecodeTimeoutError
from annotator.media import DecodeLimits, FetchLimits, MediaReader, Sampling
from annotator.types import FrameBatch, MediaRef
from tests.media_factory import GifPart, flat, gif_bytes

FRAMES = 6


@pytest.fixture
def media(tmp_path: Path) -> MediaRef:
    path = tmp_path / "clip.gif"
    path.write_bytes(gif_bytes([GifPart(flat(number % 2), delay_cs=10) for number in range(FRAMES)]))
    return MediaRef(path.name, path.as_uri())


def source(limit_s: float) -> MediaSource:
    limits = DecodeLimits(batch_bytes=1)
    reader = MediaReader(fetch=FetchLimits(), decode=limits)
    return MediaSource(reader, Sampling.all(), limits, time_limit_s=lambda _name, _size_bytes: limit_s)


def test_a_media_in_time_is_decoded_to_its_end(media: MediaRef) -> None:
    with source(60.0).open(media) as frames:
        assert sum(len(batch) for batch in frames) == FRAMES


def test_a_media_that_takes_too_long_is_given_up_and_may_be_tried_again(
    media: MediaRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = chain([0.0, 10.0, 59.0], repeat(61.0))  # opened, first frame, second frame, too late
    monkeypatch.setattr(build, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    taken: list[FrameBatch] = []
    with source(60.0).open(media) as frames, pytest.raises(DeadlineError, match="give workers more time"):
        taken.extend(iter(frames))
    assert len(taken) == 2


def test_a_decoder_gets_a_part_of_the_time(media: MediaRef) -> None:
    with source(1e-9).open(media) as frames, pytest.raises(DecodeTimeoutError):
        list(frames)


def test_small_media_and_films_have_their_own_time(media: MediaRef) -> None:
    asked: list[tuple[str, int]] = []

    def limit_s(name: str, size_bytes: int) -> float:
        asked.append((name, size_bytes))
        return 60.0

    limits = DecodeLimits()
    reader = MediaReader(fetch=FetchLimits(), decode=limits)
    with MediaSource(reader, Sampling.all(), limits, time_limit_s=limit_s).open(media) as frames:
        list(frames)
    assert asked == [("clip.gif", Path(media.uri.removeprefix("file://")).stat().st_size)]

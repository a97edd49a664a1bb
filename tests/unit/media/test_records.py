"""What ffmpeg's lines tell."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import MediaTooLargeError, UndecodableMediaError
from annotator.media.limits import DecodeLimits
from annotator.media.records import RecordStream, StreamClock

HEADER = b"#format: frame checksums\n#tb 0: 1/100\n#dimensions 0: 4x2\n"


def stream_of(*lines: str, header: bytes = HEADER, limits: DecodeLimits | None = None) -> RecordStream:
    records = RecordStream(name="a.gif", limits=limits or DecodeLimits())
    records.feed(header + "".join(f"{line}\n" for line in lines).encode())
    return records


def test_size_and_times_are_read_and_times_count_from_the_first_frame() -> None:
    records = stream_of("0, 500, 500, 10, 24, 0000000a", "0, 510, 510, 25, 24, 0000000b")
    assert records.size_wh == (4, 2)
    timeline = records.timeline()
    assert timeline.start_ms.tolist() == [0, 100]
    assert timeline.end_ms.tolist() == [100, 350]
    assert timeline.ticks.tolist() == [500, 510]


def test_lines_may_come_in_any_pieces() -> None:
    text = HEADER + b"0, 0, 0, 10, 24, 0000000a\n0, 10, 10, 10, 24, 0000000b\n"
    records = RecordStream(name="a", limits=DecodeLimits())
    for byte in text:
        records.feed(bytes([byte]))
    assert records.timeline().start_ms.tolist() == [0, 100]


def test_a_repeated_frame_adds_time_to_the_one_before() -> None:
    records = stream_of("0,0,0,10,24,0a", "0,10,10,10,24,0b", "0,20,20,10,24,0b", "0,30,30,10,24,0a")
    timeline = records.timeline()
    assert timeline.frame_index.tolist() == [0, 1, 3]
    assert timeline.end_ms.tolist() == [100, 300, 400]
    assert timeline.frames_decoded == 4
    assert len(records.timeline(merges_repeats=False)) == 4


def test_packets_come_in_decoding_order_and_are_put_in_order_of_presentation() -> None:
    records = stream_of("0,0,0,10,9,0x0a", "0,10,30,10,9,0x0b, F=0x0", "0,20,10,20,9,0x0c, F=0x0")
    timeline = records.timeline(merges_repeats=False)
    assert timeline.ticks.tolist() == [0, 10, 30]
    assert timeline.end_ms.tolist() == [100, 300, 400]
    assert records.keys().tolist() == [0]


def test_only_packets_with_the_key_flag_are_keys_whatever_other_flags_they_have() -> None:
    flags = ("", ", F=0x0", ", F=0x10", ", F=0x5", ", F=0x1, S=1, 8, 0x12", ", F=0x0, S=1, 8, 0x12")
    records = stream_of(*(f"0,{n},{n},1,9,0x0a{flag}" for n, flag in enumerate(flags)))
    assert records.keys().tolist() == [0, 3, 4]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=40), st.booleans())
def test_times_told_as_frames_come_agree_with_the_timeline(spans: list[int], is_animation: bool) -> None:  # noqa: FBT001
    starts = np.concatenate([[0], np.cumsum(spans)])
    lines = [f"0,{a},{a},{span},24,{i:08x}" for i, (a, span) in enumerate(zip(starts, spans, strict=False))]
    records = stream_of(*lines, header=b"#tb 0: 1/1000\n#dimensions 0: 1x1\n")
    timeline = records.timeline(is_animation=is_animation)
    clock = StreamClock(records, is_animation=is_animation)
    assert [clock.start_ms(frame) for frame in range(len(spans))] == timeline.start_ms.tolist()
    assert clock.end_ms() == timeline.duration_ms


def test_an_animation_shows_a_frame_of_ten_milliseconds_for_a_hundred() -> None:
    records = stream_of("0,0,0,10,24,0a", "0,10,10,11,24,0b", header=b"#tb 0: 1/1000\n")
    assert records.timeline(is_animation=True).end_ms.tolist() == [100, 111]
    assert records.timeline(is_animation=False).end_ms.tolist() == [10, 21]


def test_a_time_that_is_unknown_is_that_of_the_frame_before() -> None:
    records = stream_of("0,0,5,10,24,0a", f"0,0,{-(1 << 63)},10,24,0b")
    assert records.timeline().start_ms.tolist() == [0, 0]


def test_too_many_frames_and_too_long_clips_are_refused_as_soon_as_it_shows() -> None:
    with pytest.raises(MediaTooLargeError, match="more than 1 frames"):
        stream_of("0,0,0,10,24,0a", "0,10,10,10,24,0b", limits=DecodeLimits(max_frames=1))
    with pytest.raises(MediaTooLargeError, match="more than 1 s"):
        stream_of("0,0,0,10,24,0a", "0,200,200,10,24,0b", limits=DecodeLimits(max_duration_ms=1000))


@pytest.mark.parametrize("line", ["rubbish", "0,a,b,c,d,e", "0,0,0,1,2,xyz"])
def test_nonsense_in_place_of_a_line_is_an_error_of_ours(line: str) -> None:
    with pytest.raises(UndecodableMediaError, match="nonsense"):
        stream_of(line)

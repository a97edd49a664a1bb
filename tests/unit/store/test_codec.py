"""What is stored comes back bit for bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from annotator.store.codec import (
    StoredBoxes,
    decode_boxes,
    decode_embedding,
    decode_evidence,
    encode_boxes,
    encode_embedding,
    encode_evidence,
)
from annotator.types import TrackEvidence

HALVES = st.floats(width=16, allow_nan=False)
TIMES = st.integers(-(2**31), 2**31 - 1)


@st.composite
def evidence(draw: st.DrawFn) -> TrackEvidence:
    faces = draw(st.integers(1, 6))
    size = draw(st.integers(1, 40))
    return TrackEvidence(
        draw(arrays.arrays(np.float16, (faces, size), elements=HALVES)),
        draw(arrays.arrays(np.float16, (faces,), elements=HALVES)),
        draw(arrays.arrays(np.float16, (faces,), elements=HALVES)),
    )


@st.composite
def boxes(draw: st.DrawFn) -> StoredBoxes:
    length = draw(st.integers(0, 3))  # ten columns: more numbers than hypothesis draws at once otherwise
    times = [draw(arrays.arrays(np.int64, (length,), elements=TIMES)) for _ in range(4)]
    corners = draw(arrays.arrays(np.float32, (length, 4), elements=st.floats(width=32, allow_nan=False)))
    halves = [draw(arrays.arrays(np.float32, (length,), elements=HALVES)) for _ in range(2)]
    return StoredBoxes(*times, corners, *halves)


@given(evidence())
def test_evidence_makes_the_round_trip_bit_for_bit(value: TrackEvidence) -> None:
    columns = encode_evidence(value)
    again = decode_evidence(columns["embeddings"], columns["face_px"], columns["quality"])
    assert again.embeddings.shape == value.embeddings.shape
    for name in ("embeddings", "face_px", "quality"):
        assert getattr(again, name).tobytes() == getattr(value, name).tobytes()


def test_each_embedding_takes_two_bytes_a_number() -> None:
    value = TrackEvidence(np.zeros((3, 128), np.float16), np.zeros(3, np.float16), np.zeros(3, np.float16))
    assert len(encode_evidence(value)["embeddings"]) == 3 * 256


def test_a_track_without_an_embedded_face_is_kept() -> None:
    value = TrackEvidence(np.zeros((0, 128), np.float16), np.zeros(0, np.float16), np.zeros(0, np.float16))
    assert len(decode_evidence(**encode_evidence(value))) == 0


@given(boxes())
def test_boxes_make_the_round_trip_exactly(value: StoredBoxes) -> None:
    again = decode_boxes(encode_boxes(value))
    for name in StoredBoxes.__slots__:
        assert getattr(again, name).tobytes() == getattr(value, name).tobytes()


def test_a_time_of_more_than_24_days_is_refused_not_wrapped() -> None:
    late = np.array([2**31], np.int64)
    zero = np.zeros(1, np.int64)
    value = StoredBoxes(zero, late, zero, zero, np.zeros((1, 4), np.float32), *np.zeros((2, 1), np.float32))
    with pytest.raises(OverflowError, match="24 days"):
        encode_boxes(value)


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x02" + bytes(36), b"\x01" + bytes(35)])
def test_bytes_of_another_version_or_length_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="unknown version"):
        decode_boxes(data)


@given(arrays.arrays(np.float32, st.integers(1, 200), elements=st.floats(width=32, allow_nan=False)))
def test_an_enrolled_embedding_makes_the_round_trip_bit_for_bit(value: np.ndarray) -> None:
    assert decode_embedding(encode_embedding(value)).tobytes() == value.tobytes()

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.results import MediaResult, content_labels, covered_ms, to_json_line, verdict_in_words
from annotator.types import (
    Candidate,
    ClipReport,
    FaceTrack,
    Identity,
    MediaAnnotation,
    MediaFailure,
    MediaRef,
    TrackEvidence,
    TrackLabel,
)

ANISTON = Identity("Jennifer Aniston", "/m/0c6qh")
PITT = Identity("Brad Pitt")
MEDIA = MediaRef("clips/x.gif", "file:///clips/x.gif")


def make_track(
    track_no: int, from_ms: list[int], *, step_ms: int = 100, boxes: list[list[float]] | None = None
) -> FaceTrack:
    length = len(from_ms)
    return FaceTrack(
        track_no=track_no,
        shot_no=0,
        frame_index=np.arange(length, dtype=np.int64),
        pts_ms=np.array(from_ms, np.int64) + step_ms // 2,
        from_ms=np.array(from_ms, np.int64),
        shown_ms=np.full(length, step_ms, np.int64),
        boxes_xyxy=np.array(boxes or [[31.4, 19.6, 142.5, 161.2]] * length, np.float32),
        scores=np.ones(length, np.float32),
        quality=np.ones(length, np.float32),
        evidence=TrackEvidence(np.zeros((0, 4), np.float16), np.zeros(0, np.float16), np.zeros(0, np.float16)),
        best_faces=np.zeros((0, 112, 112, 3), np.uint8),
    )


def known(identity: Identity, confidence: float) -> TrackLabel:
    return TrackLabel("known", (Candidate(identity, 0.6, confidence), Candidate(Identity("Somebody Else"), 0.2, 0.01)))


def annotate(*pairs: tuple[FaceTrack, TrackLabel], damage: str | None = None) -> MediaAnnotation:
    return MediaAnnotation(
        media=MEDIA,
        model="starter@1",
        content_sha256="0" * 64,
        clip=ClipReport(320, 240, 3200, 64, 60, damage),
        frames_sampled=20,
        faces=12,
        tracks=tuple(track for track, _ in pairs),
        labels=tuple(label for _, label in pairs),
    )


def test_a_person_of_two_tracks_is_one_label_with_the_highest_confidence() -> None:
    labels = content_labels(
        annotate((make_track(0, [0, 100]), known(ANISTON, 0.8)), (make_track(1, [500]), known(ANISTON, 0.97)))
    )
    assert [(one.identity, one.confidence) for one in labels] == [(ANISTON, 0.97)]
    assert (labels[0].start_ms, labels[0].end_ms, labels[0].screen_time_ms) == (0, 600, 300)


def test_time_with_two_tracks_of_a_person_counts_once() -> None:
    labels = content_labels(
        annotate((make_track(0, [0, 100]), known(ANISTON, 0.8)), (make_track(1, [100, 200]), known(ANISTON, 0.9)))
    )
    assert labels[0].screen_time_ms == 300


def test_unknown_and_too_poor_tracks_give_no_label() -> None:
    near = (Candidate(PITT, 0.3, 0.1),)
    outcome = annotate(
        (make_track(0, [0]), TrackLabel("unknown", near)), (make_track(1, [0]), TrackLabel("too_poor", near))
    )
    assert content_labels(outcome) == ()
    assert [verdict_in_words(label) for label in outcome.labels] == ["unknown", "unknown, too poor"]


def test_the_surest_person_comes_first() -> None:
    labels = content_labels(annotate((make_track(0, [0]), known(PITT, 0.7)), (make_track(1, [0]), known(ANISTON, 0.9))))
    assert [one.identity for one in labels] == [ANISTON, PITT]


def test_the_json_line_has_exactly_the_documented_shape() -> None:
    line = to_json_line(annotate((make_track(0, [0, 3000]), known(ANISTON, 0.97004))))
    assert json.loads(json.dumps(line)) == {
        "media": "clips/x.gif",
        "status": "annotated",
        "reason": None,
        "model": "starter@1",
        "duration_ms": 3200,
        "frames_sampled": 20,
        "faces": 12,
        "labels": [
            {
                "identity": "Jennifer Aniston",
                "confidence": 0.97,
                "start_ms": 0,
                "end_ms": 3100,
                "screen_time_ms": 200,
                "is_picture": False,
            }
        ],
        "tracks": [
            {
                "track": 0,
                "identity": "Jennifer Aniston",
                "confidence": 0.97,
                "start_ms": 0,
                "end_ms": 3100,
                "is_picture": None,
                "boxes": [
                    {"pts_ms": 50, "xyxy": [31, 20, 142, 161]},
                    {"pts_ms": 3050, "xyxy": [31, 20, 142, 161]},
                ],
                "candidates": [
                    {"identity": "Jennifer Aniston", "confidence": 0.97},
                    {"identity": "Somebody Else", "confidence": 0.01},
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [((True,), True), ((True, True), True), ((True, False), False), ((True, None), False), ((None,), False)],
)
def test_a_person_is_on_pictures_only_where_all_of_the_tracks_are(
    pictures: tuple[bool | None, ...], *, expected: bool
) -> None:
    tracks = [replace(make_track(number, [0]), is_picture=one) for number, one in enumerate(pictures)]
    alive = replace(make_track(len(tracks), [0]), is_picture=False)
    line = to_json_line(annotate(*((track, known(ANISTON, 0.9)) for track in tracks), (alive, known(PITT, 0.8))))
    assert [label["is_picture"] for label in line["labels"]] == [expected, False]
    assert [track["is_picture"] for track in line["tracks"]] == [*pictures, False]


def test_who_has_no_track_is_on_no_picture() -> None:
    assert not MediaResult.of(annotate()).is_only_on_pictures(ANISTON)


def test_an_unknown_person_has_no_identity_and_no_confidence_in_the_line() -> None:
    line = to_json_line(annotate((make_track(0, [0]), TrackLabel("unknown", (Candidate(PITT, 0.3, 0.1),)))))
    assert line["labels"] == []
    assert (line["tracks"][0]["identity"], line["tracks"][0]["confidence"]) == (None, None)


def test_a_failure_has_every_key_too() -> None:
    failure = MediaFailure(MEDIA, "starter@1", "undecodable", "It is no media.", is_transient=False)
    line = to_json_line(failure)
    assert line.keys() == to_json_line(annotate()).keys()
    assert (line["status"], line["reason"], line["duration_ms"]) == ("failed", "undecodable", None)
    assert MediaResult.of(failure).message == "It is no media."


def test_a_damaged_media_says_what_was_broken() -> None:
    line = to_json_line(annotate(damage="the file ends early"))
    assert (line["status"], line["reason"]) == ("damaged", "the file ends early")


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda span: (span[0], span[0] + span[1]))))
def test_covered_time_is_the_count_of_covered_milliseconds(spans: list[tuple[int, int]]) -> None:
    assert covered_ms(spans) == len({at for start, end in spans for at in range(start, end)})


@pytest.mark.parametrize("spans", [[(0, 10), (10, 20)], [(10, 20), (0, 10)], [(0, 20), (5, 10)]])
def test_touching_reversed_and_nested_spans_are_one(spans: list[tuple[int, int]]) -> None:
    assert covered_ms(spans) == 20

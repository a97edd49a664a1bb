"""What an explanation says is what the label was made of."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from annotator.errors import ConfigError
from annotator.explaining.reasoning import MOST_PEOPLE, explain
from annotator.explaining.watching import SeenFaces
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import MediaRef, TrackEvidence
from tests.explained_media import CALIBRATION, MEDIA, Placed, annotated, explained, identifier, made_with


def test_every_face_is_told_with_why_it_counts_or_not() -> None:
    first, second, third, last = explained().tracks
    assert Counter(face.use for face in first.faces) == {"used": 5, "not_best": 3}
    assert [face.use for face in second.faces] == ["used", "too_small", "too_blurred"]
    assert [face.use for face in third.faces] == ["used"] * 3
    assert [face.use for face in last.faces] == ["too_blurred", "too_small"]
    assert [face.number for face in first.faces] == list(range(1, 9))
    assert [face.pts_ms for face in first.faces] == [100 * number for number in range(8)]
    used = [face.quality for face in first.faces if face.use == "used"]
    assert min(used) >= max(face.quality for face in first.faces if face.use == "not_best") - 1e-3  # float16


def test_a_face_has_the_numbers_and_the_picture_of_its_place_in_the_track() -> None:
    named_by, seen = identifier(), SeenFaces()
    annotation = annotated(named_by=named_by, seen=seen)
    explanation = explain(annotation, seen, named_by, made_with=made_with(named_by))
    for track, told in zip(annotation.tracks, explanation.tracks, strict=True):
        embedded = [face for face in told.faces if face.use != "not_best"]
        assert sorted(face.quality for face in embedded) == sorted(track.evidence.quality.tolist())
        for place, face in enumerate(told.faces):
            assert face.quality == pytest.approx(float(track.quality[place]), abs=1e-3)
            assert list(face.xyxy) == track.boxes_xyxy[place].astype(int).tolist()
            assert face.parts.detector_score == pytest.approx(float(track.scores[place]))
            product = np.prod([getattr(face.parts, name) for name in face.parts.__slots__])
            assert face.quality == pytest.approx(product**0.25, abs=1e-3)
        for crop, quality in zip(track.best_faces, track.evidence.quality.tolist(), strict=True):
            assert any(face.quality == quality and np.array_equal(face.crop, crop) for face in embedded)


def test_weights_are_those_of_the_fourth_power_of_quality() -> None:
    for track in explained().tracks:
        weighed = [face for face in track.faces if face.weight is not None]
        assert sum(face.weight or 0 for face in weighed) == pytest.approx(1)
        powers = np.array([face.quality for face in weighed]) ** 4
        np.testing.assert_allclose([face.weight for face in weighed], powers / powers.sum(), rtol=1e-6)
        mean = sum((face.weight or 0) * face.face_px for face in weighed)
        assert track.point.face_px == pytest.approx(mean)


def test_the_nearest_people_are_those_of_the_label_and_their_scores_come_from_what_is_told() -> None:
    explanation = explained()
    assert {track.label.verdict for track in explanation.tracks} == {"known", "unknown", "too_poor"}
    for track in explanation.tracks:
        assert len(track.people) == MOST_PEOPLE
        labelled = [(one.identity, one.score, one.confidence) for one in track.label.candidates]
        assert [(one.identity, one.score, one.confidence) for one in track.people[: len(labelled)]] == labelled
        for one in track.people:
            score = one.cosine - 0.5 * (one.track_level + one.identity_level)
            assert round(score, 6) == one.score
            assert one.photographs == int(one.identity.name.removeprefix("Person ")) + 1
        assert track.gap == track.people[0].score - track.min_score


def test_without_a_face_a_track_is_called_what_its_other_faces_are_called() -> None:
    named_by, seen = identifier(), SeenFaces()
    annotation = annotated(named_by=named_by, seen=seen)
    _, second, *_ = explain(annotation, seen, named_by, made_with=made_with(named_by)).tracks
    evidence = annotation.tracks[1].evidence
    rest = np.flatnonzero(evidence.face_px != 60)
    (alone,) = named_by.identify(
        [TrackEvidence(evidence.embeddings[rest], evidence.face_px[rest], evidence.quality[rest])]
    )
    assert second.faces[0].without == alone
    assert alone.verdict == "too_poor"
    assert [face.without for face in second.faces[1:]] == [None, None]  # they weigh nothing


def test_other_rates_and_priors_are_those_of_the_calibration() -> None:
    for track in explained().tracks:
        size = np.array([track.point.face_px])
        best = track.people[0]
        for one in track.at_rates:
            assert one.min_score == CALIBRATION.at_rate(one.rate).min_scores(size)[0]
            assert one.is_named == (track.label.verdict != "too_poor" and best.score >= one.min_score)
        used = [one.min_score for one in track.at_rates if one.rate == CALIBRATION.max_false_positive_rate]
        assert used == [track.min_score]
        for other in track.at_priors:
            under = replace(CALIBRATION, prior=other.prior).confidences(np.array([best.score]), size)[0]
            assert other.confidence == pytest.approx(under)
        assert [round(one.confidence, 6) for one in track.at_priors if one.prior == 0.1] == [best.confidence]


def test_one_track_can_be_asked_for() -> None:
    explanation = explained(track_no=2)
    assert [track.track_no for track in explanation.tracks] == [2]
    assert explanation.tracks_in_media == 4
    assert explanation.tracks[0].people == explained().tracks[2].people


@pytest.mark.parametrize(
    ("placed", "words"),
    [
        (MEDIA, "clip.gif has tracks 0 to 3"),
        (MEDIA[:1], "clip.gif has only track 0"),
        ((), "no face was found in clip.gif; leave --track out"),
    ],
)
def test_a_track_that_is_not_there_is_refused_with_those_that_are(placed: tuple[Placed, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        explained(placed, track_no=4)


def test_a_media_without_a_face_has_no_tracks() -> None:
    explanation = explained(())
    assert (explanation.tracks, explanation.faces, explanation.tracks_in_media) == ((), 0, 0)
    assert explanation.to_json()["tracks"] == []


def test_nobody_is_near_where_nobody_is_known() -> None:
    named_by, seen = identifier(), SeenFaces()
    bundle = named_by.gallery.bundle
    nobody = Identifier(Gallery.from_bundle(bundle, removed=[one.name for one in bundle.identities]))
    annotation = annotated(named_by=nobody, seen=seen)
    for track in explain(annotation, seen, nobody, made_with=made_with(nobody)).tracks:
        assert (track.people, track.at_rates, track.at_priors, track.gap) == ((), (), (), None)


def test_the_json_has_the_numbers_and_no_secret() -> None:
    media = MediaRef(
        "https://ann:hunter2@clips.example/a.gif?sig=f00d", "https://ann:hunter2@clips.example/a.gif?sig=f00d"
    )
    explanation = explained(media=media)
    text = json.dumps(explanation.to_json(), allow_nan=False)
    assert "hunter2" not in text
    assert "f00d" not in text
    told = json.loads(text)
    assert told["media"] == "https://ann:***@clips.example/a.gif?sig=***"
    assert (told["status"], told["faces"], told["tracks_in_media"]) == ("annotated", 16, 4)
    assert told["rule"] == {
        "max_false_positive_rate": 0.003,
        "prior": 0.1,
        "min_confidence": 0.0,
        "min_face_px": 32.0,
        "sharp_below_px": 48.0,
        "min_quality": 0.5,
        "cohort": 5,
    }
    for line, track in zip(told["tracks"], explanation.tracks, strict=True):
        assert line["score"] == track.label.score
        assert line["confidence"] == track.label.confidence
        assert line["margin"] == round(track.label.margin or 0.0, 6)
        assert [face["use"] for face in line["faces"]] == [face.use for face in track.faces]
        assert [one["score"] for one in line["candidates"]] == [one.score for one in track.people]

"""An explanation in sentences says what the numbers say."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from annotator.explaining.explanation import ExplainedTrack, Said, SaidWord
from annotator.explaining.words import said_in_words, shown_as, title_of, use_in_words, what_would_change, why
from annotator.types import Candidate, Identity, TrackLabel
from tests.explained_media import CALIBRATION, explained


@pytest.fixture(scope="module")
def tracks() -> tuple[ExplainedTrack, ...]:
    return explained().tracks


def test_a_name_is_told_with_what_it_rests_on(tracks: tuple[ExplainedTrack, ...]) -> None:
    score, min_score, confidence = tracks[0].label.score, tracks[0].min_score, tracks[0].label.confidence
    assert score is not None
    assert why(tracks[0]) == (
        f"Named Person 3: the score {score:.3f} reaches {min_score:.3f}, the threshold for faces of 100 px. "
        f"Confidence {confidence:.4f}."
    )
    told = what_would_change(tracks[0], CALIBRATION)
    assert told[0] == f"With a score lower by more than {score - min_score:.3f} it would be unknown."
    assert told[1].startswith("The runner-up, Person ")
    assert told[2].startswith(
        "At the laxer threshold 0.405 (1 % of strangers' tracks reach it) it would still be named"
    )
    assert told[3].startswith("At the stricter threshold 0.905 (0.1 % of strangers' tracks reach it) it would still")
    assert told[4].startswith(
        "Without any one of its faces it would be called the same; the score would be between 0.9"
    )
    assert "with a prior of 0.01" in told[5]
    assert len(told) == 6


def test_a_face_without_which_the_name_would_go_is_told(tracks: tuple[ExplainedTrack, ...]) -> None:
    assert any(
        one.startswith("Without face 1 it would be unknown, too poor (score ")
        for one in what_would_change(tracks[1], CALIBRATION)
    )
    assert [use_in_words(face, tracks[1], CALIBRATION) for face in tracks[1].faces] == [
        "counts",
        "too small: faces count from 32 px",
        "too poor for its size: under 48 px it takes a quality of 0.5",
    ]
    assert use_in_words(tracks[0].faces[0], tracks[0], CALIBRATION) == "not one of the 5 best faces of its track"


def test_a_stranger_is_told_how_far_the_nearest_person_is(tracks: tuple[ExplainedTrack, ...]) -> None:
    score, min_score, name = tracks[2].people[0].score, tracks[2].min_score, tracks[2].people[0].identity.name
    assert why(tracks[2]) == (
        f"Unknown: the nearest person, {name}, has a score of {score:.3f}; the threshold for faces of 90 px is "
        f"{min_score:.3f}."
    )
    told = what_would_change(tracks[2], CALIBRATION)
    assert told[0] == f"With a score {min_score - score:.3f} higher it would be named {name}."
    assert any("would still be unknown" in one for one in told)


def test_a_poor_track_is_told_what_its_faces_lack(tracks: tuple[ExplainedTrack, ...]) -> None:
    assert why(tracks[3]).startswith("Too poor to say: each of its 2 best faces is too small")
    told = what_would_change(tracks[3], CALIBRATION)
    assert told[0] == (
        "Faces count from 32 px on, under 48 px only with a quality of at least 0.5. The largest of its embedded faces "
        "has 40.0 px, the best a quality of 0.47."
    )
    assert told[1] == "If its faces did count, the nearest person would be Person 7, whose score reaches the threshold."
    assert len(told) == 3  # and which faces it hangs on


def test_a_stranger_whom_a_laxer_threshold_would_name_is_told_so(tracks: tuple[ExplainedTrack, ...]) -> None:
    score = 0.43
    near = (replace(tracks[2].people[0], score=score), *tracks[2].people[1:])
    label = TrackLabel("unknown", tuple(Candidate(one.identity, one.score, one.confidence) for one in near[:5]))
    rates = tuple(replace(one, is_named=score >= one.min_score) for one in tracks[2].at_rates)
    told = what_would_change(replace(tracks[2], people=near, label=label, at_rates=rates), CALIBRATION)
    assert "At the laxer threshold 0.409 (1 % of strangers' tracks reach it) it would be named." in told


def test_a_track_without_a_nearest_person_says_so(tracks: tuple[ExplainedTrack, ...]) -> None:
    alone = replace(tracks[2], people=(), at_rates=(), at_priors=(), label=TrackLabel("unknown", ()))
    assert why(alone).startswith("Unknown: there is nobody to compare it with")
    assert what_would_change(replace(alone, faces=()), CALIBRATION) == []


def test_the_only_person_of_a_gallery_has_no_runner_up(tracks: tuple[ExplainedTrack, ...]) -> None:
    alone = replace(tracks[0], people=tracks[0].people[:1])
    assert not any("runner-up" in one for one in what_would_change(alone, CALIBRATION))


def test_where_names_must_be_surer_it_is_said_and_thresholds_are_not_told_as_rates_that_they_are_not(
    tracks: tuple[ExplainedTrack, ...],
) -> None:
    sure = tracks[2].min_score + 0.2
    rates = tuple(replace(one, min_score=sure) for one in tracks[2].at_rates)
    told = what_would_change(
        replace(tracks[2], min_score=sure, at_rates=rates), replace(CALIBRATION, min_confidence=0.98)
    )
    assert told[-1] == "Names are given here from a confidence of 0.98 on, which is in the threshold."
    assert not any("of strangers' tracks reach it" in one for one in told)


def test_what_people_have_said_is_told_with_what_it_changes_and_the_reasons_stay(
    tracks: tuple[ExplainedTrack, ...],
) -> None:
    track = tracks[0]
    assert (said_in_words(track), shown_as(track)) == ([], "Person 3")
    when = datetime(2026, 11, 26, 10, 30, tzinfo=UTC)
    words = (
        SaidWord("is not", Identity("Person 3"), "ann@home", when),
        SaidWord("is", Identity("Joe Biden"), "bob@work", when),
    )
    said = Said(words, TrackLabel("known", (Candidate(Identity("Joe Biden"), 1.0, 1.0),)))
    corrected = replace(track, said=said)
    assert said_in_words(corrected) == [
        "ann@home has said on 2026-11-26 that it is not Person 3.",
        "bob@work has said on 2026-11-26 that it is Joe Biden.",
        "That stands above the model: it is Joe Biden, where the model says Person 3. All that follows is the model's.",
    ]
    assert (shown_as(corrected), title_of(corrected)) == ("Joe Biden (corrected)", "Person 3")
    assert why(corrected) == why(track)
    unchanged = replace(track, said=Said(words[:1], track.label))
    assert "it stays Person 3" in said_in_words(unchanged)[-1]

"""An explanation in sentences."""

from collections.abc import Iterator

from annotator.explaining.explanation import ExplainedFace, ExplainedTrack
from annotator.recognition.calibration import Calibration
from annotator.results import verdict_in_words
from annotator.types import TrackLabel


def score_in_words(score: float) -> str:
    """Return a score or a threshold with three decimals.

    >>> score_in_words(0.61249), score_in_words(-0.0001)
    ('0.612', '0.000')
    """
    return f"{score:.3f}".replace("-0.000", "0.000")


def gap_in_words(gap: float) -> str:
    """Return a difference of scores, without its sign, with as many decimals as it takes to be seen.

    >>> gap_in_words(-0.0312), gap_in_words(0.000042)
    ('0.031', '0.000042')
    """
    return f"{abs(gap):.3f}" if abs(gap) >= 0.001 else f"{abs(gap):.6f}"


def confidence_in_full(confidence: float) -> str:
    """Return a confidence with four decimals, never rounded to certainty.

    >>> confidence_in_full(0.87431), confidence_in_full(0.999961), confidence_in_full(0.00002)
    ('0.8743', '>0.9999', '<0.0001')
    """
    return ">0.9999" if confidence > 0.9999 else "<0.0001" if confidence < 0.0001 else f"{confidence:.4f}"


def rate_in_words(rate: float) -> str:
    """Return a share in per cent.

    >>> rate_in_words(0.003)
    '0.3 %'
    """
    return f"{100 * rate:g} %"


def title_of(track: ExplainedTrack) -> str:
    """Return the name, ``"unknown"`` or ``"unknown, too poor"``: the model's answer, whatever people have said."""
    return _answer(track.label)


def shown_as(track: ExplainedTrack) -> str:
    """Return who the track is to whoever searches: the model's answer, or what people have made of it."""
    return title_of(track) if track.said is None else f"{_answer(track.said.label)} (corrected)"


def said_in_words(track: ExplainedTrack) -> list[str]:
    """Return sentences on what people have said of a track and what that changes; none where nobody has."""
    if track.said is None:
        return []
    told = [
        f"{word.said_by} has said on {word.said_at:%Y-%m-%d} that it {word.verdict} {word.identity.name}."
        for word in track.said.words
    ]
    now, before = _answer(track.said.label), title_of(track)
    change = f"it stays {now}" if now == before else f"it is {now}, where the model says {before}"
    return [*told, f"That stands above the model: {change}. All that follows is the model's."]


def why(track: ExplainedTrack) -> str:
    """Return in one or two sentences why a track is called what it is."""
    size, threshold = f"{track.point.face_px:.0f} px", score_in_words(track.min_score)
    if track.label.verdict == "too_poor":
        which = "its only face that was embedded" if track.embedded == 1 else f"each of its {track.embedded} best faces"
        return f"Too poor to say: {which} is too small, or too blurred for its size, to count."
    if not track.people:
        return "Unknown: there is nobody to compare it with, or its embeddings are not finite."
    best = track.people[0]
    score, name = score_in_words(best.score), best.identity.name
    if track.label.verdict == "known":
        return (
            f"Named {name}: the score {score} reaches {threshold}, the threshold for faces of {size}. "
            f"Confidence {confidence_in_full(best.confidence)}."
        )
    nearest = f"the nearest person, {name}, has a score of {score}"
    return f"Unknown: {nearest}; the threshold for faces of {size} is {threshold}."


def use_in_words(face: ExplainedFace, track: ExplainedTrack, calibration: Calibration) -> str:
    """Return whether a face counts, or why not."""
    match face.use:
        case "used":
            return "counts"
        case "not_best":
            return f"not one of the {track.embedded} best faces of its track"
        case "too_small":
            return f"too small: faces count from {calibration.min_face_px:g} px"
        case "too_blurred":
            limits = f"under {calibration.sharp_below_px:g} px it takes a quality of {calibration.min_quality:g}"
            return f"too poor for its size: {limits}"


def without_in_words(face: ExplainedFace, track: ExplainedTrack) -> str | None:
    """Return what the track would be called without a face; None where that cannot be asked."""
    if face.without is None:
        return None
    answer, score = _answer(face.without), face.without.score
    scored = "" if score is None else f", score {score_in_words(score)}"
    same = "still " if answer == title_of(track) else ""
    return f"without it {same}{answer}{scored}"


def what_would_change(track: ExplainedTrack, calibration: Calibration) -> list[str]:
    """Return sentences that say what would give another answer, and what would not."""
    return [
        *_by_gate(track, calibration),
        *_by_score(track),
        *_by_rate(track, calibration),
        *_by_faces(track),
        *_by_prior(track, calibration),
        *_by_wish(track, calibration),
    ]


def _by_gate(track: ExplainedTrack, calibration: Calibration) -> Iterator[str]:
    if track.label.verdict != "too_poor":
        return
    embedded = [face for face in track.faces if face.use != "not_best"]
    yield (
        f"Faces count from {calibration.min_face_px:g} px on, under {calibration.sharp_below_px:g} px only with a "
        f"quality of at least {calibration.min_quality:g}. The largest of its embedded faces has "
        f"{max((face.face_px for face in embedded), default=0.0):.1f} px, the best a quality of "
        f"{max((face.quality for face in embedded), default=0.0):.2f}."
    )


def _by_score(track: ExplainedTrack) -> Iterator[str]:
    if track.gap is None:
        return
    name, size = track.people[0].identity.name, gap_in_words(track.gap)
    if track.label.verdict == "too_poor":
        whether = "reaches" if track.gap >= 0 else f"is {size} below"
        yield f"If its faces did count, the nearest person would be {name}, whose score {whether} the threshold."
        return
    if track.label.verdict == "known":
        yield f"With a score lower by more than {size} it would be unknown."
    else:
        yield f"With a score {size} higher it would be named {name}."
    if len(track.people) > 1:
        second = track.people[1]
        behind = gap_in_words(track.people[0].score - second.score)
        yield f"The runner-up, {second.identity.name}, is {behind} behind."


def _by_rate(track: ExplainedTrack, calibration: Calibration) -> Iterator[str]:
    if track.label.verdict == "too_poor":
        return
    is_known = track.label.verdict == "known"
    for one in track.at_rates:
        if one.rate == calibration.max_false_positive_rate or one.min_score == track.min_score:
            continue
        kind = "stricter" if one.rate < calibration.max_false_positive_rate else "laxer"
        answer = f"{'still ' if one.is_named == is_known else ''}be {'named' if one.is_named else 'unknown'}"
        threshold = f"At the {kind} threshold {score_in_words(one.min_score)}"
        yield f"{threshold} ({rate_in_words(one.rate)} of strangers' tracks reach it) it would {answer}."


def _by_faces(track: ExplainedTrack) -> Iterator[str]:
    asked = [(face, face.without) for face in track.faces if face.without is not None]
    changing = [(face, answer) for face, answer in asked if _answer(answer) != title_of(track)]
    for face, answer in changing:
        scored = "" if answer.score is None else f" (score {score_in_words(answer.score)})"
        yield f"Without face {face.number} it would be {_answer(answer)}{scored}."
    scores = [answer.score for _, answer in asked if answer.score is not None]
    if asked and not changing and scores:
        low, high = score_in_words(min(scores)), score_in_words(max(scores))
        span = f"would be {low}" if low == high else f"would be between {low} and {high}"
        yield f"Without any one of its faces it would be called the same; the score {span}."


def _by_prior(track: ExplainedTrack, calibration: Calibration) -> Iterator[str]:
    others = [one for one in track.at_priors if one.prior != calibration.prior]
    if others and track.label.verdict != "too_poor":
        told = ", ".join(f"{confidence_in_full(one.confidence)} with a prior of {one.prior:g}" for one in others)
        name = track.people[0].identity.name
        yield (
            f"The confidence in {name}, {confidence_in_full(track.people[0].confidence)} with the prior "
            f"{calibration.prior:g}, would be {told}."
        )


def _by_wish(track: ExplainedTrack, calibration: Calibration) -> Iterator[str]:
    if calibration.min_confidence and track.label.verdict == "unknown" and track.people:
        yield f"Names are given here from a confidence of {calibration.min_confidence:g} on, which is in the threshold."


def _answer(label: TrackLabel) -> str:
    return verdict_in_words(label) if label.identity is None else label.identity.name

"""An explanation as one HTML file with pictures and drawings inside: it needs no network and no script."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

from PIL import Image

from annotator.explaining.curve import confidence_curve
from annotator.explaining.explanation import ExplainedFace, ExplainedTrack, Explanation, FaceParts, MadeWith, NearPerson
from annotator.explaining.style import POLICY, STYLE
from annotator.explaining.words import (
    confidence_in_full,
    rate_in_words,
    said_in_words,
    score_in_words,
    shown_as,
    use_in_words,
    what_would_change,
    why,
    without_in_words,
)
from annotator.recognition.calibration import Calibration
from annotator.results import span_in_words
from annotator.types import U8

MOST_TRACKS: Final = 100
"""Tracks that are explained on one page, those longest on screen; each takes a quarter of a megabyte at most."""

MOST_LEFT_OUT: Final = 24
"""Pictures of a track's faces that were not embedded; the best ones are shown, the JSON tells all."""

_JPEG_QUALITY: Final = 90
_PARTS: Final = {
    "size": "size",
    "sharpness": "sharpness",
    "pose": "pose",
    "visible": "inside the frame",
    "detector_score": "detector",
}
_HELP: Final = {
    "quality": "The fourth root of size x sharpness x pose x the part inside the frame x the detector's score. A face "
    "weighs by the fourth power of it in the mean of its track.",
    "cosine": "How near the track's mean embedding is to the mean of the person's photographs, both less the mean of "
    "everybody.",
    "levels": "How near the track, and the person, is to the nearest other people. Whoever resembles everybody must be "
    "nearer to count.",
    "score": "The cosine less half of the sum of the two levels. The best person is named if it reaches the threshold "
    "for the track's face size.",
    "confidence": "The likelihood ratio that the score stands for at this face size, times the odds of the prior: the "
    "assumed share of tracks that show somebody whom the model knows. It is an estimate, not a measured share of right "
    "names.",
}


def explanation_html(explanation: Explanation) -> str:
    """Return the page."""
    title = f"Who is in {explanation.media}, and why"
    shown = _longest(explanation.tracks)
    tracks = "".join(_track(track, explanation.made_with) for track in shown)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<header><h1>Who is in {_text(explanation.media)}, and why</h1>{''.join(_head(explanation, shown))}</header>"
        f"<main>{tracks}</main>"
        f"<footer>{''.join(_made_with(explanation.made_with))}{_help()}</footer></body></html>\n"
    )


def _longest(tracks: Sequence[ExplainedTrack]) -> list[ExplainedTrack]:
    """Return at most ``MOST_TRACKS``, in their order."""
    longest = sorted(tracks, key=lambda track: -track.screen_time_ms)[:MOST_TRACKS]
    return sorted(longest, key=lambda track: track.track_no)


def _text(text: str) -> str:
    """Return a text that somebody else wrote; letters that run from right to left turn nothing around it."""
    return f"<bdi>{escape(text)}</bdi>"


def _head(explanation: Explanation, shown: Sequence[ExplainedTrack]) -> Iterator[str]:
    clip = explanation.clip
    length = "still picture" if clip.duration_ms is None else f"{clip.duration_ms / 1000:.1f} s"
    facts = {
        "where": _text(explanation.uri),
        "what": f"{clip.width_px} x {clip.height_px} pixels, {length}",
        "looked at": f"{_count(explanation.frames_sampled, 'frame')}, {_count(explanation.faces, 'face')} found",
        "model": _text(explanation.made_with.model),
    }
    if clip.damage:
        facts["damaged"] = _text(clip.damage)
    yield _facts(facts)
    if not explanation.tracks:
        yield "<p class=lead>No face was found, so nobody could be named.</p>"
        yield "<p>Smaller faces are looked for with --min-face-px, more frames with --frames, --every or --all.</p>"
        return
    shown_numbers = {track.track_no for track in shown}
    rows = [
        [
            _link(track.track_no, is_shown=track.track_no in shown_numbers),
            _text(shown_as(track)),
            _person_score(track),
            score_in_words(track.min_score),
            "" if track.label.confidence is None else confidence_in_full(track.label.confidence),
            span_in_words(track.start_ms, track.end_ms),
        ]
        for track in explanation.tracks
    ]
    left_out = explanation.tracks_in_media - len(explanation.tracks)
    caption = "Tracks: faces followed through a shot" + (f" ({left_out} more in this media)" if left_out else "")
    yield _table(caption, ["track", "who", "score", "threshold", "confidence", "when"], rows, words=2)

    if len(shown) < len(explanation.tracks):
        yield f"<p>Explained below are the {len(shown)} that are longest on screen; --track N explains any other.</p>"


def _link(track_no: int, *, is_shown: bool) -> str:
    return f'<a href="#track-{track_no}">{track_no}</a>' if is_shown else str(track_no)


def _person_score(track: ExplainedTrack) -> str:
    return score_in_words(track.people[0].score) if track.people else ""


def _track(track: ExplainedTrack, made_with: MadeWith) -> str:
    name = f"track-{track.track_no}"
    calibration = made_with.calibration
    changes = "".join(f"<li>{_text(sentence)}</li>" for sentence in what_would_change(track, calibration))
    what_if = f"<h3>What would change the answer</h3><ul>{changes}</ul>" if changes else ""
    return (
        f'<article id="{name}" aria-labelledby="{name}-title"><h2 id="{name}-title">Track {track.track_no}: '
        f'{_text(shown_as(track))}</h2>{_said(track)}<p class="lead {track.label.verdict}">{_text(why(track))}</p>'
        f"{_facts(_track_facts(track, calibration))}"
        f"{what_if}{_embedded_faces(track, calibration)}{_people(track)}{_curve(track, calibration)}"
        f"{_other_faces(track, calibration)}</article>"
    )


def _said(track: ExplainedTrack) -> str:
    return "".join(f"<p>{_text(sentence)}</p>" for sentence in said_in_words(track))


def _track_facts(track: ExplainedTrack, calibration: Calibration) -> Mapping[str, str]:
    facts = {
        "seen": f"{span_in_words(track.start_ms, track.end_ms)}, {track.screen_time_ms / 1000:.1f} s on screen",
        "faces": f"{len(track.faces)} followed, {track.embedded} embedded, "
        f"{sum(face.use == 'used' for face in track.faces)} count",
        "face size": f"{track.point.face_px:.1f} px, the weighted mean",
        "threshold": f"{score_in_words(track.min_score)} at this size: "
        f"{rate_in_words(calibration.max_false_positive_rate)} of strangers' tracks reach it",
    }
    if track.people:
        best = track.people[0]
        facts["score"] = score_in_words(best.score)
        whose = "" if track.label.verdict == "known" else f", were it {_text(best.identity.name)}"
        facts["confidence"] = f"{confidence_in_full(best.confidence)}{whose}, with the prior {calibration.prior:g}"
        facts["known from"] = _count(best.photographs, "photograph")
    if track.label.margin is not None:
        facts["margin"] = f"{score_in_words(track.label.margin)} to the runner-up"
    return facts


def _people(track: ExplainedTrack) -> str:
    if not track.people:
        return ""
    header = ["nearest people", "photographs", "cosine", "level of the track", "level of the person"]
    return "<h3>Nearest people</h3>" + _table(
        "Score = cosine - (level of the track + level of the person) / 2",
        [*header, "score", "confidence"],
        [_person_cells(person) for person in track.people],
        marked=[person.score >= track.min_score for person in track.people],
    )


def _person_cells(person: NearPerson) -> list[str]:
    numbers = (person.cosine, person.track_level, person.identity_level, person.score)
    return [
        _text(person.identity.name),
        str(person.photographs),
        *map(score_in_words, numbers),
        confidence_in_full(person.confidence),
    ]


def _curve(track: ExplainedTrack, calibration: Calibration) -> str:
    if not track.people:
        return ""
    described = [
        f"{mark} {_text(one.identity.name)}: score {score_in_words(one.score)}, confidence "
        f"{confidence_in_full(one.confidence)}"
        for mark, one in zip(("&#9679;", "&#9675;"), track.people, strict=False)
    ]
    size = f"{track.point.face_px:.0f} px"
    description = escape(
        f"Confidence over score for faces of {size}, with the threshold {score_in_words(track.min_score)}; {why(track)}"
    )
    drawing = confidence_curve(track, calibration, description=description)
    return (
        f"<h3>Score and confidence</h3><figure class=plot>{drawing}<figcaption>For faces of {size}. "
        f"{'; '.join(described)}. From the dashed line on, a track is named.</figcaption></figure>"
    )


def _embedded_faces(track: ExplainedTrack, calibration: Calibration) -> str:
    embedded = [face for face in track.faces if face.use != "not_best"]
    about = "Sizes are in pixels of the frame, weights are shares of the mean."
    if track.label.verdict == "too_poor":
        about += " No face counts: the nearest people come from the mean of all of them."
    return f"<h3>Faces that were embedded</h3><p>{about}</p>{_cards(embedded, track, calibration)}"


def _other_faces(track: ExplainedTrack, calibration: Calibration) -> str:
    others = [face for face in track.faces if face.use == "not_best"]
    if not others:
        return ""
    best = sorted(others, key=lambda face: -face.quality)[:MOST_LEFT_OUT]
    shown = f" The {len(best)} best of the others are shown." if len(best) < len(others) else ""
    about = f"Only the {track.embedded} best faces of the track are embedded.{shown}"
    cards = _cards(sorted(best, key=lambda face: face.number), track, calibration)
    return f"<h3>Faces that were left out ({len(others)})</h3><p>{about}</p>{cards}"


def _cards(faces: Sequence[ExplainedFace], track: ExplainedTrack, calibration: Calibration) -> str:
    cards = "".join(f"<li>{_card(face, track, calibration)}</li>" for face in faces)
    return f'<ul class="faces">{cards}</ul>'


def _card(face: ExplainedFace, track: ExplainedTrack, calibration: Calibration) -> str:
    use = escape(use_in_words(face, track, calibration))
    at = f"{face.pts_ms / 1000:.2f} s"
    weight = "" if face.weight is None else f", weight {100 * face.weight:.0f} %"
    without = without_in_words(face, track)
    told = "" if without is None else f"<br>{_text(without)}"
    alternative = f"Face {face.number} of track {track.track_no}, at {at}: {use}"
    return (
        f"<figure>{_picture(face.crop, alternative)}<figcaption><strong>Face {face.number}</strong> at {at}<br>"
        f'<span class="use {face.use}">{use}</span>{weight}<br>{face.face_px:.1f} px, quality {face.quality:.2f}{told}'
        f"{_parts(face.parts)}</figcaption></figure>"
    )


def _picture(crop: U8 | None, alternative: str) -> str:
    if crop is None:
        return "<div class=none>no picture was kept</div>"
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    coded = base64.b64encode(stream.getvalue()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{coded}" width="112" height="112" alt="{alternative}">'


def _parts(parts: FaceParts) -> str:
    rows = "".join(
        f'<dt>{words}</dt><dd class="share-{100 * getattr(parts, name):.0f}">{getattr(parts, name):.2f}</dd>'
        for name, words in _PARTS.items()
    )
    return f"<dl class=parts>{rows}</dl>"


def _made_with(made_with: MadeWith) -> Iterator[str]:
    calibration = made_with.calibration
    database = "" if made_with.database is None else f", those of {_text(made_with.database)} among them"
    yield "<section><h2>What it was made with</h2>" + _facts(
        {
            "model": f"{_text(made_with.model)}, {_count(made_with.people, 'person', 'people')}{database}",
            "labelling": f"<code>{escape(made_with.labelling_digest)}</code>",
            "embedder": _text(str(made_with.network.get("embedder"))),
            "network": f"<code>{escape(made_with.network_digest)}</code>",
            "names": f"thresholds for a false positive rate of {rate_in_words(calibration.max_false_positive_rate)}, "
            f"prior {calibration.prior:g}, {calibration.cohort} neighbours for the levels",
            "gate": f"faces from {calibration.min_face_px:g} px; under {calibration.sharp_below_px:g} px from a "
            f"quality of {calibration.min_quality:g}",
        }
    )
    rows = [[_text(name), _text(value)] for name, value in _flattened("", made_with.network)]
    yield _table("Settings that can change tracks and embeddings", ["setting", "value"], rows, words=2) + "</section>"


def _flattened(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    """Yield nested settings as dotted names with their values."""
    if isinstance(value, Mapping):
        nested: Mapping[Any, Any] = value
        for name, inner in nested.items():
            yield from _flattened(f"{prefix}.{name}" if prefix else str(name), inner)
    else:
        yield prefix, str(value)


def _help() -> str:
    rows = "".join(f"<dt>{word}</dt><dd>{escape(text)}</dd>" for word, text in _HELP.items())
    return f"<section><h2>How to read it</h2><dl class=help>{rows}</dl></section>"


def _facts(facts: Mapping[str, str]) -> str:
    """Return names and values; the values are HTML."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in facts.items())
    return f"<dl class=facts>{rows}</dl>"


def _table(
    caption: str,
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: int = 1,
    marked: Sequence[bool] | None = None,
) -> str:
    """Return a table; its cells are HTML, of which the first ones hold words and the others numbers."""
    kinds = ["" if column < words else " class=n" for column in range(len(header))]
    heads = "".join(f"<th scope=col{kind}>{escape(text)}</th>" for text, kind in zip(header, kinds, strict=True))
    body = "".join(
        f"<tr{' class=reaches' if is_marked else ''}><th scope=row>{row[0]}</th>"
        f"{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row[1:], kinds[1:], strict=True))}</tr>"
        for row, is_marked in zip(rows, marked or [False] * len(rows), strict=True)
    )
    told = escape(caption)
    return (
        f'<div class=wide role=region tabindex=0 aria-label="{told}"><table><caption>{told}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"

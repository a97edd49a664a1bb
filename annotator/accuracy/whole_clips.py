"""Whole clips: whether the people who are named are in them, and when; and what gets a name and is no live person."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise

import numpy as np

from annotator.accuracy.intervals import wilson
from annotator.accuracy.rows import Row, mean_of, share_of
from annotator.accuracy.subjects import Subject
from annotator.accuracy.tracks import SeenTrack, ShownClip, Span
from annotator.accuracy.trial import Trial
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery


def clip_rows(trial: Trial) -> list[Row]:
    """Return how right clips are: who is in them, and when; by names at least so sure as the model's threshold.

    Somebody who is only on a poster or a cartoon of a clip is not in it; such names are told apart.
    """
    identifier = Identifier(Gallery.from_bundle(trial.held.bundle))
    known = {identity.name for identity in identifier.identities}
    labels = iter(identifier.identify([track.evidence for track in trial.tracks]))
    given, pictured, shown, units_given, units_shown = [], [], [], [], []
    overlaps: list[tuple[float, float, float]] = []
    units: list[str] = []
    for clip in trial.clips:
        drawn = _drawn_spans(clip, trial.held.subjects, known)
        on_pictures = {trial.held.subjects[face.photograph].person for face in clip.faces if face.kind != "live"}
        named: dict[str, list[Span]] = {}
        for track in clip.tracks:
            label = next(labels)
            if label.identity is not None:
                named.setdefault(label.identity.name, []).extend(track.spans)
        for name in named:
            given.append(name in drawn)
            pictured.append(name not in drawn and name in on_pictures)
            units_given.append(clip.scene.name)
        for name, spans in drawn.items():
            shown.append(name in named)
            units_shown.append(clip.scene.name)
            if name in named:
                overlaps.append(_in_time(spans, named[name]))
                units.append(clip.scene.name)
    times = np.array(overlaps).reshape(-1, 3)
    return [
        Row("names that are right, of those given to a clip", len(given), {"share": share_of(given, units_given)}),
        Row("names of people who are on a poster there", len(given), {"share": share_of(pictured, units_given)}),
        Row("people who are named, of the known ones in a clip", len(shown), {"share": share_of(shown, units_shown)}),
        Row("time that a name is shown, intersection over union", len(units), {"mean": mean_of(times[:, 0], units)}),
        Row("first appearance, off by (s)", len(units), {"mean": mean_of(times[:, 1] / 1000, units)}),
        Row("last appearance, off by (s)", len(units), {"mean": mean_of(times[:, 2] / 1000, units)}),
    ]


def confusion_rows(trial: Trial) -> list[Row]:
    """Return how often people are taken for each other, by names at least so sure as the model's threshold.

    That two faces seen at once get one name, and that somebody of the gallery gets another's, is what an assignment of
    names to all faces of a frame, or a wider margin between people who look alike, could mend. That somebody has no
    name in one track and has it in another of the same clip is the most that tracks of a clip could lend one another.
    """
    identifier = Identifier(Gallery.from_bundle(trial.held.bundle))
    known = {identity.name for identity in identifier.identities}
    labels = iter(identifier.identify([track.evidence for track in trial.tracks]))
    is_twice: list[bool] = []
    is_mistaken: list[bool] = []
    is_elsewhere: list[bool] = []
    for clip in trial.clips:
        told = [(track, next(labels).identity) for track in clip.tracks]
        named = [(track, trial.subject(track), identity) for track, identity in told if _is_live(track)]
        is_mistaken += [
            identity is not None and identity.name != subject.person
            for _, subject, identity in named
            if subject.person in known
        ]
        right = {subject.person for _, subject, identity in named if identity and identity.name == subject.person}
        is_elsewhere += [
            identity is None and subject.person in right for _, subject, identity in named if subject.person in known
        ]
        is_twice += [
            one[2] is not None and one[2] == other[2]
            for one, other in combinations(named, 2)
            if one[1].key != other[1].key and _are_at_once(one[0].spans, other[0].spans)
        ]
    return [
        _counted("faces of two people, seen at once, that got one name", is_twice),
        _counted("tracks of known people that got the name of another", is_mistaken),
        _counted("tracks of known people without a name, who are named in another of the clip", is_elsewhere),
    ]


def not_live_rows(trial: Trial) -> list[Row]:
    """Return which share of the tracks on posters, cartoons and on nothing that was drawn get a name."""
    identifier = Identifier(Gallery.from_bundle(trial.held.bundle))
    labels = identifier.identify([track.evidence for track in trial.tracks])
    rows = []
    for what, kind in (("posters", "poster"), ("cartoons", "cartoon"), ("nothing that was drawn", None)):
        mine = [(track, label) for track, label in zip(trial.tracks, labels, strict=True) if track.kind == kind]
        named = [label.identity is not None for _, label in mine]
        rows.append(Row(f"tracks on {what}", len(mine), {"named": share_of(named, [track.clip for track, _ in mine])}))
    return rows


def _counted(what: str, hits: Sequence[bool]) -> Row:
    return Row(what, len(hits), {"share": wilson(sum(hits), len(hits))})


def _is_live(track: SeenTrack) -> bool:
    return track.kind == "live" and track.photograph is not None


def _are_at_once(one: Sequence[Span], other: Sequence[Span]) -> bool:
    return any(start < end_other and start_other < end for start, end in one for start_other, end_other in other)


def _drawn_spans(clip: ShownClip, subjects: Mapping[int, Subject], known: set[str]) -> dict[str, list[Span]]:
    spans: dict[str, list[Span]] = {}
    for face in clip.faces:
        person = subjects[face.photograph].person
        if face.kind == "live" and person in known:
            spans.setdefault(person, []).append(face.span)
    return spans


def _in_time(drawn: Sequence[Span], named: Sequence[Span]) -> tuple[float, float, float]:
    """Return the intersection over union of two times, and by how much beginnings and ends differ, in ms."""
    edges = sorted({edge for span in (*drawn, *named) for edge in span})
    both = either = 0
    for start, end in pairwise(edges):
        is_drawn, is_named = (any(a <= start < b for a, b in spans) for spans in (drawn, named))
        both += (end - start) * (is_drawn and is_named)
        either += (end - start) * (is_drawn or is_named)
    first, last = (abs(pick(drawn) - pick(named)) for pick in (_first, _last))
    return both / max(either, 1), float(first), float(last)


def _first(spans: Iterable[Span]) -> int:
    return min(start for start, _ in spans)


def _last(spans: Iterable[Span]) -> int:
    return max(end for _, end in spans)

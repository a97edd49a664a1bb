"""What is found and named in drawn clips, told by what was drawn: the rows of a report on accuracy.

Thresholds come from the people of one part and are used on those of the other; confidences are the model's own.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, Final

import numpy as np

from annotator.accuracy.intervals import F64, Interval, bootstrap, interval_of, share
from annotator.accuracy.judging import judge, judge_in_folds
from annotator.accuracy.measures import (
    MIN_EXPECTED,
    PRIORS,
    RATES,
    Flags,
    JudgedTracks,
    calibration_error,
    found_over,
    nearest_is_right,
    precision_at,
    recall_at,
    score_at_rate,
    strangers_named,
    strangers_over,
)
from annotator.accuracy.scenes import Scene, plan_scene
from annotator.accuracy.subjects import HeldOut, Part, Subject
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip, Span
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery

CONFIDENCES: Final = (0.98, 0.9)
"""From which on names are counted."""

SIZES_PX: Final = (0.0, 32.0, 40.0, 48.0, 64.0, 96.0, np.inf)
"""Bounds of face sizes in tables."""

QUALITIES: Final = (0.0, 0.6, 0.75, 0.9, np.inf)
"""Bounds of the quality of a track's best face; a blurred or turned face has less."""

PHOTOGRAPHS: Final = (1, 2, 3, 5, 9, 1 << 30)
"""Bounds of how many photographs a person has in the gallery."""

ENOUGH_PX: Final = 48.0
ENOUGH_PHOTOGRAPHS: Final = 5
"""Faces of this size, of people with so many photographs, are those of the reach."""

GALLERIES: Final = (24, 100, 300)
"""Smaller galleries that are tried, too."""

_SURE: Final = 0.5  # from which on a name is likelier right than wrong
_TOLD_APART: Final = ("posters", "cartoons")
_OTHERS: Final = 3  # faces that posters and cartoons of one clip may show
_PEOPLE_A_CLIP: Final = (1, 1, 2, 2, 3)
_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table.

    Attributes:
        what: what is told of.
        count: of how many.
        values: by name; None where there is nothing to measure.

    """

    what: str
    count: int
    values: Mapping[str, Interval | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        values = {name: one.to_json() if one else None for name, one in self.values.items()}
        return {"what": self.what, "count": self.count, "values": values}


@dataclass(frozen=True, slots=True)
class Meant:
    """Tracks that a row is about.

    Attributes:
        what: names the row.
        tracks: which, of known people and of strangers.
        people: which known people; strangers all count.

    """

    what: str
    tracks: Callable[[SeenTrack], bool] = lambda _: True
    people: Callable[[Subject], bool] = lambda _: True


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Drawn clips of the people of one part, and what is said of them.

    Attributes:
        held: the gallery and the photographs.
        clips: that were drawn and annotated.
        tracks: all that were found.
        folds: tracks named by galleries that lack a fifth of the people each, so that everybody is a stranger once.

    """

    held: HeldOut
    clips: Sequence[ShownClip]
    tracks: Sequence[SeenTrack] = field(init=False)
    folds: JudgedTracks = field(init=False)

    def __post_init__(self) -> None:
        """Name everybody."""
        put = object.__setattr__
        put(self, "tracks", [track for clip in self.clips for track in clip.tracks])
        put(self, "folds", judge_in_folds(self.tracks, self.held.subjects, self.held.bundle))

    def subject(self, track: SeenTrack) -> Subject:
        """Return who is on a track that lies on a photograph."""
        if track.photograph is None:
            raise ValueError("nothing was drawn there")
        return self.held.subjects[track.photograph]

    def which(self, judged: JudgedTracks, is_meant: Callable[[SeenTrack], bool]) -> Flags:
        """Return bool (N,), which judged tracks are meant."""
        flags = np.array([is_meant(track) for track in self.tracks], np.bool_)
        return np.asarray(flags[judged.tracks], np.bool_)


def plan_clips(held: HeldOut, part: Part, *, sources: Sequence[str], seed: int, most: int | None = None) -> list[Scene]:
    """Plan clips that show each photograph of the people of one part once, among others of them.

    Args:
        held: the photographs.
        part: of the people.
        sources: of the photographs.
        seed: of all that is left to chance.
        most: how many clips; all by default.

    """
    numbers = held.numbers(part, sources=sources)
    random = np.random.default_rng(seed)
    rest = [numbers[place] for place in random.permutation(len(numbers))]
    scenes: list[Scene] = []
    while rest and (most is None or len(scenes) < most):
        count = int(random.choice(_PEOPLE_A_CLIP))
        group, rest = rest[:count], rest[count:]
        others = random.choice(numbers, min(_OTHERS, len(numbers)), replace=False).tolist()
        name = f"{part}-{seed}-{len(scenes):05d}"
        scenes.append(plan_scene(name, group, others=others, seed=int(random.integers(2**31))))
    return scenes


def tables_of(
    trial: Trial,
    limits: Mapping[float, float],
    *,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    seed: int = 0,
) -> dict[str, list[Row]]:
    """Return all rows about some people, by table.

    Args:
        trial: whom is looked for.
        limits: thresholds by rate, of other people.
        groups: by what people are grouped, and the group of each.
        seed: of who is in the smaller galleries.

    """
    found = {
        "precision": precision_rows(trial.folds),
        "recognition": recognition_rows(trial, limits),
        "detection": detection_rows(trial),
        "names and times": clip_rows(trial),
        "not live": not_live_rows(trial),
        "gallery": gallery_rows(trial, seed=seed),
    }
    return found | ({"groups": group_rows(trial, limits, groups)} if groups else {})


def size_of(track: SeenTrack) -> float:
    """Return the largest side of a track's faces, in pixels of the clip; 0 without faces."""
    return float(track.evidence.face_px.max()) if len(track.evidence) else 0.0


def quality_of(track: SeenTrack) -> float:
    """Return the quality of a track's best face; 0 without faces."""
    return float(track.evidence.quality.max()) if len(track.evidence) else 0.0


def thresholds(development: Trial) -> dict[float, float]:
    """Return the scores above which the shares ``RATES`` of strangers' tracks are, among the people of one part."""
    strangers = development.folds.scores[~development.folds.is_known]
    return {rate: score_at_rate(strangers, np.ones(len(strangers)), rate) for rate in RATES}


def detection_rows(trial: Trial) -> list[Row]:
    """Return which share of the drawn faces have a track, by size."""
    found = {(track.clip, track.shot, track.photograph) for track in trial.tracks}
    faces = [face for clip in trial.clips for face in clip.faces if face.kind == "live"]

    def row(what: str, mine: Sequence[SeenFace]) -> Row:
        hits = np.array([(one.clip, one.shot, one.photograph) in found for one in mine], np.bool_)
        return Row(what, len(mine), {"found": _share_of(hits, [one.clip for one in mine])})

    rows = [
        row(_range(low, high, "px"), [face for face in faces if low <= face.face_px < high])
        for low, high in pairwise(SIZES_PX)
    ]
    return [row("all", faces), *rows]


def recognition_rows(trial: Trial, limits: Mapping[float, float]) -> list[Row]:
    """Return how many known people are found at rates of strangers, by what may make it hard.

    Args:
        trial: whom is looked for.
        limits: thresholds by rate, of other people.

    """
    tags = {clip.scene.name: clip.scene.tags() for clip in trial.clips}
    enough = f"at least {ENOUGH_PX:g} px, people with at least {ENOUGH_PHOTOGRAPHS} photographs"
    whose = [
        Meant("all"),
        Meant(enough, _has_enough_pixels, lambda subject: subject.photographs >= ENOUGH_PHOTOGRAPHS),
        *(Meant(_range(*bounds, "px"), partial(_is_between, size_of, *bounds)) for bounds in pairwise(SIZES_PX)),
        *(
            Meant(_range(*bounds, "", "quality"), partial(_is_between, quality_of, *bounds))
            for bounds in pairwise(QUALITIES)
        ),
        *(
            Meant(tag, lambda track, tag=tag: tags[track.clip][tag])  # type: ignore[misc] # of a loop's name
            for tag in next(iter(tags.values()), {})
            if tag not in _TOLD_APART
        ),
        *(
            Meant(_counted(*bounds), _has_enough_pixels, partial(_has_photographs, *bounds))
            for bounds in pairwise(PHOTOGRAPHS)
        ),
    ]
    rows = [found_row(trial, limits, meant) for meant in whose]
    return [row for row in rows if row.count]


def found_row(trial: Trial, limits: Mapping[float, float], meant: Meant) -> Row:
    """Return how many are found among some tracks.

    Args:
        trial: whom is looked for.
        limits: thresholds by rate.
        meant: which tracks.

    """
    folds = trial.folds
    mine = trial.which(folds, lambda track: track.kind == "live" and meant.tracks(track))
    whose = trial.which(folds, lambda track: track.photograph is not None and meant.people(trial.subject(track)))
    part = folds.of(mine & (whose | ~folds.is_known))
    values: dict[str, Interval | None] = {"nearest": nearest_is_right(part)}
    for rate, limit in limits.items():
        values[f"found at {rate:.1%}"] = found_over(part, limit)
        values[f"strangers at {rate:.1%}"] = strangers_over(part, limit)
    return Row(meant.what, int(part.is_known.sum()), values)


def precision_rows(judged: JudgedTracks) -> list[Row]:
    """Return how right names are that are so sure, at each prior."""
    rows = []
    for prior in PRIORS:
        for confidence in CONFIDENCES:
            is_sure = judged.confidences(prior) >= confidence
            named = strangers_named(judged, confidence=confidence, prior=prior)
            values = {
                "precision": precision_at(judged, confidence=confidence, prior=prior),
                "recall": recall_at(judged, confidence=confidence, prior=prior),
                "strangers named": named,
                "calibration error": calibration_error(judged, prior=prior),
                "calibration error of names": calibration_error(judged, prior=prior, least=_SURE),
            }
            rows.append(Row(f"{prior:.1%}, at least {confidence:.0%} sure", int(is_sure.sum()), values))
    return rows


def gallery_rows(trial: Trial, *, seed: int) -> list[Row]:
    """Return what changes when the gallery grows; strangers are always the same, those whom no gallery knows."""
    rows = []
    people = [identity.name for identity in trial.held.bundle.identities]
    order = np.random.default_rng(seed).permutation(len(people))
    for size in [*(size for size in GALLERIES if size < len(people)), len(people)]:
        gallery = Gallery.from_bundle(trial.held.bundle.with_only(np.sort(order[:size])))
        judged = judge(trial.tracks, trial.held.subjects, Identifier(gallery))
        is_nobody = trial.which(
            judged, lambda track: track.photograph is not None and trial.subject(track).person is None
        )
        judged = judged.of(judged.is_known | is_nobody)
        row: dict[str, Interval | None] = {}
        for prior in (0.1, 0.005):
            row[f"precision at {prior:.1%}"] = precision_at(judged, confidence=CONFIDENCES[0], prior=prior)
            row[f"recall at {prior:.1%}"] = recall_at(judged, confidence=CONFIDENCES[0], prior=prior)
        row["strangers named"] = strangers_named(judged, confidence=CONFIDENCES[0], prior=0.1)
        rows.append(Row(f"{size:,} people", int(judged.is_known.sum()), row))
    return rows


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
        Row("names that are right, of those given to a clip", len(given), {"share": _share_of(given, units_given)}),
        Row("names of people who are on a poster there", len(given), {"share": _share_of(pictured, units_given)}),
        Row("people who are named, of the known ones in a clip", len(shown), {"share": _share_of(shown, units_shown)}),
        Row("time that a name is shown, intersection over union", len(units), {"mean": _mean_of(times[:, 0], units)}),
        Row("first appearance, off by (s)", len(units), {"mean": _mean_of(times[:, 1] / 1000, units)}),
        Row("last appearance, off by (s)", len(units), {"mean": _mean_of(times[:, 2] / 1000, units)}),
    ]


def not_live_rows(trial: Trial) -> list[Row]:
    """Return which share of the tracks on posters, cartoons and on nothing that was drawn get a name."""
    identifier = Identifier(Gallery.from_bundle(trial.held.bundle))
    labels = identifier.identify([track.evidence for track in trial.tracks])
    rows = []
    for what, kind in (("posters", "poster"), ("cartoons", "cartoon"), ("nothing that was drawn", None)):
        mine = [(track, label) for track, label in zip(trial.tracks, labels, strict=True) if track.kind == kind]
        named = [label.identity is not None for _, label in mine]
        rows.append(Row(f"tracks on {what}", len(mine), {"named": _share_of(named, [track.clip for track, _ in mine])}))
    return rows


def group_rows(trial: Trial, limits: Mapping[float, float], groups: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Return what is found by groups of people.

    Args:
        trial: whom is looked for.
        limits: thresholds by rate.
        groups: by what people are grouped, and the group of each.

    """
    rows = [
        found_row(trial, limits, Meant(f"{what}: {group}", people=partial(_is_of_group, group_of, group)))
        for what, group_of in groups.items()
        for group in sorted(set(group_of.values()))
    ]
    return [row for row in rows if row.count]


def is_bound_only(judged: JudgedTracks, rate: float) -> bool:
    """Say whether strangers are so few that a rate is a bound more than a number."""
    return rate * strangers_of(judged) < MIN_EXPECTED


def strangers_of(judged: JudgedTracks) -> int:
    """Return how many different strangers there are; people count who are left out."""
    return len({subject for subject, is_known in zip(judged.subjects, judged.is_known, strict=True) if not is_known})


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


def _share_of(hits: Sequence[bool] | Flags, units: Sequence[str]) -> Interval | None:
    if not len(units):
        return None
    flags = np.array(hits, np.bool_)
    value, replicates = bootstrap(units, lambda counts: np.array([share(flags, counts)]))
    return interval_of(float(value[0]), replicates[:, 0])


def _mean_of(values: F64, units: Sequence[str]) -> Interval | None:
    if not len(units):
        return None
    value, replicates = bootstrap(units, lambda counts: np.array([(values * counts).sum() / max(counts.sum(), _TINY)]))
    return interval_of(float(value[0]), replicates[:, 0])


def _has_enough_pixels(track: SeenTrack) -> bool:
    return size_of(track) >= ENOUGH_PX


def _is_between(measure: Callable[[SeenTrack], float], low: float, high: float, track: SeenTrack) -> bool:
    return low <= measure(track) < high


def _has_photographs(low: int, high: int, subject: Subject) -> bool:
    return low <= subject.photographs < high


def _is_of_group(group_of: Mapping[str, str], group: str, subject: Subject) -> bool:
    return group_of.get(subject.person or "") == group


def _range(low: float, high: float, unit: str, what: str = "") -> str:
    shown = f"under {high:g}" if low == 0 else f"from {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
    return " ".join(part for part in (what, shown, unit) if part)


def _counted(low: int, high: int) -> str:
    last = high - 1
    shown = f"{low}" if last == low else f"from {low}" if high > 1 << 20 else f"{low} to {last}"
    return f"people with {shown} photograph{'' if shown == '1' else 's'}, at least {ENOUGH_PX:g} px"

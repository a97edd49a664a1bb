"""What is found and named in drawn clips, told by what was drawn: the tables of a report on accuracy.

Thresholds come from the people of one part and are used on those of the other; confidences are the model's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from annotator.accuracy.judging import judge
from annotator.accuracy.measures import (
    MIN_EXPECTED,
    PRIORS,
    RATES,
    JudgedTracks,
    calibration_error,
    found_over,
    found_over_threshold,
    joined,
    nearest_is_right,
    precision_at,
    recall_at,
    score_at_rate,
    strangers_named,
    strangers_over,
    strangers_over_threshold,
)
from annotator.accuracy.rows import Row, share_of
from annotator.accuracy.subjects import Subject
from annotator.accuracy.tracks import SeenFace, SeenTrack
from annotator.accuracy.trial import Trial, quality_of, size_of
from annotator.accuracy.whole_clips import clip_rows, confusion_rows, not_live_rows
from annotator.recognition.decision import Identifier
from annotator.recognition.gallery import Gallery
from annotator.types import I64

if TYPE_CHECKING:
    from annotator.accuracy.intervals import Interval

CONFIDENCES: Final = (0.98, 0.9)
"""From which on names are counted."""

SIZES_PX: Final = (0.0, 32.0, 40.0, 48.0, 64.0, 96.0, np.inf)
"""Bounds of face sizes in tables."""

QUALITIES: Final = (0.0, 0.6, 0.75, 0.9, np.inf)
"""Bounds of the quality of a track's best face; a blurred or turned face has less."""

PHOTOGRAPHS: Final = (1, 2, 3, 4, 5, 9, 1 << 30)
"""Bounds of how many photographs a person has in the gallery."""

ENOUGH_PX: Final = 48.0
ENOUGH_PHOTOGRAPHS: Final = 5
"""Faces of this size, of people with so many photographs, are those of the reach."""

GALLERIES: Final = {24: 10, 100: 5, 300: 3, 600: 3}
"""Smaller galleries that are tried, too, by their people: how many galleries of so many, drawn anew."""

_SURE: Final = 0.5  # from which on a name is likelier right than wrong
_TOLD_APART: Final = ("posters", "cartoons")


@dataclass(frozen=True, slots=True)
class Meant:
    """Tracks that a row is about.

    Attributes:
        what: names the row.
        tracks: which, of known people and of strangers.
        people: which known people.
        strangers: which strangers; people who are left out of the gallery are some.

    """

    what: str
    tracks: Callable[[SeenTrack], bool] = lambda _: True
    people: Callable[[Subject], bool] = lambda _: True
    strangers: Callable[[Subject], bool] = lambda _: True


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
        "calibration": calibration_rows(trial),
        "recognition": recognition_rows(trial, limits),
        "detection": detection_rows(trial),
        "names and times": clip_rows(trial),
        "confusion": confusion_rows(trial),
        "not live": not_live_rows(trial),
        "gallery": gallery_rows(trial, seed=seed),
    }
    return found | ({"groups": group_rows(trial, limits, groups)} if groups else {})


def thresholds(development: Trial) -> dict[float, float]:
    """Return the logarithms of likelihood ratios above which the shares ``RATES`` of strangers' tracks are.

    The model's own thresholds are scores of one likelihood ratio, too: a large face needs a higher score.

    Args:
        development: people of one part, who are not those that are reported on.

    """
    strangers = development.folds.log_ratios[~development.folds.is_known]
    return {rate: score_at_rate(strangers, np.ones(len(strangers)), rate) for rate in RATES}


def detection_rows(trial: Trial) -> list[Row]:
    """Return which share of the drawn faces have a track, by size."""
    found = {(track.clip, track.shot, track.photograph) for track in trial.tracks}
    faces = [face for clip in trial.clips for face in clip.faces if face.kind == "live"]

    def row(what: str, mine: Sequence[SeenFace]) -> Row:
        hits = np.array([(one.clip, one.shot, one.photograph) in found for one in mine], np.bool_)
        return Row(what, len(mine), {"found": share_of(hits, [one.clip for one in mine])})

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
    is_known, is_stranger = (
        trial.which(folds, lambda track, of=of: track.photograph is not None and of(trial.subject(track)))  # type: ignore[misc] # of a loop's name
        for of in (meant.people, meant.strangers)
    )
    part = folds.of(mine & np.where(folds.is_known, is_known, is_stranger))
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


def calibration_rows(trial: Trial) -> list[Row]:
    """Return how far confidences are from precisions, by the size of the face."""
    rows = []
    for low, high in pairwise(SIZES_PX[1:]):
        part = trial.folds.of(trial.which(trial.folds, partial(_is_between, size_of, low, high)))
        # Of few people, or few strangers, it says more of who they are than of confidences.
        is_told = min(_known_people_of(part), strangers_of(part)) >= MIN_EXPECTED
        errors = {
            f"{prior:.0%} known": calibration_error(part, prior=prior) if is_told else None for prior in PRIORS[:2]
        }
        rows.append(Row(_range(low, high, "px"), len(part), errors))
    return rows


def gallery_rows(trial: Trial, *, seed: int) -> list[Row]:
    """Return what changes when the gallery grows; strangers are always the same, those whom no gallery knows.

    Small galleries are drawn several times, for who is in them decides much; all of them count together.
    """
    people = len(trial.held.bundle.identities)
    draws = {size: count for size, count in GALLERIES.items() if size < people} | {people: 1}
    random = np.random.default_rng(seed)
    rows = []
    for size, count in draws.items():
        judged = joined([_before(trial, np.sort(random.permutation(people)[:size])) for _ in range(count)])
        row: dict[str, Interval | None] = {}
        for prior in (0.1, 0.005):
            row[f"precision at {prior:.1%}"] = precision_at(judged, confidence=CONFIDENCES[0], prior=prior)
            row[f"recall at {prior:.1%}"] = recall_at(judged, confidence=CONFIDENCES[0], prior=prior)
        row["found"] = found_over_threshold(judged)
        row["strangers named"] = strangers_over_threshold(judged)
        for prior in PRIORS[:2]:
            sure = strangers_named(judged, confidence=CONFIDENCES[1], prior=prior)
            row[f"strangers {CONFIDENCES[1]:.0%} sure at {prior:.1%}"] = sure
        drawn = f", {count} galleries" if count > 1 else ""
        rows.append(Row(f"{size:,} people{drawn}", int(judged.is_known.sum()), row))
    return rows


def _before(trial: Trial, places: I64) -> JudgedTracks:
    """Return the tracks of strangers, and of some people of the gallery, before a gallery of these people."""
    gallery = Gallery.from_bundle(trial.held.bundle.with_only(places))
    judged = judge(trial.tracks, trial.held.subjects, Identifier(gallery))
    is_nobody = trial.which(judged, lambda track: track.photograph is not None and trial.subject(track).person is None)
    return judged.of(judged.is_known | is_nobody)


def group_rows(trial: Trial, limits: Mapping[float, float], groups: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """Return what is found by groups of people, and how many strangers of the same group get a name.

    Strangers of a group are its people who are left out of the gallery in turn, and those whom the groups name.

    Args:
        trial: whom is looked for.
        limits: thresholds by rate.
        groups: by what people are grouped, and the group of each.

    """
    rows = [
        found_row(trial, limits, Meant(f"{what}: {group}", people=is_mine, strangers=is_mine))
        for what, group_of in groups.items()
        for group in sorted(set(group_of.values()))
        for is_mine in (partial(_is_of_group, group_of, group),)
    ]
    return [row for row in rows if row.count]


def is_bound_only(judged: JudgedTracks, rate: float) -> bool:
    """Say whether strangers are so few that a rate is a bound more than a number."""
    return rate * strangers_of(judged) < MIN_EXPECTED


def strangers_of(judged: JudgedTracks) -> int:
    """Return how many different strangers there are; people count who are left out."""
    return len({subject for subject, is_known in zip(judged.subjects, judged.is_known, strict=True) if not is_known})


def _known_people_of(judged: JudgedTracks) -> int:
    return len({subject for subject, is_known in zip(judged.subjects, judged.is_known, strict=True) if is_known})


def _has_enough_pixels(track: SeenTrack) -> bool:
    return size_of(track) >= ENOUGH_PX


def _is_between(measure: Callable[[SeenTrack], float], low: float, high: float, track: SeenTrack) -> bool:
    return low <= measure(track) < high


def _has_photographs(low: int, high: int, subject: Subject) -> bool:
    return low <= subject.photographs < high


def _is_of_group(group_of: Mapping[str, str], group: str, subject: Subject) -> bool:
    return group_of.get(subject.person or subject.key) == group


def _range(low: float, high: float, unit: str, what: str = "") -> str:
    shown = f"under {high:g}" if low == 0 else f"from {low:g}" if np.isinf(high) else f"{low:g} to {high:g}"
    return " ".join(part for part in (what, shown, unit) if part)


def _counted(low: int, high: int) -> str:
    last = high - 1
    shown = f"{low}" if last == low else f"from {low}" if high > 1 << 20 else f"{low} to {last}"
    return f"people with {shown} photograph{'' if shown == '1' else 's'}, at least {ENOUGH_PX:g} px"

"""The rows of a report: on clips whose every answer is known by counting."""

from pathlib import Path

import numpy as np
import pytest

from annotator.accuracy.enrolling import enrolled_rows
from annotator.accuracy.evaluation import (
    GALLERIES,
    Meant,
    calibration_rows,
    detection_rows,
    found_row,
    gallery_rows,
    group_rows,
    precision_rows,
    recognition_rows,
    thresholds,
)
from annotator.accuracy.intervals import Interval
from annotator.accuracy.measures import RATES
from annotator.accuracy.priors import prior_rows
from annotator.accuracy.scenes import Kind, plan_scene
from annotator.accuracy.subjects import PARTS, HeldOut, Subject, part_of
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip, Span
from annotator.accuracy.trial import Trial, plan_clips
from annotator.accuracy.whole_clips import clip_rows, confusion_rows, not_live_rows
from annotator.recognition.bundle import ModelBundle
from annotator.types import TrackEvidence
from tests.made_up_bundles import PEOPLE, SIZE, direction_of, identity_of, unit, write_made_up_bundle

STRANGERS = 60
KNOWN = range(PEOPLE)
UNKNOWN = range(1000, 1000 + STRANGERS)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> ModelBundle:
    return write_made_up_bundle(tmp_path_factory.mktemp("bundle") / "bundle")


@pytest.fixture(scope="module")
def held(bundle: ModelBundle) -> HeldOut:
    subjects = {number: Subject(identity_of(number).name, identity_of(number).name, 5, "gallery") for number in KNOWN}
    subjects |= {number: Subject(f"stranger {number}", None, 0, "strangers") for number in UNKNOWN}
    return HeldOut(bundle, {number: Path(f"{number}.png") for number in subjects}, subjects)


def evidence(like: int, *, face_px: float = 100.0) -> TrackEvidence:
    noise = np.random.default_rng(like).normal(0, 0.05, (2, SIZE))
    embeddings = unit(direction_of(like) + noise).astype(np.float16)
    return TrackEvidence(embeddings, np.full(2, face_px, np.float16), np.full(2, 0.9, np.float16))


def clip(
    number: int,
    *,
    like: int | None = None,
    face_px: float = 100.0,
    kind: Kind = "live",
    spans: tuple[Span, ...] = ((0, 1000),),
    is_found: bool = True,
) -> ShownClip:
    """Return a clip of one face from 0 to 1,000 ms, and what is found of it."""
    scene = plan_scene(f"clip{number}-{kind}", [number], others=[], seed=number)
    face = SeenFace(scene.name, 0, number, kind, face_px, (0, 1000))
    seen = evidence(number if like is None else like, face_px=face_px)
    tracks = (SeenTrack(scene.name, 0, number, kind, seen, spans),) if is_found else ()
    return ShownClip(scene, (face,), tracks)


def everybody() -> list[ShownClip]:
    return [clip(number) for number in (*KNOWN, *UNKNOWN)]


def value(row_value: Interval | None) -> float:
    assert row_value is not None
    return row_value.value


def test_faces_found_are_counted_by_size(held: HeldOut) -> None:
    clips = [clip(0, face_px=30), clip(1, face_px=30, is_found=False), clip(2, face_px=70)]
    rows = {row.what: row for row in detection_rows(Trial(held, clips))}
    assert (rows["all"].count, value(rows["all"].values["found"])) == (3, pytest.approx(2 / 3))
    assert value(rows["under 32 px"].values["found"]) == pytest.approx(0.5)
    assert value(rows["64 to 96 px"].values["found"]) == 1.0
    assert rows["from 96 px"].values["found"] is None


def test_thresholds_are_ratios_that_strangers_exceed_so_often(held: HeldOut) -> None:
    trial = Trial(held, everybody())
    limits = thresholds(trial)
    ratios = trial.folds.log_ratios[~trial.folds.is_known]
    assert set(limits) == set(RATES)
    for rate, limit in limits.items():
        assert (ratios > limit).mean() <= rate
    assert limits[0.01] <= limits[0.001]


def test_known_people_are_found_and_strangers_are_not(held: HeldOut) -> None:
    trial = Trial(held, everybody())
    row = found_row(trial, {0.01: 0.5}, Meant("all"))
    assert row.count == PEOPLE
    assert value(row.values["nearest"]) == value(row.values["found at 1.0%"]) == 1.0
    assert value(row.values["strangers at 1.0%"]) == 0.0


def test_people_taken_for_each_other_are_counted(held: HeldOut) -> None:
    right, mistaken, stranger = clip(0), clip(1, like=2), clip(UNKNOWN[0])
    twice = ShownClip(right.scene, right.faces, (*right.tracks, *clip(1, like=0).tracks, *clip(0).tracks))
    later = ShownClip(right.scene, right.faces, (*right.tracks, *clip(1, like=0, spans=((1000, 2000),)).tracks))
    at_once, other, _ = confusion_rows(Trial(held, [right, mistaken, stranger, twice, later]))

    # Of four pairs one is of a person drawn twice, and one is not seen at once.
    assert (at_once.count, value(at_once.values["share"])) == (2, 1.0)
    assert (other.count, value(other.values["share"])) == (7, pytest.approx(3 / 7))


def test_who_has_a_name_in_one_track_of_a_clip_only_is_counted(held: HeldOut) -> None:
    right, missed = clip(0), clip(0, like=UNKNOWN[0])
    both = ShownClip(right.scene, right.faces, (*right.tracks, *missed.tracks))
    row = confusion_rows(Trial(held, [right, missed, both, clip(UNKNOWN[1])]))[-1]
    assert (row.count, value(row.values["share"])) == (4, 0.25)


def test_who_is_taken_for_somebody_else_is_not_found(held: HeldOut) -> None:
    clips = [clip(number, like=(number + 1) % PEOPLE if number < 10 else None) for number in KNOWN]
    row = found_row(Trial(held, [*clips, *map(clip, UNKNOWN)]), {0.01: 0.5}, Meant("all"))
    assert value(row.values["nearest"]) == pytest.approx((PEOPLE - 10) / PEOPLE, abs=0.02)


def test_rows_by_size_have_tracks_of_that_size_only(held: HeldOut) -> None:
    clips = [clip(number, face_px=40 if number % 2 else 100) for number in (*KNOWN, *UNKNOWN)]
    rows = {row.what: row for row in recognition_rows(Trial(held, clips), {0.01: 0.5})}
    assert rows["40 to 48 px"].count == rows["from 96 px"].count == PEOPLE // 2
    assert "48 to 64 px" not in rows
    assert rows["people with 5 to 8 photographs, at least 48 px"].count == PEOPLE // 2
    assert any("people with at least 5 photographs" in what for what in rows)


def test_precision_is_told_at_each_prior(held: HeldOut) -> None:
    rows = precision_rows(Trial(held, everybody()).folds)
    assert [row.what for row in rows[:2]] == ["50.0%, at least 98% sure", "50.0%, at least 90% sure"]
    assert len(rows) == 8
    assert all(value(row.values["precision"]) == 1.0 for row in rows if row.count)


def test_strangers_who_are_taken_for_somebody_enrolled_by_a_track_are_counted(held: HeldOut) -> None:
    # Two strangers are enrolled, one by small faces; each has a double among the strangers who come later.
    small, large = UNKNOWN[0], UNKNOWN[1]
    development = Trial(held, [clip(small, face_px=50), clip(large, face_px=70), clip(0)])
    doubles = [clip(UNKNOWN[2], like=small), clip(UNKNOWN[3], like=large)]
    test = Trial(held, [*doubles, clip(UNKNOWN[4]), clip(UNKNOWN[5], face_px=20), clip(1), clip(2, kind="poster")])
    rows = enrolled_rows(development, test)
    assert [row.what for row in rows] == ["2 people, faces of any size", "1 people, faces from 64 px"]
    assert [(row.count, value(row.values["share"])) for row in rows] == [
        (3, pytest.approx(2 / 3)),
        (3, pytest.approx(1 / 3)),
    ]


def test_calibration_errors_are_told_by_size(held: HeldOut) -> None:
    clips = [clip(number, face_px=40 if number % 2 else 100) for number in (*KNOWN, *UNKNOWN)]
    rows = {row.what: row for row in calibration_rows(Trial(held, clips))}
    assert list(rows) == ["32 to 40 px", "40 to 48 px", "48 to 64 px", "64 to 96 px", "from 96 px"]
    assert rows["40 to 48 px"].count > 0
    assert rows["64 to 96 px"].values["50% known"] is None
    assert 0 <= value(rows["from 96 px"].values["10% known"]) < 0.5
    (row,) = [row for row in calibration_rows(Trial(held, clips[:4])) if row.what == "from 96 px"]
    assert row.count > 0
    assert row.values["10% known"] is None, "of so few it says who they are"


def test_a_clip_is_right_in_whom_and_when(held: HeldOut) -> None:
    clips = [
        clip(0),
        clip(1, spans=((0, 500),)),
        clip(2, like=3),
        clip(1000),
        clip(4, is_found=False),
    ]
    rows = {row.what: row for row in clip_rows(Trial(held, clips))}
    given = rows["names that are right, of those given to a clip"]
    shown = rows["people who are named, of the known ones in a clip"]
    assert (given.count, value(given.values["share"])) == (3, pytest.approx(2 / 3))
    assert (shown.count, value(shown.values["share"])) == (4, pytest.approx(1 / 2))
    assert value(rows["time that a name is shown, intersection over union"].values["mean"]) == pytest.approx(0.75)
    assert value(rows["first appearance, off by (s)"].values["mean"]) == 0.0
    assert value(rows["last appearance, off by (s)"].values["mean"]) == pytest.approx(0.25)


def test_who_is_on_a_poster_is_not_in_the_clip(held: HeldOut) -> None:
    rows = {row.what: row for row in clip_rows(Trial(held, [clip(0), clip(1, kind="poster"), clip(2, like=3)]))}
    assert value(rows["names that are right, of those given to a clip"].values["share"]) == pytest.approx(1 / 3)
    assert value(rows["names of people who are on a poster there"].values["share"]) == pytest.approx(1 / 3)


def test_posters_and_cartoons_are_told_apart(held: HeldOut) -> None:
    clips = [clip(0, kind="poster"), clip(1, kind="poster", like=1000), clip(2, kind="cartoon", like=1001), clip(3)]
    rows = {row.what: row for row in not_live_rows(Trial(held, clips))}
    assert (rows["tracks on posters"].count, value(rows["tracks on posters"].values["named"])) == (2, 0.5)
    assert value(rows["tracks on cartoons"].values["named"]) == 0.0
    assert rows["tracks on nothing that was drawn"].values["named"] is None


def test_smaller_galleries_know_fewer(held: HeldOut) -> None:
    rows = gallery_rows(Trial(held, everybody()), seed=1)
    several = GALLERIES[24]
    expected = [(f"24 people, {several} galleries", 24 * several), (f"{PEOPLE} people", PEOPLE)]
    assert [(row.what, row.count) for row in rows] == expected
    assert [value(row.values["found"]) for row in rows] == [1.0, 1.0]


def test_strangers_before_a_small_gallery_are_counted_at_the_models_own_threshold(held: HeldOut) -> None:
    # 15 of the strangers are taken for somebody: by some galleries of 24 people, and by that of all.
    clips = [clip(number, like=number - UNKNOWN[0] if number < UNKNOWN[0] + 15 else None) for number in UNKNOWN]
    some, whole = gallery_rows(Trial(held, [*map(clip, KNOWN), *clips]), seed=1)
    assert value(whole.values["strangers named"]) == pytest.approx(15 / STRANGERS)
    assert 0 < value(some.values["strangers named"]) < value(whole.values["strangers named"])


def test_groups_of_people_are_told_one_by_one(held: HeldOut) -> None:
    groups = {"region": {identity_of(number).name: "north" if number < 10 else "south" for number in KNOWN}}
    rows = group_rows(Trial(held, everybody()), {0.01: 0.5}, groups)
    assert [(row.what, row.count) for row in rows] == [("region: north", 10), ("region: south", 30)]


def test_strangers_of_a_group_are_those_of_the_group(held: HeldOut) -> None:
    # People of the north are taken for others of it when they are left out; nobody else is.
    clips = [clip(number, like=(number + 1) % 10 if number < 10 else None) for number in KNOWN]
    groups = {"region": {identity_of(number).name: "north" if number < 10 else "south" for number in KNOWN}}
    groups["of strangers"] = {f"stranger {UNKNOWN[0]}": "named"}
    north, south = group_rows(Trial(held, [*clips, *map(clip, UNKNOWN)]), {0.01: 0.5}, groups)
    assert value(north.values["strangers at 1.0%"]) > 0.5
    assert value(south.values["strangers at 1.0%"]) == 0.0


def test_where_nobody_of_a_group_is_a_stranger_nothing_is_told(held: HeldOut) -> None:
    trial = Trial(held, everybody())
    row = found_row(trial, {0.01: 0.5}, Meant("nobody", strangers=lambda _: False))
    assert row.values["strangers at 1.0%"] is None
    assert value(row.values["found at 1.0%"]) == 1.0


def test_shares_of_known_people_are_estimated_of_archives_whose_share_is_known(held: HeldOut) -> None:
    rows = prior_rows(Trial(held, everybody()), archives=2)
    assert [row.what for row in rows] == ["50.0%", "10.0%", "2.0%", "0.5%"]
    half, tenth, *_ = (value(row.values["estimate"]) for row in rows)
    assert 0.3 < half < 0.6
    assert 0.05 < tenth < 0.15
    assert prior_rows(Trial(held, []), archives=2) == []


def test_each_photograph_of_a_part_is_drawn_once_and_nobody_of_the_other_part(bundle: ModelBundle) -> None:
    subjects = {number: Subject(f"{number}", None, 0, "strangers", part_of(f"{number}")) for number in range(60)}
    held = HeldOut(bundle, {}, subjects)
    for part in PARTS:
        scenes = plan_clips(held, part, sources=["strangers"], seed=3)
        appearances = [one for scene in scenes for shot in scene.shots for one in shot.appearances]
        assert {one.photograph for one in appearances if one.kind == "live"} == set(held.numbers(part))
        assert {one.photograph for one in appearances} <= set(held.numbers(part))
        assert scenes == plan_clips(held, part, sources=["strangers"], seed=3)
        assert plan_clips(held, part, sources=["strangers"], seed=3, most=2) == scenes[:2]

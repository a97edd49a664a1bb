"""Scenes are planned by chance, the same for the same seed, and of one photograph for each face."""

from dataclasses import asdict

import pytest

from annotator.accuracy.scenes import MAX_FACE_PX, MIN_FACE_PX, Scene, plan_scene

MANY = 300


def many() -> list[Scene]:
    return [plan_scene(str(seed), range(1 + seed % 3), others=[7, 8], seed=seed) for seed in range(MANY)]


def test_equal_seeds_make_equal_scenes_and_others_make_others() -> None:
    assert [asdict(one) for one in many()] == [asdict(one) for one in many()]
    assert plan_scene("a", [1], others=[], seed=1) != plan_scene("a", [1], others=[], seed=2)


def test_everybody_asked_for_is_seen_and_nobody_else_is_alive() -> None:
    for seed, scene in enumerate(many()):
        live = {one.photograph for shot in scene.shots for one in shot.appearances if one.kind == "live"}
        others = {one.photograph for shot in scene.shots for one in shot.appearances if one.kind != "live"}
        assert live == set(range(1 + seed % 3))
        assert others <= {7, 8}


def test_at_most_two_people_share_a_shot_and_nobody_is_there_twice() -> None:
    for scene in many():
        for shot in scene.shots:
            live = [one.photograph for one in shot.appearances if one.kind == "live"]
            assert len(live) == len(set(live)) <= 2


def test_faces_are_as_large_as_in_clips_and_stay_in_the_frame() -> None:
    for scene in many():
        for one in (one for shot in scene.shots for one in shot.appearances):
            for place in (one.first, one.last):
                assert MIN_FACE_PX - 0.01 <= place.face_px <= MAX_FACE_PX
                assert 0.0 < place.x < 1.0
                assert 0.15 < place.y < 0.65


def test_each_frame_has_a_delay() -> None:
    for scene in many():
        assert len(scene.delays_ms) == sum(shot.frames for shot in scene.shots)
        assert min(scene.delays_ms) >= 20


@pytest.mark.parametrize("tag", list(many()[0].tags()))
def test_everything_that_makes_clips_hard_is_in_some_and_not_in_most(tag: str) -> None:
    share = sum(scene.tags()[tag] for scene in many()) / MANY
    assert 0.02 < share < 0.75, share


def test_without_other_faces_there_are_no_posters() -> None:
    scenes = [plan_scene("a", [1], others=[], seed=seed) for seed in range(MANY)]
    assert not any(scene.tags()["posters"] or scene.tags()["cartoons"] for scene in scenes)

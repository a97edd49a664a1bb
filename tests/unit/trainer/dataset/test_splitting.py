from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.dataset.splitting import Family, Side, read_sides, sides_text, split_families
from trainer.problems import ProblemsError


def sha(number: int) -> str:
    return f"{number:064x}"


def alone(*numbers: int, person: str = "Lenna") -> list[Family]:
    return [Family((sha(number),), (person,)) for number in numbers]


def val_of(sides: dict[str, Side]) -> set[str]:
    return {content for content, side in sides.items() if side == "val"}


def test_each_person_gives_the_share_that_is_asked_for() -> None:
    families = [*alone(*range(20), person="A"), *alone(*range(100, 140), person="B")]
    sides = dict(split_families(families, val_share=0.1, kept={}).sides)
    assert val_of(sides) == {sha(0), sha(1), sha(100), sha(101), sha(102), sha(103)}


def test_the_order_of_photographs_plays_no_part() -> None:
    families = alone(*range(30))
    assert split_families(families, val_share=0.2, kept={}) == split_families(families[::-1], val_share=0.2, kept={})


def test_who_has_two_photographs_is_trained_on_only_and_a_share_of_0_evaluates_on_none() -> None:
    assert val_of(dict(split_families(alone(1, 2), val_share=0.1, kept={}).sides)) == set()
    assert val_of(dict(split_families(alone(1, 2, 3), val_share=0.1, kept={}).sides)) == {sha(1)}
    assert val_of(dict(split_families(alone(1, 2, 3), val_share=0.0, kept={}).sides)) == set()


def test_a_family_goes_to_one_side_as_a_whole() -> None:
    families = [Family((sha(1), sha(2), sha(3)), ("Lenna",)), *alone(4, 5, 6, 7, 8, 9, 10)]
    sides = dict(split_families(families, val_share=0.3, kept={}).sides)
    assert val_of(sides) == {sha(1), sha(2), sha(3)}
    sides = dict(split_families(families, val_share=0.1, kept={}).sides)
    assert val_of(sides) == {sha(4)}  # the family is larger than what is wanted


def test_a_photograph_keeps_its_side_whatever_is_added() -> None:
    before = split_families(alone(*range(100, 120)), val_share=0.1, kept={}).sides
    after = split_families(alone(*range(200)), val_share=0.1, kept=before)
    assert {content: after.sides[content] for content in before} == before
    assert after.moved == ()


def test_photographs_that_are_gone_keep_their_side_for_when_they_return() -> None:
    kept: dict[str, Side] = {sha(7): "val"}
    assert split_families(alone(1, 2, 3), val_share=0.1, kept=kept).sides[sha(7)] == "val"


def test_a_photograph_that_joins_both_sides_takes_the_evaluation_over_to_training() -> None:
    kept: dict[str, Side] = {sha(1): "train", sha(2): "val", sha(3): "val"}
    joined = [Family((sha(1), sha(2), sha(9)), ("Lenna",)), *alone(3)]
    split = split_families(joined, val_share=0.5, kept=kept)
    assert [split.sides[sha(number)] for number in (1, 2, 9, 3)] == ["train", "train", "train", "val"]
    assert split.moved == (sha(2),)


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=5, unique=True), max_size=12),
    st.floats(0, 0.9),
)
def test_no_family_is_ever_on_both_sides_and_nothing_goes_from_training_to_evaluation(
    groups: list[list[int]], val_share: float
) -> None:
    seen: set[int] = set()
    families = []
    for group in groups:
        fresh = [number for number in group if number not in seen]
        seen |= set(fresh)
        if fresh:
            families.append(Family(tuple(sorted(sha(number) for number in fresh)), (f"p{fresh[0] % 3}",)))
    first = split_families(families[::2], val_share=val_share, kept={})
    second = split_families(families, val_share=val_share, kept=first.sides)
    for family in families:
        assert len({second.sides[content] for content in family.contents}) == 1
    assert all(second.sides[content] == "train" for content, side in first.sides.items() if side == "train")


def test_sides_are_written_and_read_again_and_a_line_by_hand_that_is_wrong_is_told(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    sides: dict[str, Side] = {sha(2): "val", sha(1): "train"}
    path.write_text(sides_text(sides))
    assert read_sides(path) == sides
    assert read_sides(tmp_path / "none.csv") == {}
    path.write_text(sides_text(sides) + "abc,val\n" + f"{sha(5)},test\n")
    with pytest.raises(ProblemsError) as raised:
        read_sides(path)
    assert [problem.line for problem in raised.value.problems] == [4, 5]

"""Whom somebody may have meant who has written a name wrongly."""

import time
from itertools import product

import pytest

from annotator.store.near_names import near_keys

_KNOWN = (
    "arnold schwarzenegger",
    "barack obama",
    "jennifer aniston",
    "jennifer lopez",
    "joe biden",
    "leonardo dicaprio",
    "maria",
)


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("jenifer", ["jennifer aniston", "jennifer lopez"]),
        ("ejnnifer", ["jennifer aniston", "jennifer lopez"]),
        ("obamma", ["barack obama"]),
        ("0bama", ["barack obama"]),
        ("swarzeneger", ["arnold schwarzenegger"]),
        ("jenifer anniston", ["jennifer aniston"]),
        ("biden joe", ["joe biden"]),
        ("leo nardo dicaprio", ["leonardo dicaprio"]),
        ("leonardo dicaprio jr", ["leonardo dicaprio"]),
        ("maria maria", ["maria"]),
        ("", []),
        ("x", []),
        ("zzyzx", []),
        ("jennifer obama", []),
    ],
)
def test_names_are_near_by_their_words(typed: str, near: list[str]) -> None:
    assert near_keys(typed, _KNOWN) == near


def test_a_name_without_a_key_is_near_to_none() -> None:
    assert near_keys("zzyzx", ["", "leonardo dicaprio"]) == []
    assert near_keys("leo nardo dicaprio", ["", "leonardo dicaprio"]) == ["leonardo dicaprio"]


def test_names_with_the_very_word_come_first() -> None:
    assert near_keys("maria", ["mario abel", "maria zorn"]) == ["maria zorn", "mario abel"]


def test_a_word_without_end_is_not_compared_for_ever() -> None:
    began_s = time.process_time()
    assert near_keys("x" * 200 + " " + "y" * 200, _KNOWN) == []
    assert time.process_time() - began_s < 1.0


def test_ten_thousand_people_are_compared_while_a_page_is_made() -> None:
    syllables = ("ba", "ne", "ri", "to", "lu", "sha", "mar", "den", "kov", "jo")
    words = ["".join(parts) for parts in product(syllables, repeat=3)]
    known = [f"{words[place % 1000]} {words[(place * 37) % 991]}" for place in range(10_000)]
    began_s = time.process_time()
    assert near_keys("banerri", known)
    assert time.process_time() - began_s < 0.3, "some 20 ms where nothing else is done"

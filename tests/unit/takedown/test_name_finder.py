"""Names within texts: found however people write them, and replaced where they stand; other words stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.recognition.tombstone import folded, without_marks
from annotator.store.takedowns.name_finder import GONE, NameFinder

FINDER = NameFinder.of(["Zoë Ada Ek", "Ada Byron", "Person 03", "Zendaya", "Li Na", "Shaquille O'Neal"], ["/m/0ada"])
WRITTEN = {
    "Ada.Byron.1080p.mp4": f"{GONE}.1080p.mp4",
    "AdaByron.gif": f"{GONE}.gif",
    "adabyron-hd.gif": f"{GONE}-hd.gif",
    "clip AdaByronLaughs.gif": f"clip {GONE}Laughs.gif",
    "https://x.org/Ada%20Byron.gif?b=1": f"https://x.org/{GONE}.gif?b=1",
    "https://x.org/@adabyron": f"https://x.org/@{GONE}",
    "Byron, Ada.gif": f"{GONE}.gif",
    "Byron%2C%20Ada.gif": f"{GONE}.gif",
    "Ek, Zoe Ada and others": f"{GONE} and others",
    "Ada Ek, Zoë": GONE,
    "Ada (Byron).gif": f"{GONE}.gif",
    "of ADA  BYRON\u2014and of ada\u2014byron": f"of {GONE}\u2014and of {GONE}",
    "by zoe_ada-EK2.gif": f"by {GONE}2.gif",
    "Zoe\u0308 Ada Ek's": f"{GONE}'s",
    "a/Zo%C3%AB%20Ada%20Ek/b": f"a/{GONE}/b",
    "a/Zo%EB%20Ada%20Ek/b": f"a/{GONE}/b",
    r"{\"of\": \"\nZo\u00eb Ada Ek\"}": r"{\"of\": \"\n[taken down]\"}",
    "shaquille o neal, Shaquille O\u2019Neal": f"{GONE}, {GONE}",
    "zendaya.gif": f"{GONE}.gif",
    "ZENDAYA": GONE,
    "see https://g.co/kg/m/0ada.": f"see https://g.co/kg{GONE}.",
    "Kim_[m.0ada]": f"Kim_{GONE}",
    "?kgmid=%2Fm%2F0ada": f"?kgmid={GONE}",
}
OTHERS = (
    *(
        "Nada Byron",
        "Ada Byrony",
        "Person 031",
        "a Zendaya fan",
        "Lina says: Li, Nathan.",
        "Lina",
        "/m/0adam",
        "m.0ada",
    ),
    *(
        "https://x.org/m/0ada",
        '["Ada", "Byron", 1]',
        "/ada/byron/1.gif",
        "adabyron is a word",
        "",
        "%",
        "\\",
        "\u0308",
        "!!!",
    ),
)


@pytest.mark.parametrize("written", WRITTEN)
def test_a_name_goes_however_it_is_written(written: str) -> None:
    assert FINDER.without(written) == WRITTEN[written]
    assert FINDER.is_within(written) or FINDER.is_alone(written.partition(".")[0])


@pytest.mark.parametrize("text", [one for one in OTHERS if one != "Lina"])
def test_what_is_no_name_stays(text: str) -> None:
    assert FINDER.without(text) == text


def test_a_name_that_stands_alone_goes_under_any_key() -> None:
    assert FINDER.without({"zendaya": ["/m/0ada", {"a": "lina"}, 3, None]}) == {GONE: [GONE, {"a": GONE}, 3, None]}


def test_a_name_of_signs_is_found_nowhere() -> None:
    finder = NameFinder.of(["!!!", "? !"])
    assert [finder.without(one) for one in ("", "!!!", "a ? !")] == ["", "!!!", "a ? !"]


@given(st.text(max_size=20))
def test_a_text_is_written_otherwise_letter_for_letter(text: str) -> None:
    assert folded(text) == "".join(map(folded, text))
    assert without_marks(text) == "".join(map(without_marks, text))


@given(st.text(max_size=12), st.text(max_size=12))
def test_what_is_found_is_replaced(before: str, after: str) -> None:
    text = f"{before} Ada Byron {after}"
    assert FINDER.is_within(text)
    assert not FINDER.is_within(FINDER.without(text))

"""A name is what can be seen of it."""

import re

import pytest

from annotator.names import fault_of_name


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace",
        "50 Cent",
        "Beyoncé Knowles",
        "Beyonce\u0301 Knowles",  # decomposed
        "Nguye\u0302\u0303n Thi\u0323\u0302 Minh Khai",  # decomposed, two marks on a letter
        "שָׁלוֹם",
        "नरेंद्र मोदी",
        "ประยุทธ์ จันทร์โอชา",
        "علی\u200cرضا بیرانوند",  # noqa: RUF001 - the joiner parts what belongs together
        "葛\ufe00城",  # one way to draw the first of the two
        "❤\ufe0f Heart",
        "Ke$ha, a.k.a. Kesha (b. 1987)",
    ],
)
def test_names_of_all_scripts_are_names(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "nothing of it"),
        (" \u3000 ", "nothing of it"),
        ("_", "no letter and no digit"),
        ("(…)", "no letter and no digit"),
        ("x" * 201, "more than 200 characters"),
        ("\u3164", r"cannot be seen \(U\+3164\)"),
        ("Ada\u115f", "cannot be seen"),
        ("Ada\u2800Lovelace", "cannot be seen"),
        ("Ada\u00ad Lovelace", "cannot be seen"),
        ("A\u202eda", r"cannot be seen \(U\+202E\)"),
        ("Ada\x00", "cannot be seen"),
        ("Ada\nLovelace", r"cannot be seen \(U\+000A\)"),
        ("Ada\ud800", r"cannot be seen \(U\+D800\)"),
        ("A\u200dda", "cannot be seen"),  # a joiner joins nothing there
        ("علی\u200c رضا", "cannot be seen"),
        ("Ada\ufe0f", "cannot be seen"),
        ("Ada" + "\u0301" * 5, "more than 4 marks"),
        ("Ada \u0301Lovelace", r"on no letter \(U\+0301\)"),
        ("\u0301Ada", "on no letter"),
    ],
)
def test_what_cannot_be_seen_is_no_name(name: str, fault: str) -> None:
    found = fault_of_name(name)
    assert found is not None
    assert re.search(fault, found)

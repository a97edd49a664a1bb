"""Who and what is refused, and why."""

import datetime as dt
from dataclasses import replace

import pytest

from trainer.collect.commons import CommonsFile
from trainer.collect.dates import Stretch, is_adult, of_text, of_wikibase
from trainer.collect.licences import is_allowed
from trainer.collect.rules import folded, refused_file, refused_person
from trainer.collect.wikidata import Item

TODAY = dt.date(2026, 1, 1)
BORN = Stretch(dt.date(1980, 5, 6), dt.date(1980, 5, 6))
JANE = Item("Q1", ("Jane Doe",), "American actor", True, BORN, True, frozenset(), ("Jane.jpg",), "Jane Doe")
PHOTO = CommonsFile(
    title="File:Jane Doe 2010.jpg",
    page_url="https://commons.wikimedia.org/wiki/File:Jane_Doe_2010.jpg",
    picture_url="https://upload.wikimedia.org/x/960px-x.jpg",
    width_px=3000,
    height_px=2000,
    mime="image/jpeg",
    author="Joe",
    credit="Own work",
    licence_code="cc-by-sa-4.0",
    licence_name="CC BY-SA 4.0",
    licence_url="",
    is_non_free=False,
    restrictions=("personality",),
    categories=("Jane Doe",),
    description="Jane Doe at a festival",
    captions=(),
    taken=(Stretch(dt.date(2010, 1, 1), dt.date(2010, 12, 31)),),
)


def why_not(**changes: object) -> str | None:
    return refused_file(replace(PHOTO, **changes), JANE, TODAY)  # type: ignore[arg-type]


def test_a_licensed_photograph_of_an_adult_is_taken_and_a_mark_of_personality_rights_does_not_hinder() -> None:
    assert why_not() is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"is_human": False}, "not a human"),
        ({"born": None}, "no date of birth"),
        ({"born": Stretch(dt.date(2008, 1, 1), dt.date(2008, 12, 31))}, "under 18 today"),
        ({"has_occupation": False}, "no occupation"),
        ({"category": None, "pictures": ()}, "no picture"),
    ],
)
def test_somebody_who_is_no_adult_public_figure_is_refused_with_the_reason(
    changes: dict[str, object], said: str
) -> None:
    assert refused_person(JANE, TODAY) is None
    assert said in str(refused_person(replace(JANE, **changes), TODAY))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("File:Statue of Jane Doe.jpg", "statue"),
        ("File:Jane_Doe_wax_figure.jpg", "wax figure"),
        ("File:Jane Doe, Madame Tussauds London.jpg", "wax figure"),
        ("File:Wachsfigur Jane Doe.jpg", "wax figure"),
        ("File:Grave of Jane Doe.jpg", "grave"),
        ("File:Jane Doe's headstone.jpg", "grave"),
        ("File:Tumba de Jane Doe.jpg", "grave"),
        ("File:Jane Doe look-alike.jpg", "look-alike"),
        ("File:Jane Doe lookalike contest.jpg", "look-alike"),
        ("File:Impersonators of Jane Doe.jpg", "look-alike"),
        ("File:Jane Doe cosplay.jpg", "look-alike"),
        ("File:AI-generated portrait of Jane Doe.jpg", "generated"),
        ("File:Jane Doe by Stable Diffusion.jpg", "generated"),
        ("File:Jane Doe (Midjourney).jpg", "generated"),
        ("File:Deepfake Jane Doe.jpg", "generated"),
        ("File:Caricature of Jane Doe.jpg", "drawing"),
        ("File:Jane Doe mural, Lisbon.jpg", "drawing"),
    ],
)
@pytest.mark.parametrize("where", ["title", "categories", "description", "captions"])
def test_what_is_no_photograph_of_the_living_person_is_refused_wherever_it_is_said(
    text: str, kind: str, where: str
) -> None:
    said = text if where == "title" else (text,) if where in {"categories", "captions"} else text
    assert kind in str(why_not(**{where: said}))


@pytest.mark.parametrize("name", ["Rupert Graves", "Ruby Wax", "Bust Rhymes"])
def test_a_name_is_no_reason(name: str) -> None:
    person = replace(JANE, names=(name,))
    file = replace(PHOTO, title=f"File:{name.replace(' ', '_')} 2010.jpg", categories=(name,), description=name)
    assert refused_file(file, person, TODAY) is None
    assert refused_file(replace(file, description=f"Grave of {name}"), person, TODAY) is not None


@pytest.mark.parametrize(
    "description", ["At San Diego Comic-Con", "with the Pussycat Dolls", "an engraver", "tombola", "Gravesend"]
)
def test_words_that_only_look_like_one_of_them_are_no_reason(description: str) -> None:
    assert why_not(description=description) is None


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("cc-by-2.0", "CC BY 2.0"),
        ("cc-by-sa-3.0-de", "CC BY-SA 3.0 de"),
        ("cc0", "CC0"),
        ("pd", "Public domain"),
        ("", "CC BY-SA 2.5"),
    ],
)
def test_licences_of_the_list_are_taken(code: str, name: str) -> None:
    assert is_allowed(code, name)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("", ""),
        ("", "GFDL"),
        ("cc-by-nc-2.0", "CC BY-NC 2.0"),
        ("cc-by-nd-4.0", "CC BY-ND 4.0"),
        ("cc-by-sa-4.0", "CC BY-NC-SA 4.0"),
        ("", "All rights reserved"),
        ("cc-by-sa-9.0", "CC BY-SA 9.0"),
        ("cc-by-4.0\nevil", "CC BY 4.0"),
        ("", "CC BY 4.0 except faces"),
    ],
)
def test_other_licences_are_refused(code: str, name: str) -> None:
    assert not is_allowed(code, name)
    assert "licence not on the list" in str(why_not(licence_code=code, licence_name=name))


def test_a_licence_that_asks_for_the_author_needs_one() -> None:
    assert "no author" in str(why_not(author=""))
    assert why_not(author="", licence_code="cc0", licence_name="CC0") is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mime": "image/svg+xml"}, "format"),
        ({"mime": "video/webm"}, "format"),
        ({"is_non_free": True}, "non-free"),
        ({"width_px": 100}, "smaller"),
        ({"width_px": 0}, "smaller"),
        ({"width_px": 100_000, "height_px": 100_000}, "larger"),
        ({"picture_url": ""}, "no address"),
        ({"taken": ()}, "no date"),
        ({"taken": (Stretch(dt.date(2031, 1, 1), dt.date(2031, 1, 1)),)}, "future"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_reason(changes: dict[str, object], said: str) -> None:
    assert said in str(why_not(**changes))


@pytest.mark.parametrize(
    ("taken", "is_taken"),
    [("1998-05-06", True), ("1998-05-05", False), ("1998", False), ("1999", True), ("May 1998", False)],
)
def test_a_picture_must_surely_be_taken_eighteen_years_after_birth(taken: str, is_taken: bool) -> None:  # noqa: FBT001
    stretch = of_text(taken)
    assert stretch is not None
    assert (why_not(taken=(stretch,)) is None) is is_taken


def test_the_earliest_of_several_dates_counts() -> None:
    scanned, year = of_text("2012-04-05"), of_text("1990")
    assert scanned is not None
    assert year is not None
    assert "before the person was 18 (1990)" in str(why_not(taken=(scanned, year)))


def test_a_birth_that_is_known_by_its_year_counts_from_the_end_of_it() -> None:
    born = of_wikibase({"time": "+1980-00-00T00:00:00Z", "precision": 9})
    assert born is not None
    assert not is_adult(born, dt.date(1998, 12, 30))
    assert is_adult(born, dt.date(1998, 12, 31))


def test_a_leap_day_comes_of_age_on_the_first_of_march() -> None:
    born = Stretch(dt.date(2000, 2, 29), dt.date(2000, 2, 29))
    assert not is_adult(born, dt.date(2018, 2, 28))
    assert is_adult(born, dt.date(2018, 3, 1))


@pytest.mark.parametrize(
    ("text", "earliest", "latest"),
    [
        ('<time class="dtstart" datetime="2009-07-04 10:00">4 July 2009, 10:00</time>', "2009-07-04", "2009-07-04"),
        ("Taken on 6 June 2010, 12:00", "2010-06-06", "2010-06-06"),
        ("June 6, 2010", "2010-06-06", "2010-06-06"),
        ("June 2010", "2010-06-01", "2010-06-30"),
        ("2010:06:06 12:00:00", "2010-06-06", "2010-06-06"),
        ("2010-06", "2010-06-01", "2010-06-30"),
        ("between 2001 and 2004", "2001-01-01", "2004-12-31"),
        ("circa 2004", "1999-01-01", "2004-12-31"),
        ("1990s", "1990-01-01", "1990-12-31"),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, earliest: str, latest: str) -> None:
    stretch = of_text(text)
    assert stretch is not None
    assert (stretch.earliest.isoformat(), stretch.latest.isoformat()) == (earliest, latest)


@pytest.mark.parametrize(
    "text", ["", "unknown", "before 1999", "20th century", "2010-13-45", "uploaded 2010", 7.5, None, ["2010"]]
)
def test_what_is_no_date_of_taking_is_none(text: object) -> None:
    assert of_text(text) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"time": "+1980-05-06T00:00:00Z"},
        {"time": "+1980-00-00T00:00:00Z", "precision": 8},
        {"time": "-0044-03-15T00:00:00Z", "precision": 11},
        {"time": "+1980-02-31T00:00:00Z", "precision": 11},
        {"time": "+99999-01-01T00:00:00Z", "precision": 11},
        {"time": 1980, "precision": 11},
        {"time": "+1980-05-06T00:00:00Z", "precision": "11"},
    ],
)
def test_a_time_of_wikibase_that_is_vague_or_impossible_is_none(value: dict[str, object]) -> None:
    assert of_wikibase(value) is None


def test_texts_are_compared_without_accents_and_case() -> None:
    assert folded("ZOË_Kravitz") == folded("zoe kravitz")

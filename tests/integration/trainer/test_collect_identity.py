"""Who is meant by a label: found by id or name, doubted, or refused."""

import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from annotator.media.limits import FetchLimits
from tests.integration.trainer.wikimedia_server import Wikimedia, answers, item_claim, serving, value_claim
from trainer.collect.cache import DiskCache
from trainer.collect.client import Pace, PoliteClient
from trainer.collect.identity import Decision, Doubt, Finding, Match, Nobody, Wanted, identify
from trainer.collect.wikidata import Wikidata

TODAY = dt.date(2026, 1, 1)


@pytest.fixture
def wikimedia() -> Iterator[Wikimedia]:
    with serving(Wikimedia()) as state:
        yield state


def wikidata_of(wikimedia: Wikimedia, folder: Path) -> Wikidata:
    pace = Pace(api_interval_s=0.0, picture_interval_s=0.0, tries=2, first_wait_s=0.01)
    cache = DiskCache(folder, max_age_s=0.0)
    return Wikidata(PoliteClient(wikimedia.services(), agent="test", cache=cache, pace=pace))


def find(wikimedia: Wikimedia, folder: Path, label: str, decisions: Mapping[str, Decision] | None = None) -> Finding:
    people = [Wanted.of_label(label)]
    return identify(people, wikidata_of(wikimedia, folder), decisions=decisions or {}, today=TODAY)[label]


def test_a_knowledge_graph_id_finds_its_item_among_namesakes(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="Jane Doe")
    wikimedia.add_person("Q2", "Jane Doe", category="Jane Doe (singer)", kg_id="/m/01abc_")
    wikimedia.add_person("Q3", "Billie Doe", category="Billie Doe", kg_id="/g/11c75y")
    found = find(wikimedia, tmp_path, "Jane_Doe_[m.01abc_]")
    assert isinstance(found, Match)
    assert (found.item.item_id, found.how) == ("Q2", "Knowledge Graph id")
    found = find(wikimedia, tmp_path, "Billie_Doe_[g.11c75y]")
    assert isinstance(found, Match)
    assert found.item.item_id == "Q3"


def test_many_ids_are_asked_together(wikimedia: Wikimedia, tmp_path: Path) -> None:
    labels = [f"Person_{number}_[m.0{number}]" for number in range(30)]
    for number in range(30):
        wikimedia.add_person(f"Q{number + 1}", f"Person {number}", kg_id=f"/m/0{number}", category="x")
    people = [Wanted.of_label(label) for label in labels]
    found = identify(people, wikidata_of(wikimedia, tmp_path), decisions={}, today=TODAY)
    assert [one.item.item_id for one in found.values() if isinstance(one, Match)] == [f"Q{n + 1}" for n in range(30)]
    assert len(wikimedia.asked) <= 6
    assert not any("wbsearchentities" in path for path in wikimedia.asked)


def test_an_id_whose_item_bears_another_name_is_a_doubt(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Somebody Else", category="x", kg_id="/m/01abc_")
    found = find(wikimedia, tmp_path, "Jane_Doe_[m.01abc_]")
    assert isinstance(found, Doubt)
    assert found.why == "the item with the id /m/01abc_ is called Somebody Else"


def test_an_id_that_two_items_have_is_a_doubt(wikimedia: Wikimedia, tmp_path: Path) -> None:
    for item_id in ("Q1", "Q2"):
        wikimedia.add_person(item_id, "Jane Doe", category="x", kg_id="/m/01abc_")
    found = find(wikimedia, tmp_path, "Jane_Doe_[m.01abc_]")
    assert isinstance(found, Doubt)
    assert [item.item_id for item in found.candidates] == ["Q1", "Q2"]


def test_a_deprecated_id_or_birth_does_not_count(wikimedia: Wikimedia, tmp_path: Path) -> None:
    entity = wikimedia.add_person("Q1", "Jane Doe", category="x")
    entity["claims"]["P646"] = [value_claim("/m/01abc_", "deprecated")]
    entity["claims"]["P569"].append(value_claim({"time": "+2020-01-01T00:00:00Z", "precision": 11}, "deprecated"))
    found = find(wikimedia, tmp_path, "Jane_Doe_[m.01abc_]")
    assert isinstance(found, Match)
    assert found.how == "name"


def test_an_accent_a_dot_or_another_name_is_no_other_person(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Beyoncé", category="x", kg_id="/m/01", aliases=["J. Lo"])
    assert isinstance(find(wikimedia, tmp_path, "Beyonce_[m.01]"), Match)
    assert isinstance(find(wikimedia, tmp_path, "J_Lo_[m.01]"), Match)


def test_a_name_that_one_human_bears_is_found_and_things_of_that_name_do_not_count(
    wikimedia: Wikimedia, tmp_path: Path
) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x")
    wikimedia.add_person("Q2", "Jane Doe", kind="Q11424")  # a film
    wikimedia.add_person("Q3", "Jane Doe Smith", category="x")
    found = find(wikimedia, tmp_path, "Jane_Doe")
    assert isinstance(found, Match)
    assert (found.item.item_id, found.how) == ("Q1", "name")


def test_a_name_that_is_only_given_for_all_languages_is_found(wikimedia: Wikimedia, tmp_path: Path) -> None:
    entity = wikimedia.add_person("Q1", "Jane Doe", category="x", kg_id="/m/01")
    entity["labels"] = {"mul": {"language": "mul", "value": "Jane Doe"}}
    assert isinstance(find(wikimedia, tmp_path, "Jane_Doe_[m.01]"), Match)


def test_namesakes_are_a_doubt_even_where_only_one_is_a_public_figure(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x")
    wikimedia.add_person("Q2", "Jane Doe", occupation="")
    found = find(wikimedia, tmp_path, "Jane_Doe")
    assert isinstance(found, Doubt)
    assert found.why == "2 people have this name"


def test_a_description_tells_namesakes_apart(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x", description="American tennis player (born 1970)")
    wikimedia.add_person("Q2", "Jane Doe", category="x", description="British painter")
    found = find(wikimedia, tmp_path, "Jane_Doe_(tennis_player)")
    assert isinstance(found, Match)
    assert (found.item.item_id, found.how) == ("Q1", "name and description")
    found = find(wikimedia, tmp_path, "Jane_Doe_(chess_player)")
    assert isinstance(found, Doubt)
    assert len(found.candidates) == 2


def test_an_item_with_another_knowledge_graph_id_is_a_doubt(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x", kg_id="/m/0other")
    assert isinstance(find(wikimedia, tmp_path, "Jane_Doe_[m.01abc_]"), Doubt)


def test_nobody_of_the_name_is_nobody(wikimedia: Wikimedia, tmp_path: Path) -> None:
    assert find(wikimedia, tmp_path, "Jane_Doe") == Nobody("no human at Wikidata has this name")


def test_a_merged_item_is_followed(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q9", "Jane Doe", category="x")
    wikimedia.merged["Q5000"] = "Q9"
    found = find(wikimedia, tmp_path, "Jane_Doe", {"Jane_Doe": Decision("Q5000")})
    assert isinstance(found, Match)
    assert (found.item.item_id, found.how) == ("Q9", "decided")


def test_a_decision_goes_before_everything_but_not_before_the_rules(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x")
    wikimedia.add_person("Q2", "Other Name", category="x", born="2015-01-01")
    decided = {"Jane_Doe": Decision("Q2")}
    assert find(wikimedia, tmp_path, "Jane_Doe", decided) == Nobody("under 18 today", "Q2")
    assert isinstance(find(wikimedia, tmp_path, "Jane_Doe", {"Jane_Doe": Decision(None)}), Nobody)
    assert find(wikimedia, tmp_path, "Jane_Doe", {"Jane_Doe": Decision("Q77")}) == Nobody(
        "the item decided upon is not there", "Q77"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"kind": "Q95074"}, "not a human"),
        ({"born": ""}, "no date of birth"),
        ({"born": "1970-00-00", "precision": 7}, "no date of birth"),
        ({"born": "2010-01-01"}, "under 18"),
        ({"occupation": ""}, "no occupation"),
        ({"category": ""}, "no picture"),
    ],
)
def test_somebody_found_by_id_of_whom_nothing_may_be_collected_is_refused(
    wikimedia: Wikimedia, tmp_path: Path, facts: dict[str, object], said: str
) -> None:
    wikimedia.add_person("Q1", "Jane Doe", **({"category": "x", "kg_id": "/m/01"} | facts))
    found = find(wikimedia, tmp_path, "Jane_Doe_[m.01]")
    assert isinstance(found, Nobody)
    assert said in found.why
    assert found.item_id == "Q1"


def test_two_births_of_which_one_is_recent_are_no_adult(wikimedia: Wikimedia, tmp_path: Path) -> None:
    entity = wikimedia.add_person("Q1", "Jane Doe", category="x")
    entity["claims"]["P569"].append(value_claim({"time": "+2012-01-01T00:00:00Z", "precision": 11}))
    assert find(wikimedia, tmp_path, "Jane_Doe") == Nobody("under 18 today", "Q1")


@pytest.mark.parametrize(
    "body",
    [
        b'{"search": 7, "query": [], "entities": "x"}',
        b'{"search": [1, null, {"id": 7}, {"id": "P31"}, {"id": "../Q1"}], "query": {"search": {"title": 1}}}',
        b'{"entities": {"Q1": [], "Q2": {"id": 5}, "Q3": {"id": "Q3", "claims": [], "labels": [{"value": 1}]}}}',
        b'{"entities": {"Q1": {"id": "Q1", "claims": {"P31": [1, {"mainsnak": 2}], "P569": "x"}, "aliases": []}}}',
    ],
)
def test_answers_of_other_shapes_are_nobody(wikimedia: Wikimedia, tmp_path: Path, body: bytes) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="x", kg_id="/m/01")
    wikimedia.faults = [("wikidata", answers(200, body, "application/json")) for _ in range(4)]
    assert isinstance(find(wikimedia, tmp_path, "Jane_Doe_[m.01]"), Nobody)


def test_a_name_that_the_search_refuses_is_nobody(wikimedia: Wikimedia, tmp_path: Path) -> None:
    body = b'{"error": {"code": "invalid-search", "info": "no"}}'
    wikimedia.faults = [("wbsearchentities", answers(200, body, "application/json"))]
    found = find(wikimedia, tmp_path, "Jane_Doe")
    assert isinstance(found, Nobody)
    assert "invalid-search" in found.why


def test_items_that_are_too_much_at_once_are_asked_one_by_one(wikimedia: Wikimedia, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        wikimedia.add_person(f"Q{number}", "Jane Doe", category="x")
    limits = FetchLimits(max_bytes=1500, timeout_s=20.0)
    cache = DiskCache(tmp_path, max_age_s=0.0)
    wikidata = Wikidata(PoliteClient(wikimedia.services(), agent="test", cache=cache, limits=limits))
    assert set(wikidata.items(["Q1", "Q2", "Q3"])) == {"Q1", "Q2", "Q3"}
    assert len(wikimedia.asked) == 4


def test_an_id_that_cannot_be_is_not_asked_for(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikidata = wikidata_of(wikimedia, tmp_path)
    assert wikidata.items(["Q0", "Q2147483648", "Q99999999999", "P31", "Q1|Q2", "q1"]) == {}
    assert wikimedia.asked == []


def test_somebody_of_two_kinds_is_human_if_one_of_them_is(wikimedia: Wikimedia, tmp_path: Path) -> None:
    entity = wikimedia.add_person("Q1", "Jane Doe", category="x")
    entity["claims"]["P31"] = [item_claim("Q15632617"), item_claim("Q5")]
    assert isinstance(find(wikimedia, tmp_path, "Jane_Doe"), Match)


def test_a_preferred_statement_goes_before_the_others(wikimedia: Wikimedia, tmp_path: Path) -> None:
    entity = wikimedia.add_person("Q1", "Jane Doe", category="x")
    entity["claims"]["P569"].append(value_claim({"time": "+2012-01-01T00:00:00Z", "precision": 11}, "preferred"))
    entity["claims"]["P569"].append(value_claim({"time": "+1900-01-01T00:00:00Z", "precision": 7}))
    assert find(wikimedia, tmp_path, "Jane_Doe") == Nobody("under 18 today", "Q1")

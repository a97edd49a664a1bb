"""labels.csv is read and written in the form of the GIPHY release."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotator.errors import ModelError
from annotator.recognition.labels import format_label, parse_label, read_labels, write_labels
from annotator.types import Identity


@pytest.mark.parametrize(
    ("label", "identity"),
    [
        ("50_Cent_[m.01vvyc_]", Identity("50 Cent", "/m/01vvyc_")),
        ("Adam_Bartley_[g.11cs12bg7b]", Identity("Adam Bartley", "/g/11cs12bg7b")),
        ("Amar'e_Stoudemire", Identity("Amar'e Stoudemire")),
        ("Penélope_Cruz", Identity("Penélope Cruz")),
        ("No_Id_[m.]", Identity("No Id [m.]")),
    ],
)
def test_a_label_names_a_person_and_the_knowledge_graph_id(label: str, identity: Identity) -> None:
    assert parse_label(label) == identity
    assert format_label(identity) == label


NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@given(st.lists(st.builds(Identity, NAMES, st.none() | st.from_regex(r"/[mg]/[0-9a-z_]{1,12}", fullmatch=True))))
def test_people_come_back_as_they_were_written(people: list[Identity]) -> None:
    people = list({person.name: person for person in people}.values())
    assert list(read_labels(write_labels(people))) == people


def test_both_headers_are_read() -> None:
    assert read_labels("Label,Index\nA,0\n") == read_labels("Labels,Index\nA,0\n") == (Identity("A"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin"),
        ("Name,Index\nA,0\n", "must begin"),
        ("Label,Index\nA,1\n", "line 2"),
        ("Label,Index\nA,0\nB,zero\n", "line 3"),
        ("Label,Index\nA\n", "line 2"),
        ("Label,Index\nA_B,0\nA B,1\n", "a name twice"),
        ("Label,Index\n_,0\n", "is no name"),
        ("Label,Index\nA\u202eB,0\n", "cannot be seen"),
        ("Label,Index\n" + "x" * 201 + ",0\n", "is no name"),
        ('Label,Index\n"A,0\n', "no CSV"),
    ],
)
def test_a_broken_file_is_one_line_of_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        read_labels(text)
    assert "\n" not in str(caught.value)


def test_an_odd_knowledge_graph_id_cannot_be_written() -> None:
    with pytest.raises(ModelError, match="no Knowledge Graph id"):
        format_label(Identity("A", "Q42"))


@pytest.mark.shared
def test_the_labels_of_the_release_are_read(shared_data: Path) -> None:
    people = read_labels((shared_data / "giphy_labels.csv").read_text(encoding="utf-8"))
    assert len(people) == 2306
    assert people[0] == Identity("50 Cent", "/m/01vvyc_")
    assert all(person.kg_mid for person in people)

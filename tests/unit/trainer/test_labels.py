from pathlib import Path

import pytest

from trainer.labels import inspect_label_table, read_label_table, write_label_table
from trainer.problems import ProblemsError


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(path: Path) -> list[int | None]:
    return [problem.line for problem in inspect_label_table(path)[1]]


@pytest.mark.parametrize("header", ["Label,Index", "Labels,Index"])
def test_both_headers_are_read_and_indices_may_have_gaps(tmp_path: Path, header: str) -> None:
    table = read_label_table(written(tmp_path, f"{header}\n50_Cent_[m.01vvyc_],0\nBrad_Pitt,3\n"))
    first, second = table.labels
    assert (first.identity.name, first.identity.kg_mid, first.index) == ("50 Cent", "/m/01vvyc_", 0)
    assert (second.text, second.index, second.line) == ("Brad_Pitt", 3, 3)


def test_a_file_saved_by_a_spreadsheet_with_a_byte_order_mark_and_blank_lines_is_read(tmp_path: Path) -> None:
    table = read_label_table(written(tmp_path, "\ufeffLabel,Index\r\nBrad_Pitt,0\r\n\r\n,\r\nLenna,1\r\n"))
    assert [(label.text, label.line) for label in table.labels] == [("Brad_Pitt", 2), ("Lenna", 5)]


def test_everything_that_is_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    lines = [
        "Name,Index",
        "Brad_Pitt,0",
        "Brad_Pitt,1",  # a name twice
        "Lenna,0",  # an index twice
        "Nobody",  # a column is missing
        ",7",  # no name
        "Two,x",  # no index
        "A_[m.01],8",
        "B_[m.01],9",  # one person under two names
        "Minus,-1",
        "Far,99999999999",
    ]
    path = written(tmp_path, "\n".join(lines) + "\n")
    with pytest.raises(ProblemsError, match="9 problems") as raised:
        read_label_table(path)
    assert [problem.line for problem in raised.value.problems] == [1, 3, 4, 5, 6, 7, 9, 10, 11]
    told = [str(problem) for problem in raised.value.problems]
    assert all(one.startswith(f"{path}:") for one in told)
    assert "the name of line 2, Brad_Pitt" in told[1]
    assert "the index of line 2, Brad_Pitt" in told[2]
    assert "the Knowledge Graph id of line 8, A_[m.01]" in told[6]


def test_a_quotation_mark_that_is_never_closed_is_told_with_the_line_where_it_begins(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, 'Label,Index\nBrad_Pitt,0\n"Lenna,1\n')) == [3]


def test_bytes_that_are_no_text_and_a_missing_file_are_problems(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(b"Label,Index\n\xff\xfe,0\n")
    assert lines_of(tmp_path / "labels.csv") == [None]
    assert lines_of(tmp_path / "none.csv") == [None]


def test_labels_that_name_nobody_are_a_problem(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, "Label,Index\n")) == [None]


def test_a_label_that_would_leave_its_folder_is_refused(tmp_path: Path) -> None:
    assert lines_of(written(tmp_path, "Label,Index\nBrad_Pitt,0\n../../etc,1\nAC/DC,2\n..,3\n")) == [3, 4, 5]


def test_a_folder_is_found_by_the_label_or_by_the_name_alone(tmp_path: Path) -> None:
    table = read_label_table(written(tmp_path, "Label,Index\n50_Cent_[m.01vvyc_],0\nBeyonc\u00e9,1\n"))
    assert table.of_folder("50_Cent") is table.of_folder("50_Cent_[m.01vvyc_]") is table.labels[0]
    assert table.of_folder("Beyonce\u0301") is table.labels[1]  # as some file systems write it
    assert table.of_folder("Somebody") is None


def test_labels_are_written_from_folders_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    assert write_label_table(path, ["Lenna", "50_Cent_[m.01vvyc_]"]) == 2
    assert [label.text for label in read_label_table(path).labels] == ["50_Cent_[m.01vvyc_]", "Lenna"]
    with pytest.raises(ProblemsError):
        write_label_table(path, ["Lenna"])


@pytest.mark.shared
def test_the_list_of_the_original_release_is_read_whole(shared_data: Path) -> None:
    table = read_label_table(shared_data / "giphy_labels.csv")
    assert len(table.labels) == 2306
    assert {label.index for label in table.labels} == set(range(2306))

from pathlib import Path

import numpy as np
import pytest

from tests.giphy_files import labels_text
from trainer.giphy.labels import read_class_labels
from trainer.problems import ProblemsError

PATH = Path("resources/labels.csv")
PEOPLE = [
    "50_Cent_[m.01vvyc_]",
    "Zoe",
    "Aaron_Paul_[m.07s3hp]",
    "aaron_carter",
    "Élodie_Yung",
    "A_B_[m.0b]",
    "A_[m.0a]",
]


def problems_of(content: bytes) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        read_class_labels(content, PATH)
    return [str(problem) for problem in caught.value.problems]


def test_a_class_is_the_rank_of_the_whole_label_by_code_points() -> None:
    found = read_class_labels(labels_text(PEOPLE), PATH)
    names = "50_Cent_[m.01vvyc_] A_B_[m.0b] A_[m.0a] Aaron_Paul_[m.07s3hp] Zoe aaron_carter Élodie_Yung"
    assert found == tuple(names.split())


def test_neither_the_order_of_rows_nor_the_index_nor_the_header_says_anything() -> None:
    wanted = read_class_labels(labels_text(PEOPLE), PATH)
    shuffled = np.random.default_rng(1).permutation(PEOPLE).tolist()
    assert shuffled != PEOPLE
    texts = [
        "Label,Index\n" + "".join(f"{name},{7 * place + 3}\n" for place, name in enumerate(PEOPLE)),
        "Name,Number\r\n" + "".join(f"{name},{place}\r\n" for place, name in enumerate(shuffled)),
        "Label\n" + "\n".join(reversed(PEOPLE)),
        "\ufeffLabel,Index,Note\n" + "".join(f'"{name}",none,x\n' for name in shuffled),
    ]
    for text in texts:
        assert read_class_labels(text.encode(), PATH) == wanted


def test_the_2306_labels_of_the_release_parse_whole(shared_data: Path) -> None:
    content = (shared_data / "giphy_labels.csv").read_bytes()
    found = read_class_labels(content, PATH)
    assert len(found) == 2306
    assert found[0] == "50_Cent_[m.01vvyc_]"
    header, *rows = content.decode().splitlines()
    assert header == "Labels,Index"
    for row in rows:
        label, index = row.rsplit(",", 1)
        assert found[int(index)] == label  # the release itself has no gap
    with_gaps = [f"{row.rsplit(',', 1)[0]},{9 * number}" for number, row in enumerate(rows)]
    shuffled = np.random.default_rng(2).permutation(with_gaps).tolist()
    assert read_class_labels("\n".join([header, *shuffled]).encode(), PATH) == found


def test_all_that_is_wrong_is_told_with_its_line() -> None:
    text = "Label,Index\nA_[m.0a],0\n\nB,1\nA_[m.0a],2\nC\u200b,3\n,4\nB_[m.0b],5\nD,6\n"
    assert problems_of(text.encode()) == [
        f"{PATH}:3: '' is no name: nothing of it can be seen",
        f"{PATH}:5: 'A' stands in line 2 already: keep one of them",
        f"{PATH}:6: 'C\\u200b' is no name: it has a letter that cannot be seen (U+200B)",
        f"{PATH}:7: '' is no name: nothing of it can be seen",
        f"{PATH}:8: 'B' stands in line 4 already: keep one of them",
    ]


@pytest.mark.parametrize(
    "content", [b"", b"Label,Index\n", b"\xff\xfe\x00", b"Label,Index\n" + b"x" * 200_000 + b",1\n"]
)
def test_what_is_no_list_of_labels_is_one_problem(content: bytes) -> None:
    assert len(problems_of(content)) == 1

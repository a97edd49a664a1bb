import base64
import io
import re
from pathlib import Path

import numpy as np
from PIL import Image

from trainer.doctor.findings import Diagnosis, Finding, Person, Picture
from trainer.doctor.report import MAX_PICTURES, report_html, thumbnail


def test_names_cannot_become_markup_and_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    name = '<script>alert("x")</script>'
    finding = Finding("no_face", f"{name} shows none", (name,), (Picture(f"{name}.jpg", name),))
    page = report_html(Diagnosis(name, (finding,), (Person(name, False, 1, 0, None),)), tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_pictures_are_inside_and_those_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    Image.fromarray(np.full((300, 400, 3), 90, np.uint8)).save(tmp_path / "a.jpg")
    pictures = (Picture("a.jpg", "whole", (100, 100, 200, 200)), Picture("none.jpg", "gone"))
    page = report_html(Diagnosis("example", (Finding("wrong_person", "x", (), pictures),), ()), tmp_path)
    (content,) = re.findall(r"base64,([^\"]+)\"", page)
    assert Image.open(io.BytesIO(base64.b64decode(content))).size == (240, 180)
    assert "(no picture)" in page


def test_of_a_photograph_with_a_small_face_its_surroundings_are_shown(tmp_path: Path) -> None:
    picture = np.zeros((1000, 1500, 3), np.uint8)
    picture[500:540, 700:730] = 255
    Image.fromarray(picture).save(tmp_path / "a.png")
    content = thumbnail(tmp_path / "a.png", (700, 500, 730, 540))
    assert content is not None
    shown = np.asarray(Image.open(io.BytesIO(content)))
    assert shown.shape[:2] == (180, 252)
    assert shown[85:95, 121:131].min() > 200  # the face is in the middle, a fifth of the height


def test_what_was_accepted_stands_at_the_end_with_its_id(tmp_path: Path) -> None:
    left, accepted = Finding("no_face", "a shows none", ("A",)), Finding("two_names", "B and C are twins", ("B", "C"))
    page = report_html(Diagnosis("example", (left,), (), (accepted,)), tmp_path)
    assert page.index("a shows none") < page.index("Accepted (1)") < page.index("B and C are twins")
    assert f"<code>{left.id}</code>" in page
    assert f"<code>{accepted.id}</code>" in page
    assert "Accepted (" not in report_html(Diagnosis("example", (left,), ()), tmp_path)


def test_a_report_has_an_end(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    findings = tuple(Finding("no_face", f"{n}", (), (Picture("a.png"),)) for n in range(MAX_PICTURES + 5))
    page = report_html(Diagnosis("example", findings, ()), tmp_path)
    assert page.count("<img") == MAX_PICTURES
    assert page.count("left out") == 5

"""A whole run against the services: what is taken, what is refused, how it goes on."""

import csv
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.errors import ConfigError, LocalDiskError, SourceUnavailableError, UndecodableMediaError
from tests.integration.trainer.wikimedia_server import Wikimedia, answers, serving
from trainer.collect.cache import DiskCache
from trainer.collect.client import Pace, PoliteClient
from trainer.collect.collecting import Collector, Order
from trainer.collect.faces import FoundFace, check_picture
from trainer.collect.forecast import Forecast
from trainer.collect.identity import Wanted
from trainer.collect.ledger import Ledger, PersonRecord
from trainer.collect.services import Services

QUICK = Pace(api_interval_s=0.0, picture_interval_s=0.0, tries=2, first_wait_s=0.01)
TODAY = dt.date(2026, 1, 1)


def drawn(*people: int, shade: int = 0, form: str = "JPEG") -> bytes:
    """Return a picture of people: a stripe for each, whose colour says who it is."""
    pixels = np.zeros((32, 32 * max(len(people), 1), 3), np.uint8)
    for number, person in enumerate(people):
        pixels[:, 32 * number : 32 * number + 32] = (40 + 20 * person, 200, shade)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, form, quality=95)
    return written.getvalue()


def look(path: Path) -> Sequence[FoundFace]:
    """Return the «faces» of a drawn picture; of one person they have a cosine of 0.8."""
    check_picture(path)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    faces = []
    for left in range(0, pixels.shape[1], 32):
        red, green, blue = pixels[16, left + 16].astype(int)
        if green > 100:
            embedding = np.zeros(64, np.float32)
            embedding[round((red - 40) / 20)] = np.sqrt(0.8)
            embedding[20 + round(blue / 10)] = np.sqrt(0.2)
            faces.append(FoundFace((left, 0, left + 32, 32), 32.0, embedding))
    return faces


@pytest.fixture
def wikimedia() -> Iterator[Wikimedia]:
    with serving(Wikimedia()) as state:
        yield state


def collector(
    services: Services, folder: Path, *labels: str, most: int = 50, said: list[str] | None = None
) -> Collector:
    def on_person(record: PersonRecord, forecast: Forecast) -> None:
        if said is not None:
            said.append(f"{record.label}: {forecast.in_words()}")

    order = Order([Wanted.of_label(one) for one in labels], folder / "raw_dataset", most, TODAY)
    client = PoliteClient(
        services, agent="test", cache=DiskCache(folder / "collect" / "cache", max_age_s=1e6), pace=QUICK
    )
    return Collector(order, client=client, ledger=Ledger(folder), look=look, on_person=on_person)


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def photographs(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in (folder / "raw_dataset").rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def add_person(wikimedia: Wikimedia, number: int, name: str, files: int = 6) -> None:
    wikimedia.add_person(f"Q{number}", name, category=name, picture=f"{name} 0.jpg", kg_id=f"/m/0{number}")
    for shade in range(files):
        wikimedia.add_file(f"File:{name} {shade}.jpg", drawn(number, shade=shade * 10), name)


def test_pictures_of_the_person_are_kept_with_author_licence_and_marks(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    group_picture = drawn(2, 3, 1, shade=100)
    wikimedia.add_file("File:Group.jpg", group_picture, "Jane Doe", restrictions="personality", licence="CC BY 2.0")
    forecast = collector(wikimedia.services(), tmp_path, "Jane_Doe_[m.01]").run()
    assert (forecast.through, forecast.covered) == (1, 1)
    credited = {row["title"]: row for row in rows(tmp_path, "credits")}
    assert len(credited) == 7
    group = credited["File:Group.jpg"]
    assert (group["author"], group["licence"], group["restrictions"]) == ("Jane & Joe", "CC BY 2.0", "personality")
    assert group["face_box_xyxy"] == "64 0 96 32"
    assert (tmp_path / group["file"]).read_bytes() == group_picture
    assert set(photographs(tmp_path)) == {row["file"] for row in credited.values()}
    assert all(row["file"].startswith("raw_dataset/Jane_Doe_[m.01]/") for row in credited.values())


def test_everything_refused_is_listed_with_its_reason(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    add = wikimedia.add_file
    add("File:Jane Doe statue.jpg", drawn(1), "Jane Doe")
    add("File:Young.jpg", drawn(1), "Jane Doe", taken="1980-01-01")
    add("File:Dateless.jpg", drawn(1), "Jane Doe", taken="")
    add("File:Costly.jpg", drawn(1), "Jane Doe", code="", licence="All rights reserved")
    add("File:Stranger.jpg", drawn(2), "Jane Doe")
    add("File:Nobody.jpg", drawn(), "Jane Doe")
    add("File:Page.jpg", b"<html>", "Jane Doe")
    add("File:Waxen.jpg", drawn(1), "Jane Doe", caption="Jane Doe at Madame Tussauds")
    add("File:Elsewhere.jpg", drawn(1), "Jane Doe", url="https://evil.test/x.jpg")
    collector(wikimedia.services(), tmp_path, "Jane_Doe", "Nobody_Known").run()
    why = {row["title"]: row["why"] for row in rows(tmp_path, "refused")}
    assert "statue" in why["File:Jane Doe statue.jpg"]
    assert "before the person was 18" in why["File:Young.jpg"]
    assert "no date" in why["File:Dateless.jpg"]
    assert "licence not on the list" in why["File:Costly.jpg"]
    assert "unlike" in why["File:Stranger.jpg"]
    assert "no clear face" in why["File:Nobody.jpg"]
    assert "no JPEG" in why["File:Page.jpg"]
    assert "wax" in why["File:Waxen.jpg"]
    assert "not an address of Wikidata" in why["File:Elsewhere.jpg"]
    assert why[""] == "no human at Wikidata has this name"
    assert len(rows(tmp_path, "credits")) == 6
    assert not any("statue" in path or "Costly" in path for path in wikimedia.asked if "/pictures/" in path)


def test_nobody_but_the_people_of_the_list_is_asked_for(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    add_person(wikimedia, 2, "Joe Doe")
    wikimedia.categories["Jane Doe"] += ["Category:Joe Doe", "Category:Jane Doe in 2014", "Category:Festivals"]
    wikimedia.add_file("File:Year.jpg", drawn(1, shade=200), "Jane Doe in 2014")
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert {path.name for path in (tmp_path / "raw_dataset").iterdir()} == {"Jane_Doe"}
    assert not any("Joe" in path or "Festivals" in path for path in wikimedia.asked)
    assert any(row["title"] == "File:Year.jpg" for row in rows(tmp_path, "credits"))


def test_a_category_that_the_service_refuses_is_that_persons_matter(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    add_person(wikimedia, 2, "Joe Doe")
    error = b'{"error": {"code": "cminvalidcategory", "info": "The category name you entered is not valid."}}'
    wikimedia.faults = [("categorymembers", answers(200, error, "application/json"))]
    collector(wikimedia.services(), tmp_path, "Jane_Doe", "Joe_Doe").run()
    assert [row["usable_faces"] for row in rows(tmp_path, "people")] == ["1", "6"]
    (refused,) = rows(tmp_path, "refused")
    assert "cminvalidcategory" in refused["why"]


def test_a_service_that_does_not_want_the_program_ends_the_run(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    wikimedia.faults = [("/commons/", answers(403, b"Please set a user-agent"))]
    with pytest.raises(ConfigError, match="check --contact"):
        collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert rows(tmp_path, "people") == []


def test_one_person_is_not_collected_under_two_labels(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    wikimedia.items["Q1"]["aliases"]["en"] = [{"language": "en", "value": "JD"}]
    for labels in (("Jane_Doe", "JD"), ("JD", "Jane_Doe")):
        collector(wikimedia.services(), tmp_path, *labels).run()
        people = {row["label"]: row for row in rows(tmp_path, "people")}
        assert (people["Jane_Doe"]["status"], people["JD"]["why"]) == ("collected", "the same person as Jane_Doe")


def test_doubts_are_decided_in_the_table_and_the_next_run_follows(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    wikimedia.add_person("Q2", "Jane Doe", description="=cmd|' /C calc'!A0", category="Jane Doe")
    add_person(wikimedia, 3, "Joe Doe")
    wikimedia.add_person("Q4", "Joe Doe")
    labels = ("Jane_Doe", "Joe_Doe")
    collector(wikimedia.services(), tmp_path, *labels).run()
    doubts = rows(tmp_path, "doubtful")
    assert [(row["label"], row["item"], row["decision"]) for row in doubts] == [
        ("Jane_Doe", "Q1", ""),
        ("Jane_Doe", "Q2", ""),
        ("Joe_Doe", "Q3", ""),
        ("Joe_Doe", "Q4", ""),
    ]
    assert doubts[1]["description"].startswith("'=")
    assert photographs(tmp_path) == {}
    text = (tmp_path / "doubtful.csv").read_text()
    text = text.replace("Jane_Doe,,Q1", "Jane_Doe,yes,Q1").replace("Joe_Doe,,", "Joe_Doe,no,")
    (tmp_path / "doubtful.csv").write_text(text)
    collector(wikimedia.services(), tmp_path, *labels).run()
    people = {row["label"]: row for row in rows(tmp_path, "people")}
    assert people["Jane_Doe"]["usable_faces"] == "6"
    assert people["Jane_Doe"]["how"] == "decided: Q1"
    assert people["Joe_Doe"]["why"] == "decided in doubtful.csv: none of them"
    assert [row["decision"] for row in rows(tmp_path, "doubtful")] == ["yes", "no", "no"]
    asked = len(wikimedia.asked)
    collector(wikimedia.services(), tmp_path, *labels).run()
    assert len(wikimedia.asked) == asked
    text = (tmp_path / "doubtful.csv").read_text().replace("Jane_Doe,yes,Q1", "Jane_Doe,Q2,Q1")
    (tmp_path / "doubtful.csv").write_text(text)
    collector(wikimedia.services(), tmp_path, *labels).run()
    assert rows(tmp_path, "people")[0]["item"] == "Q2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("label,decision,item\nJane,perhaps,Q1\n", "perhaps"),
        ("label,decision,item\nJane,Q1,Q1\nJane,Q2,Q2\n", "several decisions"),
        ("who,what\nJane,yes\n", "no column"),
    ],
)
def test_a_table_of_decisions_that_cannot_be_is_told_before_any_work(
    wikimedia: Wikimedia, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "doubtful.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        collector(wikimedia.services(), tmp_path, "Jane").run()
    assert wikimedia.asked == []
    assert (tmp_path / "doubtful.csv").read_text() == text


def test_a_second_run_asks_nothing_and_changes_nothing(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    before, asked = photographs(tmp_path), len(wikimedia.asked)
    removed = next((tmp_path / "raw_dataset").rglob("*.jpg"))
    removed.unlink()  # by somebody who looked at it
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert len(wikimedia.asked) == asked
    assert set(photographs(tmp_path)) == set(before) - {str(removed.relative_to(tmp_path))}


def test_a_picture_that_does_not_come_is_fetched_by_the_next_run(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    wikimedia.faults = [("960px-Jane Doe 3.jpg", answers(503))] * 2
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    (person,) = rows(tmp_path, "people")
    assert (person["status"], person["usable_faces"]) == ("incomplete", "5")
    assert "503" in person["why"]
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    (person,) = rows(tmp_path, "people")
    assert (person["status"], person["usable_faces"]) == ("collected", "6")
    assert sum("/pictures/" in path for path in wikimedia.asked) == 8


def test_a_picture_that_is_refused_later_is_taken_away_again(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="Jane Doe")
    for shade in (0, 10):
        wikimedia.add_file(f"File:Wrong {shade}.jpg", drawn(2, shade=shade), "Jane Doe")
    for shade in range(4):
        wikimedia.add_file(f"File:Right {shade}.jpg", drawn(1, shade=shade * 10), "Jane Doe")
    wikimedia.faults = [(f"960px-Right {shade}.jpg", answers(500)) for shade in (0, 0, 1, 1)]
    collector(wikimedia.services(), tmp_path, "Jane_Doe", most=4).run()
    mine = tmp_path / "raw_dataset" / "Jane_Doe" / "mine.jpg"
    mine.write_bytes(b"mine")
    assert {row["title"] for row in rows(tmp_path, "credits")} == {"File:Wrong 0.jpg", "File:Wrong 10.jpg"}
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    kept = {row["file"] for row in rows(tmp_path, "credits")}
    assert all("Right" in name for name in kept)
    assert set(photographs(tmp_path)) == kept | {"raw_dataset/Jane_Doe/mine.jpg"}


def test_services_that_are_away_end_the_run_and_what_is_there_stays(wikimedia: Wikimedia, tmp_path: Path) -> None:
    for number in range(1, 7):
        add_person(wikimedia, number, f"Person {number}")
    wikimedia.faults = [(f"960px-Person {number}", answers(503)) for number in range(2, 7)] * 20
    with pytest.raises(SourceUnavailableError, match="start again later"):
        collector(wikimedia.services(), tmp_path, *(f"Person_{number}" for number in range(1, 7))).run()
    assert [row["status"] for row in rows(tmp_path, "people")] == ["collected", *["incomplete"] * 3]
    assert len(rows(tmp_path, "credits")) == 6


def test_hostile_names_stay_inside_the_folder_and_cells_are_texts(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    author = '=HYPERLINK("http://evil.test")\u202e<script>x</script>\x07'
    for number, title in enumerate(
        ["File:../../../etc/passwd.jpg", "File:a\nb\x00c.jpg", "File:" + "x" * 240 + ".jpg"]
    ):
        wikimedia.add_file(title, drawn(1, shade=100 + 10 * number), "Jane Doe", author=author, url=None)
        body = wikimedia.bodies.pop(title.removeprefix("File:"))
        wikimedia.bodies[f"safe{number}"] = body
        wikimedia.files[title]["imageinfo"][0]["thumburl"] = (
            f"http://127.0.0.1:{wikimedia.port}/pictures/safe{number}/x"
        )
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert len(photographs(tmp_path)) == 9
    assert {path.parent.name for path in (tmp_path / "raw_dataset").rglob("*.jpg")} == {"Jane_Doe"}
    assert all(len(path.name) < 120 for path in tmp_path.rglob("*.jpg"))
    hostile = [row for row in rows(tmp_path, "credits") if row["author"].startswith("'=HYPERLINK")]
    assert len(hostile) == 3
    assert not any(letter in row["author"] + row["title"] for row in hostile for letter in "\u202e\x07\n<")


def test_answers_of_commons_of_other_shapes_are_no_files(wikimedia: Wikimedia, tmp_path: Path) -> None:
    wikimedia.add_person("Q1", "Jane Doe", category="Jane Doe", picture="Jane.jpg")
    bodies = [
        {"query": {"pages": {"1": 2}}},
        {"query": {"categorymembers": [{"pageid": "7", "title": "File:x.jpg"}, 3, {"pageid": -1, "title": ["x"]}]}},
    ]
    wikimedia.faults = [("/commons/", answers(200, json.dumps(body).encode(), "application/json")) for body in bodies]
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    (person,) = rows(tmp_path, "people")
    assert (person["status"], person["usable_faces"]) == ("collected", "0")


def test_file_data_of_other_types_are_refused_and_do_not_end_the_run(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    strange = [None, [], {"value": [1]}, {"value": {"en": "x"}}, 7]
    for number, value in enumerate(strange):
        wikimedia.add_file(f"File:Strange {number}.jpg", drawn(1, shade=100), "Jane Doe")
        information = wikimedia.files[f"File:Strange {number}.jpg"]["imageinfo"][0]
        information["extmetadata"] = dict.fromkeys(information["extmetadata"], value)
        information["width"] = "wide"
    wikimedia.files["File:Strange 0.jpg"]["imageinfo"] = {"not": "a list"}
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert len(rows(tmp_path, "credits")) == 6


def test_a_category_of_many_pages_is_read_to_its_end_and_one_that_turns_in_a_circle_is_left(
    wikimedia: Wikimedia, tmp_path: Path
) -> None:
    add_person(wikimedia, 1, "Jane Doe", files=12)
    wikimedia.page_size = 5
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert len(rows(tmp_path, "credits")) == 12
    circle = {"query": {"categorymembers": []}, "continue": {"cmcontinue": "same"}}
    wikimedia.faults = [("categorymembers", answers(200, json.dumps(circle).encode(), "application/json"))] * 50
    (tmp_path / "b").mkdir()
    collector(wikimedia.services(), tmp_path / "b", "Jane_Doe").run()
    assert len(wikimedia.faults) == 48


@pytest.mark.parametrize("kind", ["pixels", "truncated", "gif", "postscript"])
def test_pictures_that_are_bombs_or_no_photographs_are_refused(wikimedia: Wikimedia, tmp_path: Path, kind: str) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    written = io.BytesIO()
    if kind == "pixels":
        Image.new("1", (9_000, 9_000)).save(written, "PNG")
    elif kind == "gif":
        Image.new("L", (32, 32)).save(written, "GIF")
    elif kind == "truncated":
        written.write(drawn(1)[:300])
    else:
        written.write(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n")
    body = written.getvalue()
    wikimedia.add_file("File:Odd.jpg", body, "Jane Doe")
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    assert [row["title"] for row in rows(tmp_path, "refused")] == ["File:Odd.jpg"]
    assert len(rows(tmp_path, "credits")) == 6


def test_a_png_becomes_a_jpeg(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    wikimedia.add_file("File:Png.png", drawn(1, shade=100, form="PNG"), "Jane Doe", mime="image/png")
    collector(wikimedia.services(), tmp_path, "Jane_Doe").run()
    (row,) = [row for row in rows(tmp_path, "credits") if row["title"] == "File:Png.png"]
    assert check_picture(tmp_path / row["file"]) == "JPEG"


def test_the_forecast_is_told_with_each_person(wikimedia: Wikimedia, tmp_path: Path) -> None:
    for number in range(1, 4):
        add_person(wikimedia, number, f"Person {number}", files=2 * number)
    said: list[str] = []
    collector(wikimedia.services(), tmp_path, "Person_1", "Person_2", "Person_3", said=said).run()
    assert said[1].startswith("Person_2: 2 of 3 people, 0 with 5 faces or more; in the end 0 to 1; about 0 min left")
    assert said[2] == "Person_3: 3 of 3 people, 1 with 5 faces or more"


def test_a_disk_that_refuses_is_told_and_not_taken_for_the_services(wikimedia: Wikimedia, tmp_path: Path) -> None:
    add_person(wikimedia, 1, "Jane Doe")
    (tmp_path / "raw_dataset").write_text("a file in the way")
    with pytest.raises(LocalDiskError, match="make room"):
        collector(wikimedia.services(), tmp_path, "Jane_Doe").run()


CHILD = """
import sys
from pathlib import Path
from tests.integration.trainer.test_collect_run import collector
from tests.integration.trainer.wikimedia_server import Wikimedia
port, folder = int(sys.argv[1]), Path(sys.argv[2])
collector(Wikimedia(port=port).services(), folder, *sys.argv[3:]).run()
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_and_ends_as_if_undisturbed(wikimedia: Wikimedia, tmp_path: Path) -> None:
    labels = [f"Person_{number}" for number in range(1, 5)]
    for number in range(1, 5):
        add_person(wikimedia, number, f"Person {number}")
    collector(wikimedia.services(), tmp_path / "whole", *labels).run()
    wikimedia.slowness_s = 0.03
    arguments = [sys.executable, "-c", CHILD, str(wikimedia.port), str(tmp_path / "killed"), *labels]
    for limit in (3, 9, 17):
        wikimedia.asked.clear()
        child = subprocess.Popen(arguments, cwd=Path(__file__).parents[3])
        until_s = time.monotonic() + 60
        while len(wikimedia.asked) < limit and child.poll() is None and time.monotonic() < until_s:
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    wikimedia.slowness_s = 0.0
    collector(wikimedia.services(), tmp_path / "killed", *labels).run()
    assert photographs(tmp_path / "killed") == photographs(tmp_path / "whole")
    for name in ("credits", "refused", "people", "doubtful"):
        assert rows(tmp_path / "killed", name) == rows(tmp_path / "whole", name)


def test_a_picture_is_looked_at_only_where_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(UndecodableMediaError):
        look(tmp_path / "x")

"""The forms of an export, each read by a program that is not ours."""

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from imageio_ffmpeg import get_ffmpeg_exe

from annotator.errors import ConfigError
from annotator.export.selection import Selection
from annotator.export.streaming import stream, write_files
from annotator.results import to_json_line
from tests.integration.export.conftest import HOSTILE, Archive
from tests.store_values import ref


def lines_of(archive: Archive, form: str = "jsonl", **selection: object) -> list[dict[str, object]]:
    pieces = stream(archive.store.engine, form, Selection(**selection))  # type: ignore[arg-type]
    return [json.loads(line) for line in b"".join(pieces).splitlines()]


def cues_of(path: Path) -> list[tuple[str, str]]:
    """Return times and words of a text track, as ffmpeg reads it."""
    done = subprocess.run(
        [get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-f", "srt", "-"], check=True, capture_output=True, text=True
    )
    assert done.stderr == ""
    blocks = [block.splitlines() for block in done.stdout.strip().split("\n\n") if block]
    return [(times.replace(",", "."), "\n".join(words)) for _, times, *words in blocks]


def test_json_lines_have_all_that_annotate_tells(archive: Archive) -> None:
    lines = {str(one["media"]): one for one in lines_of(archive)}
    stored = archive.store.load_annotations(archive.labelling_id, [ref("pair.gif"), ref("broken.gif")])
    for uri, rows in stored.items():
        expected, line = to_json_line(rows.result), lines[uri]
        for key in expected.keys() - {"media", "labels", "tracks"}:
            assert line[key] == expected[key], key
        for key in ("labels", "tracks"):
            told = [{name: one[name] for name in want} for one, want in zip(line[key], expected[key], strict=True)]  # type: ignore[index,call-overload]
            assert told == expected[key]


def test_json_lines_say_more_than_annotate_does(archive: Archive) -> None:
    (line,) = lines_of(archive, media=("s3://gifs/pair.gif",))
    assert line["size_wh"] == [320, 240]
    assert line["sha256"] == f"{1:064x}"
    assert line["labels"][0]["kg_mid"] == "/m/03pvt"  # type: ignore[index]
    assert line["labels"][0]["spans"] == [[0, 1000], [1200, 1500]]  # type: ignore[index]
    assert line["tracks"][2]["shot"] == 1  # type: ignore[index]


def test_twice_is_the_same_byte_by_byte(archive: Archive) -> None:
    for form in ("jsonl", "csv"):
        first, second = (b"".join(stream(archive.store.engine, form, Selection())) for _ in range(2))
        assert first == second


def test_csv_has_a_row_for_each_person_in_a_media(archive: Archive) -> None:
    text = b"".join(stream(archive.store.engine, "csv", Selection())).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["media_uri"].rpartition("/")[2], row["start_ms"], row["end_ms"]) for row in rows] == [
        ("film.mp4?token=secret", "3600000", "3600040"),
        ("=1+1.gif", "0", "1500"),
        ("pair.gif", "0", "1500"),
        ("pair.gif", "500", "1500"),
        ("still.png", "0", "1"),
    ]


def test_csv_says_when_who_is_on_a_picture_and_how_often(archive: Archive) -> None:
    cells = {}
    for kind in ("people", "tracks"):
        text = b"".join(stream(archive.store.engine, "csv", Selection(), rows=kind)).decode()  # type: ignore[arg-type]
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        assert all(row["annotated_at"] for row in rows)
        cells[kind] = [
            (row["media_uri"].rpartition("/")[2], row["is_picture"], row.get("spans", row.get("faces"))) for row in rows
        ]
    assert cells["people"][1:4] == [("=1+1.gif", "true", "1"), ("pair.gif", "false", "2"), ("pair.gif", "false", "1")]
    assert cells["tracks"][1:4] == [("=1+1.gif", "true", "1"), ("nobody.gif", "", "1"), ("pair.gif", "", "2")]


def test_csv_has_a_row_for_each_track_where_that_is_asked_for(archive: Archive) -> None:
    pieces = stream(archive.store.engine, "csv", Selection(media=("s3://gifs/nobody.gif",)), rows="tracks")
    (row,) = csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline=""))
    assert (row["identity"], row["confidence"], row["track"], row["end_ms"]) == ("", "", "0", "100")


def test_no_cell_of_a_table_is_a_formula(archive: Archive) -> None:
    pieces = stream(archive.store.engine, "csv", Selection(people=(HOSTILE.name,)))
    (row,) = csv.DictReader(io.StringIO(b"".join(pieces).decode(), newline=""))
    assert row["identity"] == f"'{HOSTILE.name}"
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


def test_text_tracks_say_who_is_seen_at_once(archive: Archive, tmp_path: Path) -> None:
    assert write_files(archive.store.engine, "webvtt", Selection(media=("s3://gifs/pair.gif",)), tmp_path / "vtt") == 3
    folder = tmp_path / "vtt" / "s3" / "gifs"
    assert cues_of(folder / "pair.gif.vtt") == [
        ("00:00:00.000 --> 00:00:00.500", "Jennifer Aniston"),
        ("00:00:00.500 --> 00:00:01.000", "Jennifer Aniston, Brad Pitt"),
        ("00:00:01.000 --> 00:00:01.200", "Brad Pitt"),
        ("00:00:01.200 --> 00:00:01.500", "Jennifer Aniston, Brad Pitt"),
    ]
    assert cues_of(folder / "pair.gif.Brad Pitt.vtt") == [("00:00:00.500 --> 00:00:01.500", "Brad Pitt")]
    assert [times for times, _ in cues_of(folder / "pair.gif.Jennifer Aniston.vtt")] == [
        "00:00:00.000 --> 00:00:01.000",
        "00:00:01.200 --> 00:00:01.500",
    ]


def test_a_hostile_name_is_text_in_a_text_track(archive: Archive, tmp_path: Path) -> None:
    write_files(archive.store.engine, "webvtt", Selection(people=(HOSTILE.name,)), tmp_path / "vtt")
    for path in (tmp_path / "vtt").rglob("*.vtt"):
        (cue,) = cues_of(path)
        assert cue == ("00:00:00.000 --> 00:00:01.500", " ".join(HOSTILE.name.split()))


def test_files_appear_when_all_are_there_with_a_list_of_them(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "vtt"

    def nothing_yet() -> None:
        assert not folder.exists()

    count = write_files(archive.store.engine, "webvtt", Selection(), folder, on_media=nothing_yet)
    with (folder / "index.csv").open(newline="") as file:
        index = list(csv.DictReader(file))
    assert {row["file"] for row in index} == {str(path.relative_to(folder)) for path in folder.rglob("*.vtt")}
    assert len(index) == count == 8  # nobody, pair, film and the hostile one; still pictures and failures have no time
    assert "secret" not in "".join(row["file"] for row in index)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["vtt"]


def test_a_published_track_tells_no_folder_and_no_secret(archive: Archive, tmp_path: Path) -> None:
    write_files(archive.store.engine, "webvtt", Selection(), tmp_path / "vtt")
    texts = "".join(path.read_text() for path in (tmp_path / "vtt").rglob("*.vtt"))
    assert "film.mp4" in texts
    assert "secret" not in texts
    assert "films.example" not in texts


@pytest.fixture
def failing() -> Callable[[], None]:
    """Ends an export at its third media."""
    count = 0

    def fail() -> None:
        nonlocal count
        count += 1
        if count == 3:
            raise KeyboardInterrupt

    return fail


def test_nothing_is_left_of_files_that_were_not_finished(
    archive: Archive, tmp_path: Path, failing: Callable[[], None]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_files(archive.store.engine, "webvtt", Selection(), tmp_path / "vtt", on_media=failing)
    assert list(tmp_path.glob("*vtt*")) == []


def test_a_folder_that_holds_something_is_left_alone(archive: Archive, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(ConfigError, match="new or empty folder"):
        write_files(archive.store.engine, "webvtt", Selection(), tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(("form", "match"), [("webvtt", "must be a folder"), ("xml", "there is no form xml")])
def test_a_form_that_cannot_be_streamed_is_refused(archive: Archive, form: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        stream(archive.store.engine, form, Selection())

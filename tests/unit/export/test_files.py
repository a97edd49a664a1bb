"""Files of exports: their names, and that they are whole or not there."""

import os
import threading
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annotator.errors import LocalDiskError
from annotator.export.files import write_file, write_folder
from annotator.export.paths import path_of
from annotator.export.records import ExportedMedia


def media(number: int, uri: str) -> ExportedMedia:
    return ExportedMedia(number, uri, None, "failed", "", "", "m@1", None, None, 0, 0, None, ())


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_key_leads_out_of_the_folder_or_hides(key: str) -> None:
    path = path_of(f"s3://bucket/{key}")
    assert not path.is_absolute()
    assert all(not part.startswith((".", "-", "~")) and len(part.encode()) <= 200 for part in path.parts)
    assert len(str(path).encode()) <= 2_500
    assert not any(ord(letter) < 32 for letter in str(path))


@settings(deadline=None)  # it writes files
@given(st.lists(st.text("aA/.%\0\n~", max_size=4), max_size=8))
def test_each_media_gets_a_file_of_its_own(tmp_path_factory: pytest.TempPathFactory, keys: list[str]) -> None:
    folder = tmp_path_factory.mktemp("out") / "new"
    every = [media(number, f"s3://b/{key}") for number, key in enumerate(keys)]
    assert write_folder(folder, ((one, "", ".vtt", str(one.media_id)) for one in every)) == len(keys)
    assert sorted(path.read_text() for path in folder.rglob("*.vtt") if path.is_file()) == sorted(
        str(number) for number in range(len(keys))
    )


def test_a_file_name_that_is_no_text_is_escaped() -> None:
    assert path_of("file:///clips/a%FFb%2Fc.gif") == PurePosixPath("file/clips/a%FFb%2Fc.gif")


def test_a_folder_with_a_name_of_a_file_does_not_stop_it(tmp_path: Path) -> None:
    every = [media(1, "s3://b/a"), media(2, "s3://b/a.vtt/c")]
    write_folder(tmp_path / "new", ((one, "", ".vtt", "") for one in every))
    assert len([path for path in (tmp_path / "new").rglob("*.vtt") if path.is_file()]) == 2


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"old")

    def broken() -> object:
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(path, broken())  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_file(path, [b"ne", b"w"])
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_link_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_file(tmp_path / "link", [b"new"])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    taken: list[bytes] = []
    reader = threading.Thread(target=lambda: taken.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, [b"a", b"b"])
    reader.join(10)
    assert taken == [b"ab"]
    assert pipe.is_fifo()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalDiskError, match="give --output another path"):
        write_file(tmp_path / "file" / "out", [b""])
    with pytest.raises(LocalDiskError, match="give --output another path"):
        write_folder(tmp_path / "file" / "out", [])

"""Files and folders as sources."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from annotator.errors import SourceChangedError, SourceNotFoundError, UnsupportedMediaError
from annotator.media import DecodeLimits, FetchLimits, MediaReader, expand_sources
from annotator.types import MediaRef
from tests.media_factory import RED, GifPart, flat, gif_bytes

CONTENT = gif_bytes([GifPart(flat(RED))])
READER = MediaReader(fetch=FetchLimits(), decode=DecodeLimits())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.gif", "a b#?%.gif", "deep/er/c.bin", ".hidden.gif", ".git/d.gif", "broken.mp4", "notes.txt"):
        path = tmp_path / "pile" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no media" if path.suffix in {".mp4", ".txt"} else CONTENT)
    return tmp_path / "pile"


def test_a_folder_is_searched_for_media_by_content_or_name_and_sorted(folder: Path) -> None:
    media = expand_sources([str(folder)])
    assert [one.media_id for one in media] == ["a b#?%.gif", "b.gif", "broken.mp4", "deep/er/c.bin"]
    assert media == expand_sources([f"{folder}/"])


def test_a_file_is_listed_whatever_it_holds_and_keeps_the_name_given(folder: Path) -> None:
    (media,) = expand_sources([str(folder / "notes.txt")])
    assert media.media_id == str(folder / "notes.txt")


def test_a_media_named_twice_is_listed_once(folder: Path) -> None:
    media = expand_sources([str(folder / "b.gif"), str(folder)])
    assert len(media) == 4
    assert media[0].media_id == str(folder / "b.gif")


def test_a_local_file_is_read_in_place_and_hashed(folder: Path) -> None:
    for media in expand_sources([str(folder / "a b#?%.gif"), (folder / "b.gif").as_uri()]):
        with READER.open(media) as local:
            assert local.path.read_bytes() == CONTENT
            assert local.sha256 == hashlib.sha256(CONTENT).hexdigest()
            assert local.size_bytes == len(CONTENT)
        assert local.path.exists()


def test_a_file_that_changed_since_it_was_listed_is_noticed(folder: Path) -> None:
    (media,) = expand_sources([str(folder / "b.gif")])
    (folder / "b.gif").write_bytes(CONTENT + b"more")
    with pytest.raises(SourceChangedError), READER.open(media):
        pytest.fail("opened")


def test_what_does_not_exist_and_what_is_no_file_is_not_found(folder: Path) -> None:
    os.mkfifo(folder / "pipe.gif")
    assert "pipe.gif" not in [media.media_id for media in expand_sources([str(folder)])]
    for source in ("missing.gif", "pipe.gif"):
        with pytest.raises(SourceNotFoundError):
            expand_sources([str(folder / source)])
        with pytest.raises(SourceNotFoundError), READER.open(MediaRef("x", (folder / source).as_uri())):
            pytest.fail("opened")


def test_addresses_of_pages_stand_for_themselves_and_others_are_refused() -> None:
    (media,) = expand_sources(["https://example.com/a.gif?b=c"])
    assert media == MediaRef("https://example.com/a.gif?b=c", "https://example.com/a.gif?b=c")
    for source in ("ftp://example.com/a.gif", "gs://bucket/a.gif"):
        with pytest.raises(UnsupportedMediaError):
            expand_sources([source])
        with pytest.raises(UnsupportedMediaError), READER.open(MediaRef("x", source)):
            pytest.fail("opened")


def test_a_name_that_is_no_utf8_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.gif")
    path.write_bytes(CONTENT)
    (media,) = expand_sources([str(tmp_path)])
    with READER.open(media) as local:
        assert local.path == path


def test_an_address_is_quoted_a_path_is_not(folder: Path) -> None:
    (media,) = expand_sources([(folder / "a b#?%.gif").as_uri()])
    assert (media,) == tuple(
        MediaRef(media.media_id, one.uri, one.etag) for one in expand_sources([str(folder / "a b#?%.gif")])
    )


def test_the_scheme_of_an_address_may_be_written_large() -> None:
    (media,) = expand_sources(["HTTPS://example.com/A.gif"])
    assert media.uri == "https://example.com/A.gif"


def test_an_address_that_is_written_wrongly_is_refused_and_so_is_nothing() -> None:
    with pytest.raises(UnsupportedMediaError):
        expand_sources(["http://[::1/a.gif"])
    with pytest.raises(UnsupportedMediaError), READER.open(MediaRef("x", "http://[::1/a.gif")):
        pytest.fail("opened")
    with pytest.raises(SourceNotFoundError, match="empty"):
        expand_sources([""])


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_file_that_goes_or_is_closed_to_us_while_a_folder_is_listed_fails_no_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    opened, looked_at = Path.open, Path.stat

    def open_(self: Path, *args: Any, **more: Any) -> Any:
        if self.name == "notes.txt":
            raise error
        return opened(self, *args, **more)

    def stat(self: Path, **more: Any) -> os.stat_result:
        status = looked_at(self, **more)
        if self.name == "b.gif":
            self.unlink(missing_ok=True)
        return status

    monkeypatch.setattr(Path, "open", open_)
    monkeypatch.setattr(Path, "stat", stat)
    found = {media.media_id: media for media in expand_sources([str(folder)])}
    assert {"a b#?%.gif", "b.gif", "deep/er/c.bin"} <= found.keys()
    with pytest.raises(SourceNotFoundError), READER.open(found["b.gif"]):
        pytest.fail("opened")
    assert ("notes.txt" in found) == (error is PermissionError), "what may be media fails when it is read"


def test_an_empty_folder_has_no_media(tmp_path: Path) -> None:
    assert expand_sources([str(tmp_path)]) == []

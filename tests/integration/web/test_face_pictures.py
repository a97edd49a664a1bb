"""Faces of tracks as pictures: cut out of the media when they are asked for, once for all faces of a track."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.build import build_reader
from annotator.media import MediaReader
from annotator.media.reader import file_etag
from annotator.promotion.pictures import HEIGHT_PX, Moment
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.web.accounts import Role
from annotator.store.web.media import list_media
from annotator.types import MediaRef
from annotator.web import pictures as cutting
from annotator.web.pictures import FacePictures
from tests.store_values import ADA, SPEC, annotation, known, ref, track
from tests.web_client import WebForTests

COLOURS = ((200, 20, 20), (20, 200, 20), (20, 20, 200))
BOX = (40.0, 30.0, 80.0, 70.0)
MOMENTS = tuple(Moment(100 * number, BOX) for number in (2, 0, 1))


def draw(path: Path, *, size_wh: tuple[int, int] = (120, 100)) -> MediaRef:
    """Write a GIF of coloured frames, each displayed for 100 ms."""
    frames = [Image.new("RGB", size_wh, colour) for colour in COLOURS]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)
    return MediaRef(path.name, path.as_uri(), file_etag(path.stat()))


def sha256_of(path: Path, reader: MediaReader) -> str:
    with reader.open(MediaRef(path.name, path.as_uri(), None)) as local:
        return local.sha256


def colour(picture: bytes | None) -> list[int]:
    """Return which of the colours is in the middle of a picture."""
    assert picture is not None
    middle = np.asarray(Image.open(io.BytesIO(picture)))[HEIGHT_PX // 2, HEIGHT_PX // 2].astype(int)
    return [number for number, one in enumerate(COLOURS) if np.abs(middle - one).max() < 30]


@pytest.fixture(scope="module")
def reader() -> MediaReader:
    return build_reader(load_settings(env_file=None))


def test_each_face_is_cut_from_its_own_frame_in_the_order_of_asking(reader: MediaReader, tmp_path: Path) -> None:
    media = draw(tmp_path / "clip.gif")
    cut = FacePictures().cut(reader, media, MOMENTS, sha256=sha256_of(tmp_path / "clip.gif", reader))
    assert [colour(one) for one in cut] == [[2], [0], [1]]


def test_many_who_ask_at_once_let_the_media_be_decoded_once(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    asked = []

    def counted(*args: object, **kwargs: object) -> object:
        asked.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    real = cutting.cut_faces
    monkeypatch.setattr(cutting, "cut_faces", counted)
    pictures = FacePictures()
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: pictures.cut(reader, media, MOMENTS, sha256=sha256), range(5)))
    assert len(asked) == 1
    assert len(set(answers)) == 1


def test_what_is_kept_has_a_bound_and_what_was_asked_for_last_stays(reader: MediaReader, tmp_path: Path) -> None:
    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    one_size = len(FacePictures().cut(reader, media, MOMENTS[:1], sha256=sha256)[0] or b"") + 1000
    pictures = FacePictures(kept_bytes=2 * one_size + 500)
    for moment in (MOMENTS[0], MOMENTS[1], MOMENTS[0], MOMENTS[2]):
        assert pictures.cut(reader, media, (moment,), sha256=sha256) != (None,)
    (tmp_path / "clip.gif").unlink()
    is_kept = [pictures.cut(reader, media, (MOMENTS[one],), sha256=sha256) != (None,) for one in (0, 2, 1)]
    assert is_kept == [True, True, False]


def test_a_media_with_other_bytes_shows_no_face(reader: MediaReader, tmp_path: Path) -> None:
    draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    draw(tmp_path / "clip.gif", size_wh=(130, 100))
    changed = MediaRef("clip.gif", (tmp_path / "clip.gif").as_uri(), None)
    assert FacePictures().cut(reader, changed, MOMENTS, sha256=sha256) == (None, None, None)


def test_the_page_of_a_face_sends_it_to_readers_and_a_grey_shape_where_the_media_is_gone(
    sqlite_store: Store, reader: MediaReader, tmp_path: Path
) -> None:
    media, gone = draw(tmp_path / "clip.gif"), ref("gone.gif")
    network_id = sqlite_store.register_network(SPEC)
    labelling_id = sqlite_store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
    seen = replace(track(0), boxes_xyxy=np.array([BOX] * 3, np.float32))
    read = replace(
        annotation(media, tracks=[seen], labels=[known(ADA)]),
        content_sha256=sha256_of(tmp_path / "clip.gif", reader),
    )
    unread = annotation(gone, content=2, tracks=[seen], labels=[known(ADA)])
    sqlite_store.save([read, unread], network_id=network_id, labelling_id=labelling_id)
    with sqlite_store.reading() as connection:
        ids = {row.ref.uri: row.media_id for row in list_media(connection, limit=2)}
    web = WebForTests(sqlite_store)
    object.__setattr__(web.site, "reader", reader)
    browser = web.browser(Role.READER)
    answer = browser.get(f"/media/{ids[media.uri]}/tracks/0/faces/0")
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).height == HEIGHT_PX
    again = browser.get(f"/media/{ids[media.uri]}/tracks/0/faces/0", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    grey = browser.get(f"/media/{ids[gone.uri]}/tracks/0/faces/0")
    assert (grey.status_code, grey.headers["content-type"]) == (200, "image/svg+xml")
    for path in (f"/media/{ids[media.uri]}/tracks/9/faces/0", "/media/999/tracks/0/faces/0"):
        assert browser.get(path).status_code == 404

"""Faces of tracks as pictures: cut out of the media when they are asked for, once for all faces of a track."""

import io
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from annotator.build import build_reader
from annotator.errors import UndecodableMediaError
from annotator.media import MediaReader
from annotator.media.reader import file_etag
from annotator.promotion import frames as cutting
from annotator.promotion.following import SIDE_PX
from annotator.promotion.frames import Picture
from annotator.promotion.pictures import HEIGHT_PX, Moment
from annotator.settings import load_settings
from annotator.store import Store, appearances
from annotator.store.codec import StoredBoxes, decode_boxes, encode_boxes
from annotator.store.rollups import roll_up
from annotator.store.web import faces as stored_faces
from annotator.store.web.accounts import Role
from annotator.store.web.media import list_media
from annotator.types import MediaRef
from annotator.web.pictures import MOST_TOGETHER, TOGETHER_MS, FacePictures, faces_beside
from tests.store_values import ADA, BEN, SPEC, annotation, known, ref, track
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


def test_nothing_that_was_kept_is_shown_after_a_takedown(reader: MediaReader, tmp_path: Path) -> None:
    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    pictures = FacePictures()
    first = pictures.cut(reader, media, MOMENTS, sha256=sha256)
    (tmp_path / "clip.gif").unlink()
    pictures.follow((0, 0))
    assert pictures.cut(reader, media, MOMENTS, sha256=sha256) == first, "it is kept"
    pictures.follow((1, 0))
    assert pictures.cut(reader, media, MOMENTS, sha256=sha256) == (None, None, None)


def test_many_who_ask_at_once_let_the_media_be_decoded_once(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    asked = []

    def counted(*args: object, **kwargs: object) -> object:
        asked.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", counted)
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


def test_what_will_be_wanted_next_is_cut_along_but_not_asked_for_where_nothing_is_missing(
    reader: MediaReader, tmp_path: Path
) -> None:
    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    pictures = FacePictures()
    first = pictures.cut(reader, media, MOMENTS[:1], sha256=sha256, together=lambda: MOMENTS)
    (tmp_path / "clip.gif").unlink()
    kept = pictures.cut(reader, media, MOMENTS, sha256=sha256, together=lambda: pytest.fail("nothing is missing"))
    assert [colour(one) for one in kept] == [[2], [0], [1]]
    assert kept[:1] == first


def test_what_is_kept_does_not_wait_for_what_is_being_cut_of_the_same_media(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_end = threading.Event(), threading.Event()
    real = cutting.cut_pictures

    def slow(*args: object, **kwargs: object) -> Iterator[object]:
        has_begun.set()
        assert may_end.wait(30)
        yield from real(*args, **kwargs)  # type: ignore[arg-type]

    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    pictures = FacePictures()
    kept = pictures.cut(reader, media, MOMENTS[:1], sha256=sha256)
    monkeypatch.setattr(cutting, "cut_pictures", slow)
    with ThreadPoolExecutor(2) as pool:
        try:
            being_cut = pool.submit(pictures.cut, reader, media, MOMENTS[1:], sha256=sha256)
            assert has_begun.wait(30)
            again = pool.submit(pictures.cut, reader, media, MOMENTS[:1], sha256=sha256)
            assert again.result(timeout=30) == kept
            assert not being_cut.done()
        finally:
            may_end.set()
        assert [colour(one) for one in being_cut.result(timeout=30)] == [[0], [1]]


def test_what_was_being_cut_when_a_takedown_began_is_not_kept(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = FacePictures()

    def with_a_takedown_meanwhile(*args: object, **kwargs: object) -> Iterator[object]:
        yield from real(*args, **kwargs)  # type: ignore[arg-type]
        pictures.follow((1, 0))

    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", with_a_takedown_meanwhile)
    assert colour(pictures.cut(reader, media, MOMENTS[:1], sha256=sha256)[0]) == [2]
    (tmp_path / "clip.gif").unlink()
    assert pictures.cut(reader, media, MOMENTS[:1], sha256=sha256) == (None,)


def test_no_media_waits_for_another_one_and_nothing_is_left_of_their_turns(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = draw(tmp_path / "clip.gif")
    digests = [f"{number:064x}" for number in range(65)]
    all_at_once = threading.Barrier(len(digests), timeout=10)

    def slow(*_: object, **_kwargs: object) -> Iterator[object]:
        all_at_once.wait()
        return iter(())

    monkeypatch.setattr(cutting, "cut_pictures", slow)
    pictures = FacePictures()
    with ThreadPoolExecutor(len(digests)) as pool:
        cut = pool.map(lambda sha256: pictures.cut(reader, media, MOMENTS[:1], sha256=sha256), digests)
        assert list(cut) == [(None,)] * len(digests)
    assert not pictures._turns


def test_a_face_that_came_too_late_along_with_another_is_tried_again_when_it_is_asked_for(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[set[Picture]] = []

    def broken_after_one(media: MediaRef, wanted: Collection[Picture], **kwargs: Any) -> Iterator[object]:
        asked.append(set(wanted))
        yield next(real(media, wanted, **kwargs))
        raise UndecodableMediaError("the rest came too late")

    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", broken_after_one)
    third, first, second = MOMENTS
    pictures = FacePictures()
    (cut,) = pictures.cut(reader, media, (first,), sha256=sha256, together=lambda: [second, third])
    assert colour(cut) == [0]
    (cut,) = pictures.cut(reader, media, (third,), sha256=sha256, together=lambda: [second])
    assert cut is None
    (cut,) = pictures.cut(reader, media, (second,), sha256=sha256)
    assert colour(cut) == [1]
    assert pictures.cut(reader, media, (third,), sha256=sha256) == (None,), "it was asked for, and failed"
    assert asked == [{first, second, third}, {second, third}]


def test_a_media_that_is_gone_is_not_fetched_anew_for_each_of_its_faces(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def counted(*args: object, **kwargs: object) -> object:
        asked.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    media = draw(tmp_path / "clip.gif")
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    (tmp_path / "clip.gif").unlink()
    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", counted)
    pictures = FacePictures()
    for one in MOMENTS:
        assert pictures.cut(reader, media, (one,), sha256=sha256, together=lambda: MOMENTS) == (None,)
    assert len(asked) == 1


def test_what_was_cut_before_a_media_turned_out_broken_is_shown(
    reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_after_one(*args: object, **kwargs: object) -> Iterator[object]:
        yield next(real(*args, **kwargs))  # type: ignore[arg-type]
        raise UndecodableMediaError("the rest is broken")

    media = draw(tmp_path / "clip.gif")
    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", broken_after_one)
    cut = FacePictures().cut(reader, media, MOMENTS, sha256=sha256_of(tmp_path / "clip.gif", reader))
    assert [one is not None for one in cut] == [False, True, False]  # the earliest came


def test_faces_beside_a_moment_are_those_of_the_same_stretch_nearest_first() -> None:
    tracks = [stored(start_ms) for start_ms in (400, TOGETHER_MS, 100, TOGETHER_MS + 100)]
    assert [moment.pts_ms for moment in faces_beside(0, tracks)] == [100, 400]
    assert [moment.pts_ms for moment in faces_beside(TOGETHER_MS + 90, tracks)] == [TOGETHER_MS + 100, TOGETHER_MS]
    crowd = [stored(10 * number) for number in range(2 * MOST_TOGETHER)]
    assert len(faces_beside(50, crowd)) == MOST_TOGETHER - 1


def stored(start_ms: int) -> StoredBoxes:
    """Return a track that was seen once."""
    return decode_boxes(encode_boxes(track(0, start_ms=start_ms, times=1)))


@pytest.fixture
def archive(sqlite_store: Store, reader: MediaReader, tmp_path: Path) -> tuple[WebForTests, int, int]:
    """The application over a clip of three tracks and one that is gone; and the numbers of both."""
    media, gone = draw(tmp_path / "clip.gif"), ref("gone.gif")
    network_id = sqlite_store.register_network(SPEC)
    labelling_id = sqlite_store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3, BEN: 3})
    seen = [replace(track(number), boxes_xyxy=np.array([BOX] * 3, np.float32) + number) for number in range(3)]
    read = replace(
        annotation(media, tracks=seen, labels=[known(ADA)] * 3),
        content_sha256=sha256_of(tmp_path / "clip.gif", reader),
    )
    unread = annotation(gone, content=2, tracks=seen[:1], labels=[known(ADA, confidence=0.6)])
    sqlite_store.save([read, unread], network_id=network_id, labelling_id=labelling_id)
    with sqlite_store.reading() as connection:
        ids = {row.ref.uri: row.media_id for row in list_media(connection, limit=2)}
    roll_up(sqlite_store.engine)
    web = WebForTests(sqlite_store)
    object.__setattr__(web.site, "reader", reader)
    return web, ids[media.uri], ids[gone.uri]


@pytest.mark.parametrize(
    ("picture", "media_type", "height_px"),
    [("faces/0", "image/jpeg", HEIGHT_PX), ("still", "image/jpeg", SIDE_PX), ("moving", "image/webp", SIDE_PX)],
)
def test_pictures_of_a_face_are_sent_to_readers_and_a_grey_shape_where_the_media_is_gone(
    archive: tuple[WebForTests, int, int], picture: str, media_type: str, height_px: int
) -> None:
    web, media_id, gone_id = archive
    browser = web.browser(Role.READER)
    path = f"/media/{media_id}/tracks/0/{picture}"
    answer = browser.get(path)
    assert answer.headers["content-type"] == media_type
    assert answer.headers["cache-control"] == "private, no-cache"
    assert Image.open(io.BytesIO(answer.content)).height == height_px
    again = browser.get(path, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    grey = browser.get(f"/media/{gone_id}/tracks/0/{picture}")
    assert (grey.status_code, grey.headers["content-type"]) == (200, "image/svg+xml")
    for missing in (f"/media/{media_id}/tracks/9/{picture}", f"/media/999/tracks/0/{picture}"):
        assert browser.get(missing).status_code == 404


def test_the_face_of_a_person_is_that_of_the_surest_clip_and_a_grey_shape_of_who_was_not_seen(
    archive: tuple[WebForTests, int, int],
) -> None:
    web, media_id, _ = archive
    browser = web.browser(Role.READER)
    told = {one["name"]: one["person_id"] for one in browser.get("/api/v1/people").json()["items"]}
    ada, ben = told["Ada Lovelace"], told["Bén Brown"]
    answer = browser.get(f"/people/{ada}/face")
    assert answer.content == browser.get(f"/media/{media_id}/tracks/0/faces/0").content
    assert browser.get(f"/people/{ben}/face").headers["content-type"] == "image/svg+xml"
    assert browser.get("/people/999/face").status_code == 404
    page = browser.get("/people").text
    assert f'src="/people/{ada}/face"' in page
    assert f"/people/{ben}/face" not in page


def test_all_faces_of_a_page_and_whatever_moves_in_it_take_one_decoding_each(
    archive: tuple[WebForTests, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, media_id, _ = archive
    asked: list[object] = []

    def counted(*args: object, **kwargs: object) -> object:
        asked.append(args)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    real = cutting.cut_pictures
    monkeypatch.setattr(cutting, "cut_pictures", counted)
    browser = web.browser(Role.READER)
    paths = [f"/media/{media_id}/tracks/{number}/faces/0" for number in range(3)]
    answers = [browser.get(path) for path in [*paths, *(f"{paths[0][:-1]}{number}" for number in range(1, 5))]]
    assert {answer.headers["content-type"] for answer in answers} == {"image/jpeg"}
    assert len(asked) == 1
    for picture in ("still", "moving", "faces/0", "faces/1"):
        assert browser.get(f"/media/{media_id}/tracks/2/{picture}").headers["content-type"] != "image/svg+xml"
    # Faces on the page of a media do not move: what does is cut when a page asks that has it.
    assert len(asked) == 2


def test_of_a_crowd_a_page_reads_the_track_that_is_shown_and_only_where_it_is_not_kept_some_beside_it(
    sqlite_store: Store, reader: MediaReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    media = draw(tmp_path / "clip.gif")
    network_id = sqlite_store.register_network(SPEC)
    labelling_id = sqlite_store.register_labelling(network_id, model="test@1", digest="d", photographs={ADA: 3})
    crowd = [replace(track(number), boxes_xyxy=np.array([BOX] * 3, np.float32)) for number in range(4 * MOST_TOGETHER)]
    read = annotation(media, tracks=crowd, labels=[known(ADA)] * len(crowd))
    sha256 = sha256_of(tmp_path / "clip.gif", reader)
    sqlite_store.save([replace(read, content_sha256=sha256)], network_id=network_id, labelling_id=labelling_id)
    with sqlite_store.reading() as connection:
        (row,) = list_media(connection, limit=1)
    web = WebForTests(sqlite_store)
    object.__setattr__(web.site, "reader", reader)
    decoded: list[bytes] = []

    def counted(data: bytes) -> StoredBoxes:
        decoded.append(data)
        return decode_boxes(data)

    for module in (appearances, stored_faces):
        monkeypatch.setattr(module, "decode_boxes", counted)
    browser = web.browser(Role.READER)
    path = f"/media/{row.media_id}/tracks/{2 * MOST_TOGETHER}/faces/0"
    first = browser.get(path)
    assert first.headers["content-type"] == "image/jpeg"
    assert 10 < len(decoded) <= 1 + MOST_TOGETHER
    decoded.clear()
    assert browser.get(path).content == first.content
    assert len(decoded) == 1
    assert browser.get(f"/media/{row.media_id}/tracks/{2**70}/faces/0").status_code == 404

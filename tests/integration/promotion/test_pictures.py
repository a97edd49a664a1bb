"""The faces of a report are cut from the media that were annotated, and from no others."""

import hashlib
import io
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotator.build import MediaSource, SampledMedia, build_source
from annotator.media import Sampling
from annotator.media.reader import file_etag
from annotator.promotion.pictures import HEIGHT_PX, face_pictures
from annotator.settings import load_settings
from annotator.store import Store
from annotator.store.diff import Flip
from annotator.types import ClipReport, FaceTrack, MediaAnnotation, MediaRef
from tests.store_values import ADA, BEN, SPEC, known, track

RED, GREEN = (200, 20, 20), (20, 200, 20)
BOX = (40, 30, 80, 70)


def draw(path: Path, colours: list[tuple[int, int, int]]) -> None:
    """Write a GIF whose frames are coloured squares on grey, each displayed for 100 ms."""
    frames = []
    for colour in colours:
        image = Image.new("RGB", (120, 100), (128, 128, 128))
        image.paste(colour, BOX)
        frames.append(image)
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)


def track_with_best_face_at(pts_ms: int) -> FaceTrack:
    made = track(0, times=2)
    quality = np.where(made.pts_ms == pts_ms, 0.9, 0.1).astype(np.float32)
    shares = {name: getattr(made, name) for name in FaceTrack.__slots__}
    return FaceTrack(**shares | {"boxes_xyxy": np.array([BOX] * 2, np.float32), "quality": quality})


@pytest.fixture
def clip(store: Store, tmp_path: Path) -> Path:
    """A clip that is red first and green then, annotated with its best face on the green frame."""
    path = tmp_path / "clip.gif"
    draw(path, [RED, GREEN])
    network_id = store.register_network(SPEC)
    labelling_id = store.register_labelling(network_id, model="mine@1", digest="1", photographs={ADA: 3})
    outcome = MediaAnnotation(
        media=MediaRef("clip.gif", path.as_uri(), file_etag(path.stat())),
        model="mine@1",
        content_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        clip=ClipReport(120, 100, 200, 2, 2, None),
        frames_sampled=2,
        faces=2,
        tracks=(track_with_best_face_at(100),),
        labels=(known(ADA),),
    )
    store.save([outcome], network_id=network_id, labelling_id=labelling_id)
    return path


def flip_on(path: Path | None, *, etag: str | None = None) -> Flip:
    return Flip(None if path is None else path.as_uri(), etag, 1, 0, ADA, BEN, 0, 200, None)


def pictures_of(store: Store, *flips: Flip) -> list[bytes | None]:
    return face_pictures(store, 1, flips, build_source(load_settings(env_file=None), sampling=Sampling.all()))


def test_the_best_face_is_cut_out_with_its_surroundings(store: Store, clip: Path) -> None:
    (picture,) = pictures_of(store, flip_on(clip))
    assert picture is not None
    image = np.asarray(Image.open(io.BytesIO(picture)))
    assert image.shape == (HEIGHT_PX, HEIGHT_PX, 3)
    assert np.abs(image[HEIGHT_PX // 2, HEIGHT_PX // 2].astype(int) - GREEN).max() < 30
    assert np.abs(image[2, 2].astype(int) - 128).max() < 30


def test_faces_of_one_media_take_one_decoding(store: Store, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    real = MediaSource.open

    def counted(self: MediaSource, media: MediaRef) -> AbstractContextManager[SampledMedia]:
        opened.append(media)
        return real(self, media)

    monkeypatch.setattr(MediaSource, "open", counted)
    first, second = pictures_of(store, flip_on(clip), flip_on(clip))
    assert first is not None
    assert (first == second, len(opened)) == (True, 1)


def test_what_has_changed_is_gone_or_was_deleted_has_no_picture(store: Store, clip: Path, tmp_path: Path) -> None:
    draw(tmp_path / "other.gif", [GREEN, RED])
    missing = tmp_path / "missing.gif"
    assert pictures_of(store, flip_on(tmp_path / "other.gif"), flip_on(missing), flip_on(None)) == [None] * 3
    clip.write_bytes(b"no media any more")
    assert pictures_of(store, flip_on(clip)) == [None]

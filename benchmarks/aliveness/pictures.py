"""Pictures of people in clips: posters and held photographs pasted in, and frames that are shown as clips."""

from collections.abc import Iterator
from io import BytesIO
from typing import Final, Literal

import cv2
import numpy as np
from PIL import Image

from annotator.accuracy.drawing import Bust, make_bust, paste
from annotator.accuracy.scenes import Appearance, Place, Shot
from annotator.tracking import shot_thumbnails
from annotator.types import U8, FaceTrack, MediaAnnotation, MediaRef
from benchmarks.aliveness.tracks import F64, Bench, Compress, Look, Track

LARGEST_PX: Final = 640  # a frame's side, of those that something is pasted into
LIGHT: Final = Shot(0, (), 0, "", hides_faces=False, motion_px=(0.0, 0.0), contrast=1.0, brightness=0.0)
STILL_FRAMES: Final = 8  # of a photograph that is shown as a clip
CAPTION_PART: Final = 0.12  # of its height
MOST_ZOOM: Final = 1.15

PASTED: Final[tuple[Literal["poster", "live"], ...]] = ("poster", "live")
"""How the two are drawn: in a frame, and cut out."""


def pasted(bench: Bench, media: MediaRef, photographs: U8) -> Iterator[Track]:
    """Paste a poster and a held photograph into a clip; yield their tracks."""
    random = np.random.default_rng([1, *media.media_id.encode()])
    chosen = random.permutation(len(photographs))[:2]
    looks: tuple[list[Look], list[Look]] = ([], [])
    places: list[Place] = []
    busts: list[Bust] = []
    camera, before, phases = np.eye(3), None, random.uniform(0, 2 * np.pi, 4)
    for number, (_, image) in enumerate(frames(bench, media)):
        if before is None:
            places = [hung(image, random, is_left=is_left) for is_left in (True, False)]
            appearances = [Appearance(0, k, at, at, is_mirrored=False) for k, at in zip(PASTED, places, strict=True)]
            busts = [make_bust(photographs[n], one, LIGHT) for n, one in zip(chosen, appearances, strict=True)]
        else:
            camera = camera_step(before, image) @ camera
        before = image
        now = (carried(places[0], camera, image), swung(places[1], phases, number))
        for bust, place, its_looks in zip(busts, now, looks, strict=True):
            seen = image.copy()
            paste(seen, bust, place)
            middle = np.array([place.x * image.shape[1], place.y * image.shape[0]])
            compress = compression(media.media_id, seen)
            its_looks.append(Look(seen, middle, place.face_px, shot_thumbnails([seen])[0], compress))
    yield from bench.track("poster", media.media_id, bench.look(looks[0]))
    yield from bench.track("held", media.media_id, bench.look(looks[1]))


def still(bench: Bench, annotation: MediaAnnotation) -> Iterator[Track]:
    """Show one frame of a clip as a clip of its own, its largest face in the middle of the motion; yield its track."""
    if not annotation.tracks:
        return
    track = max(annotation.tracks, key=lambda one: float(_sides(one).max()))
    best = int(_sides(track).argmax())
    wanted = int(track.frame_index[best])
    image = next(image for index, image in frames(bench, annotation.media) if index == wanted)
    scale = image.shape[1] / annotation.clip.width_px
    box = track.boxes_xyxy[best].astype(float) * scale
    middle, face_px = (box[:2] + box[2:]) / 2, float(_sides(track)[best]) * scale
    is_moved = len(annotation.media.media_id) % 2 == 0
    looks = []
    for number in range(STILL_FRAMES):
        zoom = 1 + (MOST_ZOOM - 1) * number / (STILL_FRAMES - 1) if is_moved else 1.0
        seen = _nearer(image, middle, zoom)
        if not is_moved and number % 4 >= 2:
            _write_caption(seen)
        seen = compression(annotation.media.media_id, seen)(seen)
        looks.append(Look(seen, middle, zoom * face_px, shot_thumbnails([seen])[0], compress=lambda part: part))
    yield from bench.track("still", annotation.media.media_id, bench.look(looks))


def _sides(track: FaceTrack) -> F64:
    return np.sqrt(np.maximum((track.boxes_xyxy[:, 2:] - track.boxes_xyxy[:, :2]).astype(float).prod(axis=1), 0))


def _nearer(image: U8, middle: F64, zoom: float) -> U8:
    matrix = np.array([[zoom, 0, (1 - zoom) * middle[0]], [0, zoom, (1 - zoom) * middle[1]]])
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _write_caption(image: U8) -> None:
    height, width = image.shape[:2]
    size = CAPTION_PART * height / 40
    at = (round(0.05 * width), round(0.97 * height))
    for colour, thickness in ((0, 6), (255, 2)):
        cv2.putText(
            image, "WHEN YOU SEE IT", at, cv2.FONT_HERSHEY_DUPLEX, size, [colour] * 3, max(1, round(size * thickness))
        )


def frames(bench: Bench, media: MediaRef) -> Iterator[tuple[int, U8]]:
    """Yield the sampled frames of a clip with their numbers in it, u8 (H, W, 3), large ones reduced."""
    with bench.source.open(media) as opened:
        for batch in opened:
            for index, image in zip(batch.frame_index.tolist(), batch.images, strict=True):
                scale = min(1.0, LARGEST_PX / max(image.shape[:2]))
                size = (round(scale * image.shape[1]), round(scale * image.shape[0]))
                yield index, np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def hung(image: U8, random: np.random.Generator, *, is_left: bool) -> Place:
    """Return where a picture is at first."""
    height, width = image.shape[:2]
    largest_px = max(33.0, min(150.0, 0.4 * height, 0.2 * width))
    face_px = float(np.exp(random.uniform(np.log(32), np.log(largest_px))))
    across = float(random.uniform(0.9 * face_px / width, 0.3))
    return Place(across if is_left else 1 - across, float(random.uniform(0.25, 0.45)), face_px, random.normal(0, 6))


def swung(place: Place, phases: F64, number: int) -> Place:
    """Return where a held picture is on a frame."""
    across, down, nearer, turn = np.sin(phases + number * np.array([0.7, 0.9, 0.5, 0.6]))
    return Place(
        place.x + 0.03 * float(across),
        place.y + 0.03 * float(down),
        place.face_px * float(np.exp(0.1 * nearer)),
        place.turn_deg + 6 * float(turn),
    )


def camera_step(before: U8, after: U8) -> F64:
    """Return how what is seen moves between two frames: f64 (3, 3); not at all where most of it does otherwise."""
    first, second = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (before, after))
    corners = cv2.goodFeaturesToTrack(first, 200, 0.01, 8)
    if corners is None:  # a picture of one colour has none
        return np.eye(3)
    moved, is_seen, _ = cv2.calcOpticalFlowPyrLK(first, second, corners, corners.copy())
    kept = is_seen.ravel() > 0
    if kept.sum() < 12:
        return np.eye(3)
    matrix, agree = cv2.estimateAffinePartial2D(corners[kept], moved[kept], ransacReprojThreshold=2.0)
    if matrix is None or agree.sum() < 0.4 * len(corners):
        return np.eye(3)
    return np.vstack([matrix, [0, 0, 1]])


def carried(place: Place, camera: F64, image: U8) -> Place:
    """Return where a picture is after the camera has moved."""
    height, width = image.shape[:2]
    x, y, _ = camera @ (place.x * width, place.y * height, 1)
    scale, turn = np.hypot(camera[0, 0], camera[1, 0]), np.rad2deg(np.arctan2(camera[1, 0], camera[0, 0]))
    return Place(float(x / width), float(y / height), float(scale * place.face_px), float(place.turn_deg + turn))


def compression(clip: str, frame: U8) -> Compress:
    """Return what a clip's format does to a part of one of its frames."""
    if not clip.endswith(".gif"):
        return _with_blocks
    colours = Image.fromarray(frame).quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)

    def palette(part: U8) -> U8:
        dithered = Image.fromarray(part).quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
        return np.asarray(dithered.convert("RGB"))

    return palette


def _with_blocks(part: U8) -> U8:
    content = BytesIO()
    Image.fromarray(part).save(content, "JPEG", quality=60)
    with Image.open(content) as picture:
        return np.asarray(picture.convert("RGB"))

"""Do measures tell a living face from a picture of one, and from a drawn one?

    python benchmarks/aliveness.py                        # ../shared/data
    python benchmarks/aliveness.py DATA --sheets FOLDER   # and the faces of all tracks, as PNG

Clips drawn by annotator.accuracy cannot show it: their living faces are photographs that move. So all comes from the
real clips:

- live: tracks of the clips as they are, of three faces or more, but for those named below;
- poster: a photograph pasted into the clips' frames, which moves with what the camera shows;
- held: another one that is moved about, turned, and nearer and farther, as by a hand;
- small: the faces of the live tracks, as if they were 32 pixels wide: of little movements less is left;
- filtered: the same, made into drawings, with lines or without; each face by itself, as nobody draws who animates;
- drawn: the three tracks of the clips that show faces drawn by people.

Frames with something pasted go through a GIF's palette afterwards, or through JPEG's blocks, and faces are looked for
around the place only; from there they are treated as those of any track. Every share has an interval of 95 %. There are
no clips of figures of wax, of screens and of real posters, and two people with masks or make-up like it.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Final, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotator.accuracy.drawing import Bust, as_cartoon, make_bust, paste
from annotator.accuracy.intervals import wilson
from annotator.accuracy.scenes import Appearance, Place, Shot
from annotator.aliveness import MAX_PICTURE_CHANGE, inner_change
from annotator.build import MediaSource, build_detector, build_engine, build_gallery, build_source
from annotator.decoding import PipelineParams
from annotator.pipeline import Annotator
from annotator.quality import face_quality
from annotator.recognition.alignment import align_faces
from annotator.recognition.decision import Identifier
from annotator.recognition.embedding import FaceEmbedder
from annotator.recognition.photographs import people_folders, picture_files, read_aligned
from annotator.settings import load_settings
from annotator.types import F16, U8, MediaAnnotation, MediaRef, TrackEvidence

ROOT: Final = Path(__file__).resolve().parents[1]
DRAWN: Final = {("conversation-over.gif", 0), ("engineering-report.gif", 0), ("engineering-report.gif", 1)}
"""Tracks, by media and number, of faces that are drawn, as judged by eye; all others of three faces or more live."""

PHOTOGRAPHS: Final = 6  # of each person of glint24, for posters
LEAST_FACES: Final = 3  # that a track needs to be counted
FACES_PER_TRACK: Final = 5  # as the annotator keeps
SMALL_PX: Final = 32
LARGEST_PX: Final = 640  # a frame's side, of those that something is pasted into
CHANGES: Final = (0.04, 0.05, 0.06, 0.07, 0.08, 0.1)  # under which a face may count as a picture
COSINES: Final = (0.9, 0.95, 0.97)
FLAT: Final = (0.3, 0.4, 0.5)
LIGHT: Final = Shot(0, (), 0, "", hides_faces=False, motion_px=(0.0, 0.0), contrast=1.0, brightness=0.0)

Kind = Literal["live", "small", "poster", "held", "filtered", "drawn"]
KINDS: Final = get_args(Kind)
F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A track of a known kind.

    Attributes:
        kind: what it shows.
        clip: its media.
        faces: u8 (K, 112, 112, 3), its best faces, best first.
        evidence: what names it.
        is_named: whether it gets a name.

    """

    kind: Kind
    clip: str
    faces: U8
    evidence: TrackEvidence
    is_named: bool

    def change(self) -> float:
        """Return how much the faces change inside."""
        measured = inner_change(self.faces)
        return np.nan if measured is None else measured

    def least_cosine(self) -> float:
        """Return the cosine between the two embeddings that differ most."""
        vectors = self.evidence.embeddings.astype(np.float32)
        return float((vectors @ vectors.T).min())

    def flatness(self) -> float:
        """Return the part of the faces in which neighbouring pixels hardly differ, in the mean."""
        luma = [cv2.cvtColor(np.ascontiguousarray(face[16:96, 16:96]), cv2.COLOR_RGB2GRAY) for face in self.faces]
        around = np.ones((3, 3), np.uint8)
        return float(np.mean([(cv2.dilate(one, around) - cv2.erode(one, around) <= 2).mean() for one in luma]))

    def face_px(self) -> float:
        """Return the mean size of its faces."""
        return float(self.evidence.face_px.astype(np.float32).mean())


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A face that was found where it was looked for."""

    crop: U8
    face_px: float
    quality: float


class Bench:
    """What annotates, and what looks for faces in parts of frames."""

    def __init__(self) -> None:
        """Build the networks."""
        settings = load_settings(env_file=None, device="cpu")
        engine = build_engine(settings)
        gallery = build_gallery(settings)
        self.source: MediaSource = build_source(settings)
        self._detector = build_detector(settings, engine)
        self._embedder = FaceEmbedder(engine, precision="bf16", network=gallery.bundle.network)
        self._identifier = Identifier(gallery)
        self.annotator = Annotator(
            source=self.source,
            detector=self._detector,
            embedder=self._embedder,
            identifier=self._identifier,
            params=PipelineParams(keep_faces=True),
        )

    def look(self, image: U8, middle: F64, face_px: float, compress: Callable[[U8, U8], U8]) -> Found | None:
        """Look for a face around a place."""
        first = np.maximum(middle - 1.6 * face_px, 0).astype(int)
        last = np.maximum(middle + 1.6 * face_px, 0).astype(int)
        part = np.ascontiguousarray(image[first[1] : last[1], first[0] : last[0]])
        if min(part.shape[:2]) < face_px:
            return None
        part = compress(part, image)
        (faces,) = self._detector.detect([part])
        middles = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2 + first
        distances = np.linalg.norm(middles - middle, axis=1) / face_px
        if not len(distances) or distances.min() > 0.35:
            return None
        chosen = slice(int(distances.argmin()), int(distances.argmin()) + 1)
        landmarks_xy = faces.landmarks_xy[chosen]
        crops, sizes_px = align_faces(part, landmarks_xy)
        quality = face_quality(crops, face_px=sizes_px, landmarks_xy=landmarks_xy, scores=faces.scores[chosen])
        return Found(crops[0], float(sizes_px[0]), float(quality[0]))

    def track(self, kind: Kind, clip: str, found: Sequence[Found | None]) -> Iterator[Track]:
        """Yield the track of some faces, if there are enough."""
        best = sorted((one for one in found if one), key=lambda one: -one.quality)[:FACES_PER_TRACK]
        if len(best) < LEAST_FACES:
            return
        face_px, quality = (
            np.array([getattr(one, name) for one in best], np.float16) for name in ("face_px", "quality")
        )
        yield self.named(kind, clip, np.stack([one.crop for one in best]), face_px=face_px, quality=quality)

    def named(self, kind: Kind, clip: str, faces: U8, *, face_px: F16, quality: F16) -> Track:
        """Embed faces and name them."""
        evidence = TrackEvidence(self._embedder.embed(faces).astype(np.float16), face_px, quality)
        (label,) = self._identifier.identify([evidence])
        return Track(kind, clip, faces, evidence, label.identity is not None)


def live_and_drawn(bench: Bench, media: Sequence[MediaRef]) -> Iterator[Track]:
    """Annotate the clips; yield the tracks that show faces."""
    for outcome in bench.annotator.annotate(media):
        if not isinstance(outcome, MediaAnnotation):
            raise SystemExit(f"{outcome.media.media_id} could not be annotated")
        clip = outcome.media.media_id
        for one, label in zip(outcome.tracks, outcome.labels, strict=True):
            number = (clip, one.track_no)
            if len(one.best_faces) < LEAST_FACES:
                continue
            kind: Kind = "drawn" if number in DRAWN else "live"
            yield Track(kind, clip, one.best_faces, one.evidence, label.identity is not None)


def frames(bench: Bench, media: MediaRef) -> Iterator[U8]:
    """Yield the sampled frames of a clip, u8 (H, W, 3), large ones reduced."""
    with bench.source.open(media) as opened:
        for batch in opened:
            for image in batch.images:
                scale = min(1.0, LARGEST_PX / max(image.shape[:2]))
                size = (round(scale * image.shape[1]), round(scale * image.shape[0]))
                yield np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def pictures(bench: Bench, media: MediaRef, photographs: U8) -> Iterator[Track]:
    """Paste a poster and a held photograph into a clip; yield their tracks."""
    random = np.random.default_rng([1, *media.media_id.encode()])
    chosen = random.permutation(len(photographs))[:2]
    compress = compression(media)
    found: tuple[list[Found | None], list[Found | None]] = ([], [])
    places: list[Place] = []
    busts: list[Bust] = []
    camera, before, phases = np.eye(3), None, random.uniform(0, 2 * np.pi, 4)
    for number, image in enumerate(frames(bench, media)):
        if before is None:
            places = [hung(image, random, is_left=is_left) for is_left in (True, False)]
            appearances = [Appearance(0, k, at, at, is_mirrored=False) for k, at in zip(PASTED, places, strict=True)]
            busts = [make_bust(photographs[n], one, LIGHT) for n, one in zip(chosen, appearances, strict=True)]
        else:
            camera = camera_step(before, image) @ camera
        before = image
        now = (carried(places[0], camera, image), swung(places[1], phases, number))
        seen = image.copy()
        for place, bust in zip(now, busts, strict=True):
            paste(seen, bust, place)
        for place, faces in zip(now, found, strict=True):
            middle = np.array([place.x * image.shape[1], place.y * image.shape[0]])
            faces.append(bench.look(seen, middle, place.face_px, compress))
    yield from bench.track("poster", media.media_id, found[0])
    yield from bench.track("held", media.media_id, found[1])


PASTED: Final[tuple[Literal["poster", "live"], ...]] = ("poster", "live")
"""How the two are drawn: in a frame, and cut out."""


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


def compression(media: MediaRef) -> Callable[[U8, U8], U8]:
    """Return what a clip's format does to a part of a frame: arguments are the part and the frame."""

    def palette(part: U8, frame: U8) -> U8:
        colours = Image.fromarray(frame).quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        dithered = Image.fromarray(part).quantize(palette=colours, dither=Image.Dither.FLOYDSTEINBERG)
        return np.asarray(dithered.convert("RGB"))

    def blocks(part: U8, frame: U8) -> U8:  # noqa: ARG001 - a palette needs it
        content = BytesIO()
        Image.fromarray(part).save(content, "JPEG", quality=60)
        with Image.open(content) as picture:
            return np.asarray(picture.convert("RGB"))

    return palette if media.media_id.endswith(".gif") else blocks


def without_lines(picture: U8) -> U8:
    """Return a picture of flat colours."""
    smooth = cv2.medianBlur(cv2.medianBlur(picture, 7), 7)
    steps = cv2.cvtColor(smooth, cv2.COLOR_RGB2YCrCb) // 28 * 28 + 14
    return np.asarray(cv2.cvtColor(steps, cv2.COLOR_YCrCb2RGB), np.uint8)


def made_small(bench: Bench, track: Track) -> Track:
    """Return a track as if its faces were small; a track with smaller ones is as it was."""
    if track.face_px() <= SMALL_PX:
        return replace(track, kind="small")
    small = [cv2.resize(face, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA) for face in track.faces]
    faces = np.stack([cv2.resize(face, (112, 112), interpolation=cv2.INTER_LINEAR) for face in small])
    quality = track.evidence.quality * np.float16(SMALL_PX / track.face_px()) ** np.float16(0.25)
    return bench.named(
        "small", track.clip, faces.astype(np.uint8), face_px=np.full(len(faces), SMALL_PX, np.float16), quality=quality
    )


def filtered(bench: Bench, track: Track) -> Track:
    """Return a track whose faces are made into drawings."""
    compress = compression(MediaRef(track.clip, track.clip))
    draw = as_cartoon if len(track.clip) % 2 else without_lines
    faces = np.stack([compress(picture, picture) for picture in map(draw, track.faces)])
    return bench.named("filtered", track.clip, faces, face_px=track.evidence.face_px, quality=track.evidence.quality)


def share(count: int, total: int) -> str:
    """Return a share with its interval, in per cent."""
    interval = wilson(count, total)
    if interval is None:
        return f"{'-':>22}"
    low, value, high = (100 * one for one in (interval.low, interval.value, interval.high))
    return f"{value:5.1f} ({low:4.1f} to {high:5.1f})"


def show(tracks: Sequence[Track], name: str, measure: Callable[[Track], float], limits: Sequence[float]) -> None:
    """Print where the kinds lie in a measure, and which share of each is below, or above, limits."""
    is_below = measure is Track.change
    kinds = sorted({one.kind for one in tracks}, key=KINDS.index)
    print(f"\n{name}\n{'':9} tracks    least   10 %   50 %   90 %")
    for kind in kinds:
        values = np.array([measure(one) for one in tracks if one.kind == kind])
        ends = np.quantile(values, [0, 0.1, 0.5, 0.9])
        print(f"{kind:9} {len(values):6}   " + " ".join(f"{end:6.3f}" for end in ends))
    print(f"\nper cent of tracks {'below' if is_below else 'above'}\n{'':9} " + " ".join(f"{one:^22}" for one in kinds))
    for limit in limits:
        cells = []
        for kind in kinds:
            values = np.array([measure(one) for one in tracks if one.kind == kind])
            cells.append(share(int(((values < limit) if is_below else (values > limit)).sum()), len(values)))
        print(f"{limit:9} " + "  ".join(f"{cell:20}" for cell in cells))


def show_names(tracks: Sequence[Track], limit: float) -> None:
    """Print how many tracks have a name, and how many of these would be held back."""
    print(f"\nwith a name, and of these per cent that change less than {limit}")
    for kind in dict.fromkeys(one.kind for one in tracks):
        mine = [one for one in tracks if one.kind == kind]
        named = [one for one in mine if one.is_named]
        held_back = sum(one.change() < limit for one in named)
        print(f"{kind:9} {len(named):3} of {len(mine):3}   {share(held_back, len(named))}")


def show_by_size(tracks: Sequence[Track], limit: float) -> None:
    """Print the share under a limit by the size of faces."""
    print(f"\nper cent of tracks that change less than {limit}, by the size of their faces")
    print(f"{'':9} {'under 48 px':22} 48 px or more")
    for kind in dict.fromkeys(one.kind for one in tracks):
        cells = []
        for is_small in (True, False):
            values = [one.change() for one in tracks if one.kind == kind and (one.face_px() < 48) == is_small]
            cells.append(share(sum(value < limit for value in values), len(values)))
        print(f"{kind:9} " + "  ".join(f"{cell:20}" for cell in cells))


def draw_sheets(tracks: Sequence[Track], folder: Path) -> None:
    """Write the faces of each kind, a track a line with what it changes, those that change least first."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in dict.fromkeys(one.kind for one in tracks):
        mine = sorted((one for one in tracks if one.kind == kind), key=Track.change)
        sheet = np.zeros((56 * len(mine), 56 * FACES_PER_TRACK + 60, 3), np.uint8)
        for number, track in enumerate(mine):
            row = np.concatenate([face[::2, ::2] for face in track.faces], axis=1)
            sheet[56 * number : 56 * (number + 1), : row.shape[1]] = row
            at = (56 * FACES_PER_TRACK + 5, 56 * number + 32)
            cv2.putText(sheet, f"{track.change():.3f}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255))
        Image.fromarray(sheet).save(folder / f"{kind}.png")


def collect(bench: Bench, data: Path) -> list[Track]:
    """Make all tracks."""
    people = people_folders(data / "people" / "glint24")
    files = [path for folder in people for path in picture_files(folder)[:PHOTOGRAPHS]]
    photographs = read_aligned(files)
    media = [MediaRef(path.name, path.as_uri()) for path in sorted((data / "clips").iterdir())]
    began_s = time.process_time()
    found = list(live_and_drawn(bench, media))
    print(f"annotating takes {1000 * (time.process_time() - began_s) / len(media):.0f} ms of processor time a clip")
    live = [one for one in found if one.kind == "live"]
    small, drawings = ([make(bench, one) for one in live] for make in (made_small, filtered))
    pasted = [track for one in media for track in pictures(bench, one, photographs)]
    return [*found, *small, *drawings, *pasted]


def report(tracks: Sequence[Track]) -> None:
    """Print what was measured."""
    began_s = time.process_time()
    for one in tracks:
        one.change()
    print(f"inner_change takes {1000 * (time.process_time() - began_s) / len(tracks):.2f} ms a track")
    show(tracks, "change inside (annotator.aliveness)", Track.change, CHANGES)
    show(tracks, "cosine between the two embeddings that differ most", Track.least_cosine, COSINES)
    show(tracks, "part of the faces that is flat", Track.flatness, FLAT)
    show_by_size(tracks, MAX_PICTURE_CHANGE)
    show_names(tracks, MAX_PICTURE_CHANGE)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=ROOT / ".." / "shared" / "data")
    parser.add_argument("--sheets", type=Path, help="folder for pictures of all tracks")
    chosen = parser.parse_args()
    tracks = collect(Bench(), chosen.data.resolve())
    report(tracks)
    if chosen.sheets:
        draw_sheets(tracks, chosen.sheets)


if __name__ == "__main__":
    main()

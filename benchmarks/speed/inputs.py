"""What both sides get: frames, aligned faces, a folded SFace file, a film. Made once, kept in ``benchmarks/.cache``.

What is kept is called after what it was made of and after this file: of other clips, or made otherwise, it is another.
"""

import subprocess
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from PIL import Image

from benchmarks.speed.places import CACHE

LONG_SIDE_PX: Final = 480
GIFS: Final = 20
FRAMES_OF_GIF: Final = 10
FACE_SIDE_PX: Final = 112
FILM_WH: Final = (1280, 720)
FILM_FPS: Final = 25
CROWD: Final = "crowd_dinner.mp4"
FILM_SHOTS: Final = (CROWD, "short_hamilton_clip.mp4", "daenerys-targaryen.gif", "mcfly-confused.gif")


def clips_in(folder: Path) -> list[Path]:
    """Return the files of a folder of clips, by name.

    Raises:
        SystemExit: there are none.

    """
    found = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
    if not found:
        raise SystemExit(f"There are no clips in {folder}: put GIFs there, or say --clips FOLDER.")
    return found


def named_clips(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return some clips of a folder.

    Raises:
        SystemExit: one of them is not there.

    """
    found = [folder / name for name in names]
    if missing := [path.name for path in found if not path.is_file()]:
        raise SystemExit(
            f"{', '.join(missing)} must be in {folder}: measure other lines, by --only, or say --clips FOLDER."
        )
    return found


def _kept(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """Return a file of the cache; it is made where it is missing, and never left half made.

    Args:
        name: of the file, without the digest that tells what it was made of; what has another digest goes.
        sources: files that it is made of; their names and sizes count.
        make: makes it at the path that it is given.

    """
    told = sorted(f"{path.name} {path.stat().st_size}" for path in sources)
    digest = sha256("\n".join([Path(__file__).read_text(encoding="utf-8"), *told]).encode()).hexdigest()[:12]
    stem, suffix = Path(name).stem, Path(name).suffix
    path = CACHE / f"{stem}-{digest}{suffix}"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        part = path.with_name(f"part-{path.name}")
        try:
            make(part)
            for former in (CACHE / name, *CACHE.glob(f"{stem}-{'?' * len(digest)}{suffix}")):
                former.unlink(missing_ok=True)
            part.rename(path)
        finally:
            part.unlink(missing_ok=True)
    return path


def gif_frames(folder: Path, gifs: int = GIFS) -> Path:
    """Return an .npz of frames: ten of each of the first GIFs that are large and lively enough, u8 RGB by name.

    Raises:
        SystemExit: there are not so many GIFs.

    """
    paths = [path for path in clips_in(folder) if path.suffix == ".gif"]

    def make(part: Path) -> None:
        found: dict[str, Any] = {}
        for path in paths:
            for number, frame in enumerate(_distinct_frames(path)):
                found[f"{path.stem} {number}"] = frame
            if len(found) == gifs * FRAMES_OF_GIF:
                break
        if len(found) < gifs * FRAMES_OF_GIF:
            raise SystemExit(
                f"{gifs} GIFs of at least {LONG_SIDE_PX} px with {FRAMES_OF_GIF} different frames must be in {folder}, "
                f"which has {len(found) // FRAMES_OF_GIF}: put more there, or say --clips FOLDER."
            )
        with part.open("wb") as file:
            np.savez(file, **found)

    return _kept(f"gifs-{gifs}.npz", paths, make)


def _distinct_frames(path: Path) -> list[Any]:
    """Return ten evenly sampled distinct frames, scaled to 480 px; none where the GIF is too small or too short."""
    with Image.open(path) as clip:
        if max(clip.size) < LONG_SIDE_PX:
            return []
        frames: list[Any] = []
        for index in range(getattr(clip, "n_frames", 1)):
            clip.seek(index)
            frame = np.array(clip.convert("RGB"))
            if not frames or not np.array_equal(frame, frames[-1]):
                frames.append(frame)
    if len(frames) < FRAMES_OF_GIF:
        return []
    height, width = frames[0].shape[:2]
    scale = LONG_SIDE_PX / max(height, width)
    size_wh = (round(width * scale), round(height * scale))
    chosen = np.linspace(0, len(frames) - 1, FRAMES_OF_GIF).round().astype(int)
    return [cv2.resize(frames[index], size_wh, interpolation=cv2.INTER_AREA) for index in chosen]


def film_frames(folder: Path, count: int = 12) -> Path:
    """Return an .npz of evenly spaced frames of the film with the crowd, 1920 x 1080, u8 RGB.

    Raises:
        SystemExit: the film is not there, or cannot be read.

    """
    (path,) = named_clips(folder, [CROWD])

    def make(part: Path) -> None:
        film = cv2.VideoCapture(str(path))
        frames = []
        while True:
            got, frame = film.read()
            if not got:
                break
            frames.append(frame)
        film.release()
        if len(frames) < count:
            raise SystemExit(f"{path} must have {count} frames, and OpenCV reads {len(frames)}.")
        chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
        named = {f"{index}": np.ascontiguousarray(frames[index][..., ::-1]) for index in chosen}
        with part.open("wb") as file:
            np.savez(file, **named)

    return _kept(f"crowd-{count}.npz", [path], make)


def frames_of(path: Path | str) -> list[Any]:
    """Read the frames of an .npz, in their order."""
    with np.load(path) as file:
        return [file[name] for name in file.files]


def by_size(frames: list[Any]) -> list[list[Any]]:
    """Put frames of one size together."""
    groups: dict[tuple[int, ...], list[Any]] = {}
    for frame in frames:
        groups.setdefault(frame.shape, []).append(frame)
    return list(groups.values())


def batches_of(frames: list[Any], size: int) -> list[list[Any]]:
    """Cut frames into batches of at most ``size``."""
    return [frames[start : start + size] for start in range(0, len(frames), size)]


def faces(path: Path | str, count: int) -> Any:  # noqa: ANN401 - an array
    """Return u8 (count, 112, 112, 3): squares of the frames of an .npz; what they show does not change the time."""
    frames = frames_of(path)
    random = np.random.default_rng(0)
    found = np.empty((count, FACE_SIDE_PX, FACE_SIDE_PX, 3), np.uint8)
    for number in range(count):
        frame = frames[number % len(frames)]
        y, x = (random.integers(side - FACE_SIDE_PX) for side in frame.shape[:2])
        found[number] = frame[y : y + FACE_SIDE_PX, x : x + FACE_SIDE_PX]
    return found


def folded_sface() -> Path:
    """Return the packaged SFace file as plain float32: any reader can take it, in batches of any size.

    The 8-bit blocks and the stale inputs are gone, the first axis is free.
    """
    from annotator.networks.sface import _tensors_of, packaged_file  # noqa: PLC0415 - the peers' environment has none

    def make(part: Path) -> None:
        import onnx  # noqa: PLC0415 - the peers' environment has none
        from onnx import numpy_helper  # noqa: PLC0415 - as above

        model = onnx.load(packaged_file())
        tensor = _tensors_of(packaged_file())
        made = {node.output[0]: node for node in model.graph.node}
        plain = {}
        for name in made:
            if name.endswith(("_dequantized", "_reshaped")):
                plain[name] = tensor(name.removesuffix("_dequantized").removesuffix("_reshaped"))
        nodes = [
            node
            for node in model.graph.node
            if node.output[0] not in plain and node.op_type not in {"Dropout", "Constant"}
        ]
        for node in nodes:  # without Dropout, which does nothing here
            for place, name in enumerate(node.input):
                if name in made and made[name].op_type == "Dropout":
                    node.input[place] = made[name].input[0]
        used = {name for node in nodes for name in node.input}
        kept = [item for item in model.graph.initializer if item.name in used]
        kept += [numpy_helper.from_array(array, name) for name, array in plain.items() if name in used]
        picture = next(entry for entry in model.graph.input if entry.name == "data")
        for entry in (picture, *model.graph.output):
            entry.type.tensor_type.shape.dim[0].dim_param = "batch"
        for field, values in (("node", nodes), ("initializer", kept), ("input", [picture])):
            items = [type(value).FromString(value.SerializeToString()) for value in values]
            del getattr(model.graph, field)[:]
            getattr(model.graph, field).extend(items)
        del model.graph.value_info[:]
        onnx.save(model, part)

    return _kept("sface-f32.onnx", [packaged_file()], make)


def film(folder: Path, minutes: float) -> Path:
    """Return a film of 1280 x 720 at 25 frames a second: a few shots of the clips, repeated until it is long enough.

    Raises:
        SystemExit: a clip that has one of the shots is not there.

    """
    shots = named_clips(folder, FILM_SHOTS)

    def make(part: Path) -> None:
        loop = _kept("film-loop.mp4", shots, lambda path: _make_loop(shots, path))
        seconds = ["-t", f"{60 * minutes:.1f}"]
        _ffmpeg(["-stream_loop", "-1", "-i", str(loop), *seconds, "-c", "copy", "-f", "mp4", str(part)])

    return _kept(f"film-{minutes:g}.mp4", shots, make)


def _make_loop(shots: list[Path], part: Path) -> None:
    width, height = FILM_WH
    inputs = [word for shot in shots for word in ("-t", "15", "-i", str(shot))]
    fitted = (
        f"fps={FILM_FPS},scale={width}:{height}:force_original_aspect_ratio=decrease,"
        f"pad={width}:{height}:-1:-1,setsar=1,format=yuv420p"
    )
    chains = [f"[{number}:v]{fitted}[s{number}]" for number in range(len(shots))]
    joined = "".join(f"[s{number}]" for number in range(len(shots)))
    graph = ";".join([*chains, f"{joined}concat=n={len(shots)}:v=1:a=0[film]"])
    coded = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-g", "50", "-bf", "0"]
    _ffmpeg([*inputs, "-filter_complex", graph, "-map", "[film]", *coded, "-f", "mp4", str(part)])


def _ffmpeg(words: list[str]) -> None:
    import imageio_ffmpeg  # noqa: PLC0415 - the peers' environment has none

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *words]
    subprocess.run(command, check=True, timeout=900)


def grown_frames(folder: Path, what: str, amount: float) -> Path:
    """Return an .npz of eight frames that have more and more of one thing.

    Args:
        folder: of the clips.
        what: ``"faces"``, on frames of 1280 x 720, or ``"megapixels"``, of one and the same picture.
        amount: how many of them.

    """
    frames_path = film_frames(folder)

    def make(part: Path) -> None:
        picture = frames_of(frames_path)[0]
        face = _largest_face(picture)
        frames = [_with_faces(face, int(amount), n) if what == "faces" else _scaled(picture, amount) for n in range(8)]
        with part.open("wb") as file:
            np.savez(file, **{str(number): frame for number, frame in enumerate(frames)})

    return _kept(f"{what}-{amount:g}.npz", [frames_path], make)


def _largest_face(picture: Any) -> Any:  # noqa: ANN401 - arrays
    from annotator.build import build_detector, build_engine  # noqa: PLC0415 - the peers' environment has none
    from annotator.settings import load_settings  # noqa: PLC0415 - as above

    settings = load_settings(env_file=None, device="cpu")
    (found,) = build_detector(settings, build_engine(settings)).detect([picture])
    boxes = found.boxes_xyxy
    left, top, right, bottom = boxes[np.argmax(boxes[:, 3] - boxes[:, 1])].astype(int).tolist()
    margin = (right - left) // 3
    cut = picture[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    return cv2.resize(cut, (160, 160), interpolation=cv2.INTER_AREA)


def _with_faces(face: Any, count: int, seed: int) -> Any:  # noqa: ANN401 - arrays
    frame = np.full((720, 1280, 3), 110 + seed, np.uint8)
    for number in range(count):
        y, x = divmod(number, 7)
        frame[20 + 170 * y : 180 + 170 * y, 20 + 175 * x : 180 + 175 * x] = face
    return frame


def _scaled(picture: Any, megapixels: float) -> Any:  # noqa: ANN401 - arrays
    height, width = picture.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    size_wh = (round(width * scale), round(height * scale))
    return cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

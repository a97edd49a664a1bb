"""What was drawn and found, kept in a file: drawing and annotating takes minutes, judging seconds."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from annotator.accuracy.scenes import Scene
from annotator.accuracy.tracks import SeenFace, SeenTrack, ShownClip
from annotator.errors import ConfigError
from annotator.types import TrackEvidence


def keep_clips(path: Path, clips: Sequence[ShownClip]) -> None:
    """Write clips to a file, in one step.

    Args:
        path: of the file, ``.npz``; replaced.
        clips: without their scenes, which are planned again.

    """
    tracks = [track for clip in clips for track in clip.tracks]
    told = [
        {
            "name": clip.scene.name,
            "faces": [asdict(face) for face in clip.faces],
            "tracks": [
                {"shot": one.shot, "photograph": one.photograph, "kind": one.kind, "spans": one.spans}
                for one in clip.tracks
            ],
        }
        for clip in clips
    ]
    evidence = [track.evidence for track in tracks]
    sizes = {len(one.embeddings[0]) for one in evidence if len(one)}
    width = sizes.pop() if sizes else 0
    beside = path.with_name(f".{path.name}")
    with beside.open("wb") as file:
        np.savez(
            file,
            told=np.frombuffer(json.dumps(told).encode(), np.uint8),
            counts=np.array([len(one) for one in evidence], np.int64),
            embeddings=np.concatenate(
                [np.zeros((0, width), np.float16), *(one.embeddings.reshape(-1, width) for one in evidence)]
            ),
            face_px=np.concatenate([np.zeros(0, np.float16), *(one.face_px for one in evidence)]),
            quality=np.concatenate([np.zeros(0, np.float16), *(one.quality for one in evidence)]),
        )
    beside.replace(path)


def kept_clips(path: Path, scenes: Sequence[Scene]) -> list[ShownClip]:
    """Read clips from a file, in the order of the scenes.

    Args:
        path: of the file.
        scenes: what was drawn, planned again.

    Raises:
        ConfigError: the file is damaged, or has other clips.

    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            told = {one["name"]: one for one in json.loads(file["told"].tobytes())}
            ends = np.cumsum(file["counts"])[:-1]
            parts = [np.split(file[name], ends) for name in ("embeddings", "face_px", "quality")]
        evidence = iter([TrackEvidence(*one) for one in zip(*parts, strict=True)])
        found = {
            name: (
                tuple(_face(face) for face in one["faces"]),
                tuple(_track(name, track, next(evidence)) for track in one["tracks"]),
            )
            for name, one in told.items()
        }
        return [ShownClip(scene, *found[scene.name]) for scene in scenes]
    except (ValueError, KeyError, TypeError, OSError, EOFError, StopIteration, zipfile.BadZipFile) as error:
        raise ConfigError(f"{path} has not the clips that are asked for ({error}): remove it") from error


def _face(told: dict[str, Any]) -> SeenFace:
    return SeenFace(**{**told, "span": tuple(told["span"])})


def _track(clip: str, told: dict[str, Any], evidence: TrackEvidence) -> SeenTrack:
    spans = tuple((start, end) for start, end in told["spans"])
    return SeenTrack(clip, told["shot"], told["photograph"], told["kind"], evidence, spans)

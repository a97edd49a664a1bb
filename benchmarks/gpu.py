"""Compare what an NVIDIA GPU finds and fits with what the processors of the same machine do; both are timed, too.

    pip install -e '.[gpu]'
    python benchmarks/gpu.py                                # ../shared/data/clips, and crops of people/gallery
    python benchmarks/gpu.py CLIPS --crops FOLDER --only networks,memory

FOLDER has a folder for each person with faces cut out, of 112 pixels. Each part prints a line of JSON; the exit code is
1 where GPU and processors disagree.

networks    the detector and SFace on the same frames, and the outputs of each network on noise
clips       the whole way of a clip, decoding included, and the names found
memory      batches that do not fit: the card is filled first but for a part
fit         `trainer fit` of a ResNet-50 of half size from new weights, in each precision
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed.gpu_busy import watched_gpu

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
DEVICES = ("cpu", "gpu")
PARTS = ("networks", "clips", "memory", "fit")

MAX_DIFFERENCE = 1e-5
"""Of the outputs, in parts of a network's largest; see tests/contract/test_engines.py."""

MAX_BOX_DIFFERENCE_PX = 0.01
MIN_COSINE = 0.9999
MIB = 1 << 20
FILL_MIB = (1024, 64, 8)
"""The card is filled by pieces of these sizes, one after another."""

LEFT_MIB = (128, 1024)
"""What is left free for a batch of `LARGE_BATCH`: not even its input fits; its input fits, and its maps do not."""

LARGE_BATCH = 1024
TIMEOUT_S = 900.0
"""Of a part; of `memory` TensorFlow compiles the network anew for each half."""
FIT_TIMEOUT_S = 3600.0
FIT_BATCH = 64
FIT_EPOCHS = {"cpu": 1, "gpu": 3}
PER_S = re.compile(r"([\d.]+) images/s")
EXPERIMENT = """\
from trainer.experiment import CentreLoss, Experiment, Network, Schedule

experiment = Experiment(
    network=Network("resnet50-half"),
    loss=CentreLoss(),
    precision="{precision}",
    schedule=Schedule(epochs={epochs}, batch={batch}, log_every_steps=4),
)
"""


def main() -> None:
    """Measure the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="?", type=Path, default=DATA / "clips")
    parser.add_argument("--crops", type=Path, default=DATA / "people" / "gallery")
    parser.add_argument("--only", default=",".join(PARTS), help="some of " + ", ".join(PARTS))
    parser.add_argument("--people", type=int, default=48, help="for the fit: those with the most crops")
    parser.add_argument("--seconds", type=float, default=5.0, help="that each pace is measured for, at least")
    parser.add_argument("--precisions", default="float32,bfloat16,float16")
    parser.add_argument("--gpu", choices=DEVICES, default="gpu", help="cpu: TensorFlow on the processors, as a trial")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--device", choices=DEVICES, help=argparse.SUPPRESS)
    parser.add_argument("--results", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        CHILDREN[chosen.part](chosen)
        return
    if unknown := set(chosen.only.split(",")) - set(PARTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    are_same = []
    with tempfile.TemporaryDirectory() as folder:
        for part in chosen.only.split(","):
            chosen.results = Path(folder)
            report, is_same = REPORTS[part](chosen)
            print(json.dumps({"part": part, "same": is_same, **report}), flush=True)
            are_same.append(is_same)
    sys.exit(0 if all(are_same) else 1)


# What is measured in a process of its own, so that one device's memory and threads are not the other's.


def measure_networks(chosen: argparse.Namespace) -> None:
    """Find and embed the faces of the clips' frames; keep what came out."""
    from annotator.build import build_detector  # noqa: PLC0415 - the parent needs none of it
    from annotator.networks.mtcnn import mtcnn_networks  # noqa: PLC0415 - as above
    from annotator.networks.sface import sface_definition  # noqa: PLC0415 - as above
    from annotator.recognition.alignment import align_faces  # noqa: PLC0415 - as above
    from annotator.recognition.embedding import FaceEmbedder  # noqa: PLC0415 - as above

    settings = _settings(chosen)
    frames = _frames(settings, chosen.clips)
    began_s = time.perf_counter()
    engine = _engine(chosen, settings)
    detector = build_detector(settings, engine)
    embedder = FaceEmbedder(engine)
    found = detector.detect(frames)
    crops = [align_faces(frame, faces.landmarks_xy)[0] for frame, faces in zip(frames, found, strict=True)]
    faces = np.concatenate(crops)
    embeddings = embedder.embed(faces)
    report: dict[str, Any] = {"frames": len(frames), "faces": len(faces)}
    report["start_s"] = round(time.perf_counter() - began_s, 1)
    report["detect"] = _pace(chosen, lambda: detector.detect(frames), len(frames))
    report["embed"] = _pace(chosen, lambda: embedder.embed(faces), len(faces))
    arrays = {"embeddings": embeddings, "count": np.asarray([len(one.scores) for one in found])}
    for name in ("boxes_xyxy", "scores", "landmarks_xy"):
        arrays[name] = np.concatenate([getattr(one, name) for one in found])
    for name, network in {**mtcnn_networks(), "sface": sface_definition()[0]}.items():
        shape = [length or 64 for length in network.input_shape_hwc]
        noise = np.random.default_rng(0).uniform(0, 255, (16, *shape)).astype(np.float32)
        for number, output in enumerate(engine.load(network)(noise)):
            arrays[f"{name} {number}"] = output
    np.savez(chosen.results / f"{chosen.device}.npz", **arrays)
    print(json.dumps(report))


def measure_clips(chosen: argparse.Namespace) -> None:
    """Annotate the clips twice: the first time everything is compiled."""
    from annotator.build import build_annotator  # noqa: PLC0415 - as above
    from annotator.media import expand_sources  # noqa: PLC0415 - as above
    from annotator.types import MediaAnnotation  # noqa: PLC0415 - as above

    settings = _settings(chosen)
    refs = expand_sources([str(chosen.clips)])
    began_s = time.perf_counter()
    annotator = build_annotator(settings, engine=_engine(chosen, settings))
    outcomes = list(annotator.annotate(refs))
    report: dict[str, Any] = {"clips": len(refs), "first_s": round(time.perf_counter() - began_s, 1)}
    report["annotate"] = _pace(chosen, lambda: list(annotator.annotate(refs)), len(refs))
    names = {
        one.media.media_id: sorted({label.identity.name for label in one.labels if label.identity})
        if isinstance(one, MediaAnnotation)
        else "failed"
        for one in outcomes
    }
    (chosen.results / f"{chosen.device}.json").write_text(json.dumps(names, sort_keys=True))
    print(json.dumps(report))


def measure_memory(chosen: argparse.Namespace) -> None:
    """Run SFace on a batch that does not fit, and on the same batch before the card was filled."""
    from annotator.networks.sface import sface_definition  # noqa: PLC0415 - as above

    engine = _engine(chosen, _settings(chosen))
    definition = sface_definition()[0]
    noise = np.random.default_rng(1).uniform(0, 255, (LARGE_BATCH, *definition.input_shape_hwc)).astype(np.float32)
    first, *others = (engine.load(definition) for _ in range(len(LEFT_MIB) + 1))
    parts = [first(part) for part in np.split(noise, LARGE_BATCH // 16)]
    expected = np.concatenate([output for (output,) in parts])
    held = _fill(chosen.gpu)
    former_mib = 0
    for runner, left_mib in zip(others, LEFT_MIB, strict=True):
        _let_go(held, left_mib - former_mib)
        former_mib = left_mib
        line: dict[str, Any] = {"left_mib": left_mib, "batch": LARGE_BATCH}
        try:
            (given,) = runner(noise)
        except Exception as error:  # noqa: BLE001 - what is told is the result
            line["failed"] = f"{type(error).__name__}: {str(error)[:300]}"
        else:
            line["ran_in"] = runner._largest.get(noise.shape[1:], LARGE_BATCH)  # noqa: SLF001 - no user asks for it
            line["difference"] = _difference(expected, given)
        print(json.dumps(line))


def _fill(device: str) -> list[Any]:
    """Fill a device, and return what fills it, the largest pieces first."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    pieces: list[Any] = []
    for size_mib in FILL_MIB if device == "gpu" else ():
        try:
            while True:
                pieces.append(_piece(size_mib))
        except (tf.errors.ResourceExhaustedError, tf.errors.InternalError):
            continue
    return pieces


def _let_go(held: list[Any], size_mib: int) -> None:
    """Free so much more of what fills a device, in one piece."""
    if held:
        del held[0]
        if size_mib < FILL_MIB[0]:
            held.append(_piece(FILL_MIB[0] - size_mib))


def _piece(size_mib: int) -> Any:  # noqa: ANN401 - TensorFlow has no types here
    import tensorflow as tf  # noqa: PLC0415 - as above

    with tf.device("/GPU:0"):
        return tf.fill((size_mib * MIB // 4,), 1.0)


CHILDREN = {"networks": measure_networks, "clips": measure_clips, "memory": measure_memory}


# What the reports are put together from.


def report_networks(chosen: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Compare what both devices find, and how fast."""
    report: dict[str, Any] = {device: _child(chosen, "networks", device)[0] for device in DEVICES}
    cpu, gpu = (np.load(chosen.results / f"{device}.npz") for device in DEVICES)
    is_alike = np.array_equal(cpu["count"], gpu["count"])
    outputs = {name: _difference(cpu[name], gpu[name]) for name in cpu.files if " " in name}
    report["outputs_differ"] = {name: float(f"{difference:.2g}") for name, difference in outputs.items()}
    if not is_alike:
        return {**report, "faces": [int(one["count"].sum()) for one in (cpu, gpu)]}, False
    box_px, score = (float(np.abs(cpu[name] - gpu[name]).max(initial=0)) for name in ("boxes_xyxy", "scores"))
    cosine = float((cpu["embeddings"] * gpu["embeddings"]).sum(axis=1).min(initial=1))
    report.update(box_px=box_px, score=score, min_cosine=cosine)
    is_near = box_px < MAX_BOX_DIFFERENCE_PX and cosine > MIN_COSINE
    return report, is_near and max(outputs.values()) < MAX_DIFFERENCE


def report_clips(chosen: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Compare the names that both devices find, and how fast."""
    report: dict[str, Any] = {device: _child(chosen, "clips", device)[0] for device in DEVICES}
    cpu, gpu = (json.loads((chosen.results / f"{device}.json").read_text()) for device in DEVICES)
    report["failed"] = sorted(media for one in (cpu, gpu) for media, names in one.items() if names == "failed")
    report["names"] = sum(len(names) for names in cpu.values() if names != "failed")
    report["other_names"] = {media: [cpu[media], gpu.get(media)] for media in cpu if cpu[media] != gpu.get(media)}
    return report, cpu == gpu and not report["failed"]


def report_memory(chosen: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Say in which parts the batch ran; the card is too small for it, and the results are the same."""
    lines = _child(chosen, "memory", "gpu")
    is_same = all(line.get("difference", 1.0) < MAX_DIFFERENCE for line in lines)
    is_halved = chosen.gpu == "cpu" or all(line.get("ran_in", LARGE_BATCH) < LARGE_BATCH for line in lines)
    return {"filled": lines}, is_same and is_halved and len(lines) == len(LEFT_MIB)


def report_fit(chosen: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Fit in each precision on the GPU, and in float32 on the processors; each fit has to learn something."""
    runs = [("cpu", "float32"), *((chosen.gpu, precision) for precision in chosen.precisions.split(","))]
    report = {f"{device} {precision}": _fit(chosen, device, precision) for device, precision in dict.fromkeys(runs)}
    losses = [one["losses"] for one in report.values()]
    return report, all(np.isfinite(one).all() and (len(one) < 2 or one[-1] < one[0]) for one in losses)


REPORTS = {"networks": report_networks, "clips": report_clips, "memory": report_memory, "fit": report_fit}


def _fit(chosen: argparse.Namespace, device: str, precision: str) -> dict[str, Any]:
    name = f"{device}_{precision}"
    home, experiments = chosen.results / "workdir" / name, chosen.results / "experiments"
    by_crops = sorted(chosen.crops.iterdir(), key=lambda person: (-len(list(person.iterdir())), person.name))
    for person in by_crops[: chosen.people]:
        for number, path in enumerate(sorted(person.iterdir())):
            target = home / ("val_dataset" if number < 2 else "train_dataset") / person.name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    experiments.mkdir(exist_ok=True)
    text = EXPERIMENT.format(precision=precision, epochs=FIT_EPOCHS[device], batch=FIT_BATCH)
    (experiments / f"{name}.py").write_text(text)
    command = [Path(sys.executable).with_name("trainer"), "fit", name, "--workdir", "workdir"]
    environment = {**os.environ, "USE_GPU": "true" if device == "gpu" else "false"}
    with watched_gpu(device) as busy:
        began_s = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=chosen.results,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=FIT_TIMEOUT_S,
        )
    if done.returncode:
        raise SystemExit(done.stderr)
    history = (home / "history.csv").read_text().splitlines()
    return {
        "images_per_s": [float(number) for number in PER_S.findall(done.stderr)][-1],
        "whole_s": round(time.perf_counter() - began_s, 1),
        "losses": [round(float(line.split(",")[2]), 3) for line in history[1:]],
        **busy,
    }


def _child(chosen: argparse.Namespace, part: str, device: str) -> list[dict[str, Any]]:
    """Measure a part in a process of its own."""
    command = [sys.executable, __file__, str(chosen.clips), "--part", part, "--device", device]
    command += ["--results", str(chosen.results), "--seconds", str(chosen.seconds), "--gpu", chosen.gpu]
    try:
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT_S)
    except subprocess.SubprocessError as error:
        raise SystemExit(f"the part {part} failed on {device}: {error}") from error
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def _settings(chosen: argparse.Namespace) -> Any:  # noqa: ANN401 - the parent imports no settings
    from annotator.settings import load_settings  # noqa: PLC0415 - as above

    return load_settings(env_file=None, device=chosen.device)


def _engine(chosen: argparse.Namespace, settings: Any) -> Any:  # noqa: ANN401 - as above
    """Make the engine that the product would make; for a trial without a GPU, TensorFlow on the processors."""
    if (chosen.device, chosen.gpu) == ("gpu", "cpu"):
        from annotator.runtime.tensorflow_engine import TensorflowEngine  # noqa: PLC0415 - as above

        return TensorflowEngine(device="cpu")
    from annotator.build import build_engine  # noqa: PLC0415 - as above

    return build_engine(settings)


def _frames(settings: Any, clips: Path) -> list[Any]:  # noqa: ANN401 - as above
    from annotator.build import build_source  # noqa: PLC0415 - as above
    from annotator.media import expand_sources  # noqa: PLC0415 - as above

    source = build_source(settings)
    frames: list[Any] = []
    for media in expand_sources([str(clips)]):
        with source.open(media) as sampled:
            frames += [np.array(image) for batch in sampled for image in batch.images]
    return frames


def _pace(chosen: argparse.Namespace, work: Callable[[], object], count: int) -> dict[str, Any]:
    """Repeat until so many seconds have passed; the fastest turn counts."""
    turns: list[float] = []
    used_s, began_s = time.process_time(), time.perf_counter()
    with watched_gpu(chosen.device) as busy:
        while sum(turns) < chosen.seconds:
            start_s = time.perf_counter()
            work()
            turns.append(time.perf_counter() - start_s)
    cores = (time.process_time() - used_s) / (time.perf_counter() - began_s)
    return {"per_s": round(count / min(turns), 1), "turns": len(turns), "cores": round(cores, 2), **busy}


def _difference(one: Any, other: Any) -> float:  # noqa: ANN401 - arrays
    return float(np.abs(one - other).max() / np.abs(one).max())


if __name__ == "__main__":
    main()

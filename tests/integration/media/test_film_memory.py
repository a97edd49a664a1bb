"""A film of two hours is sampled in little memory and little time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from annotator.media.child import ffmpeg_path
from annotator.media.limits import MIB

MAX_BYTES = 600 * 1000 * 1000

# A process of its own, and its mark of the highest memory since exec: what resource.getrusage tells of a child includes
# what its parent had when it was forked.
MEASURE = """
import json, re, sys
from pathlib import Path
from annotator.media import DecodeLimits, LocalMedia, Sampling, sample_frames
from annotator.types import MediaRef
local = LocalMedia(MediaRef("film", ""), Path(sys.argv[1]), 0, "")
taken = 0
with sample_frames(local, sampling=eval(sys.argv[2]), limits=DecodeLimits()) as frames:
    for batch in frames:
        taken += len(batch)
        if taken >= int(sys.argv[3]):
            break
    else:
        assert frames.report.duration_ms == 7_200_000, frames.report
own = int(re.search("VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)) * 1024
print(json.dumps({"taken": taken, "own": own, "child": frames.peak_bytes}))
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours of 1920 x 1080 at 24 frames/s, a key frame every second: a scene of ten seconds, again and again."""
    folder = tmp_path_factory.mktemp("film")
    scene, path = folder / "scene.mp4", folder / "film.mp4"
    picture = ("-f", "lavfi", "-i", "testsrc=size=1920x1080:rate=24:duration=10")
    codec = (
        "-vf",
        "fps=1,fps=24",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-crf",
        "40",
        "-g",
        "24",
        "-pix_fmt",
        "yuv420p",
    )
    for args in ((*picture, *codec, str(scene)), ("-stream_loop", "719", "-i", str(scene), "-c", "copy", str(path))):
        subprocess.run([ffmpeg_path(), "-nostdin", "-v", "error", *args], check=True, timeout=120)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampling", "enough"), [("Sampling.even(23)", 24), ("Sampling.all()", 60), ("Sampling.every(500)", 60)]
)
def test_a_film_of_two_hours_takes_less_than_600_megabytes(film: Path, sampling: str, enough: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(film), sampling, str(enough)], capture_output=True, check=True, timeout=120
    )
    peak: dict[str, int] = json.loads(run.stdout)
    print(f"{sampling}: own {peak['own'] / MIB:.0f} MiB, decoder {peak['child'] / MIB:.0f} MiB")  # noqa: T201 (with -s)
    assert peak["taken"] >= 20
    assert peak["own"] + peak["child"] < MAX_BYTES

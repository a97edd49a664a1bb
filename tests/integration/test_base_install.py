"""The base install annotates without TensorFlow."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.media_factory import BLUE, RED, GifPart, flat, gif_bytes

REPOSITORY = Path(__file__).resolve().parents[2]


def test_its_lock_names_no_tensorflow() -> None:
    names = re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / "requirements" / "base.lock").read_text(), re.MULTILINE)
    assert "openvino" in names
    assert [name for name in names if name.startswith("tensorflow")] == []


def test_a_clip_is_annotated_and_networks_are_converted_where_tensorflow_cannot_be_imported(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    absent.mkdir()
    (absent / "tensorflow.py").write_text('raise ImportError("TensorFlow is not installed")')
    (tmp_path / "clip.gif").write_bytes(gif_bytes([GifPart(flat(RED)), GifPart(flat(BLUE))]))
    environment = {**os.environ, "PYTHONPATH": str(absent), "ANNOTATOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [Path(sys.executable).with_name("annotator"), "annotate", "clip.gif", "--json", "--no-save"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout)
    assert (line["status"], line["frames_sampled"], line["faces"]) == ("annotated", 2, 0)

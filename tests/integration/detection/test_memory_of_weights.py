"""The weights of a network are in memory once: as it was compiled. Linux tells how much of a mapping is there."""

from pathlib import Path

import numpy as np

from annotator.networks.sface import FACE_SIDE_PX, sface_definition
from annotator.runtime.conversion import converted, weights_of
from annotator.runtime.openvino_engine import OpenvinoEngine

MAX_SHARE = 0.1
"""Slopes and the like are computed with as they are in the file."""


def resident_bytes(file: Path) -> int:
    """Return how much of a mapped file this process has in memory."""
    resident_kb, is_it = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):  # the first line of a mapping
            is_it = words[-1] == str(file)
        elif is_it and words[0] == "Rss:":
            resident_kb += int(words[1])
    return 1024 * resident_kb


def test_what_was_compiled_does_not_keep_the_pages_of_the_file(network_cache: Path) -> None:
    definition = sface_definition()[0]
    (graph,) = converted([definition], network_cache)
    weights = weights_of(graph.resolve())
    runner = OpenvinoEngine(threads=1, cache_dir=network_cache).load(definition)
    faces = np.random.default_rng(0).uniform(0, 255, (2, FACE_SIDE_PX, FACE_SIDE_PX, 3)).astype(np.float32)

    first = runner(faces)
    assert resident_bytes(weights) < MAX_SHARE * weights.stat().st_size
    (alone,) = runner(faces[:1])  # another shape is compiled from the same pages

    np.testing.assert_allclose(alone, first[0][:1], rtol=0, atol=1e-4 * np.abs(alone).max())
    assert resident_bytes(weights) < MAX_SHARE * weights.stat().st_size

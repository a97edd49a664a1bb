"""The weights of a network are in memory once: as it was compiled. Linux tells how much of a mapping is there."""

import ctypes
from pathlib import Path

import numpy as np
import openvino
import pytest

from annotator.networks.mtcnn import mtcnn_networks
from annotator.networks.sface import FACE_SIDE_PX, sface_definition
from annotator.runtime.conversion import converted, weights_of
from annotator.runtime.openvino_engine import OpenvinoEngine, _ReadNetwork

MAX_SHARE = 0.1
"""Slopes and the like are computed with as they are in the file."""


def resident_bytes(file: Path) -> int:
    """Return how much of a mapped file this process has in memory."""
    resident_kb, is_it = [], False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split(maxsplit=5)  # a name may have spaces
        if not words[0].endswith(":"):  # the first line of a mapping
            is_it = words[-1] == str(file)
        elif is_it and words[0] == "Rss:":
            resident_kb.append(int(words[1]))
    assert resident_kb, f"{file} is not mapped"
    return 1024 * sum(resident_kb)


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


def test_a_file_that_is_not_mapped_is_not_taken_for_one_without_memory(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is not mapped"):
        resident_bytes(tmp_path / "weights.bin")


def test_pages_that_somebody_has_locked_stay_and_stop_nothing(network_cache: Path) -> None:
    (graph,) = converted([mtcnn_networks()["pnet"]], network_cache)
    network = _ReadNetwork(openvino.Core(), graph, weights_of(graph), is_split=False)
    first = ctypes.c_char.from_buffer(network._weights)
    assert ctypes.CDLL(None).mlock(ctypes.byref(first), len(network._weights)) == 0
    network.let_go()
    assert resident_bytes(weights_of(graph.resolve())) > 0

"""How much a pipeline has in hand at once, by what runs its networks."""

from types import SimpleNamespace
from typing import Any

import pytest

from annotator.build import _filled
from annotator.decoding import PipelineParams
from annotator.runtime.batches import LARGE, SMALL, Batches


def test_an_engine_that_wants_large_batches_gets_enough_of_everything_to_fill_them() -> None:
    engine: Any = SimpleNamespace(lanes=16, batches=LARGE)
    given = PipelineParams(decoders=3, embed_batch=32)
    filled = _filled(given, engine)
    assert (filled.decoders, filled.detecting, filled.embed_batch) == (3, 8, 128)
    assert filled.max_inbox_bytes >= filled.max_batch_bytes >= 3 * LARGE.chunk_pixels
    of_processor: Any = SimpleNamespace(lanes=2, batches=SMALL)
    assert _filled(given, of_processor) == given


@pytest.mark.parametrize(
    ("batches", "lanes", "detecting"), [(SMALL, 1, 2), (SMALL, 64, 64), (LARGE, 1, 2), (LARGE, 4, 4), (LARGE, 64, 8)]
)
def test_each_lane_of_a_processor_has_a_batch_and_a_gpu_a_few(batches: Batches, lanes: int, detecting: int) -> None:
    engine: Any = SimpleNamespace(lanes=lanes, batches=batches)
    assert _filled(PipelineParams(), engine).detecting == detecting

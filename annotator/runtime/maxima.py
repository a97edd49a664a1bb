"""Products in bfloat16, or float32, of which the greatest of each group is kept."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np

from annotator.runtime.bfloat16 import U16
from annotator.runtime.openvino_engine import start_openvino
from annotator.types import F32

# isort: split
import openvino  # after the engine, which keeps it from telling its makers
import openvino.opset14 as ops

Factors = U16 | F32
"""Numbers of bfloat16, as u16, or of float32."""

_BLOCK_VECTORS: Final = 4096
"""Vectors multiplied at once: with 256 others, their products are 2 MiB. With 16,384 it takes a tenth longer."""


class GroupMaxima:
    """Vectors in groups, to be multiplied with others. Safe to use from several threads.

    Products of two numbers of bfloat16 are exact in float32, in which they are summed up. The sums are rounded to
    bfloat16 again, which changes nothing about which is the greatest.
    """

    def __init__(self, vectors: Factors) -> None:
        """Compile the product.

        Args:
            vectors: bfloat16 as u16, or f32, (groups, size, K), at least one group.

        """
        groups, size, _ = vectors.shape
        self._lanes = len(os.sched_getaffinity(0))
        count = -(-groups // max(-(-groups * size // _BLOCK_VECTORS), min(self._lanes, groups)))
        # The last block begins so early that it is whole: some groups are multiplied twice, with one result.
        starts = sorted({*range(0, groups - count, count), groups - count})
        # Rows of a group far apart: long rows are quickest to compare.
        blocks: list[Any] = [np.ascontiguousarray(vectors[at : at + count].transpose(1, 0, 2)) for at in starts]
        # A tensor is a view: its array stays beside it.
        self._blocks = [(start, block, _tensor(block)) for start, block in zip(starts, blocks, strict=True)]
        self._count = count
        self._threads = ThreadPoolExecutor(self._lanes, "maxima")
        self._model = _compiled(blocks[0], lanes=self._lanes)

    def into(self, output: F32, others: Factors) -> None:
        """Write the greatest product of each group.

        Args:
            output: f32 (groups, t), in one piece; written.
            others: like the vectors, (t, K), in one piece. What is not finite harms its own column only.

        """
        blocks = iter(self._blocks)  # shared: a thread that is held up leaves the rest to the others
        for done in [self._threads.submit(self._multiply, blocks, others, output) for _ in range(self._lanes)]:
            done.result()

    def _multiply(self, blocks: Iterator[tuple[int, Any, Any]], others: Factors, output: F32) -> None:
        request = self._model.create_infer_request()
        request.set_input_tensor(1, _tensor(others))
        for start, _, tensor in blocks:
            request.set_input_tensor(0, tensor)
            part = output[start : start + self._count]
            request.set_output_tensor(0, openvino.Tensor(part, shared_memory=True))
            request.infer()


def has_quick_bfloat16() -> bool:
    """Tell whether the processor multiplies in bfloat16, which is quicker than in float32."""
    return "BF16" in start_openvino().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _tensor(values: Factors) -> openvino.Tensor:
    return openvino.Tensor(values, openvino.Shape(values.shape), _type_of(values))


def _type_of(values: Factors) -> openvino.Type:
    return openvino.Type.bf16 if values.dtype == np.uint16 else openvino.Type.f32


def _compiled(block: Factors, *, lanes: int) -> Any:  # noqa: ANN401 - OpenVINO has no types
    size, count, width = block.shape
    mine, others = (ops.parameter(shape, _type_of(block)) for shape in (block.shape, [-1, width]))
    rows = ops.reshape(mine, ops.constant([size * count, width]), special_zero=False)
    products = ops.matmul(rows, others, transpose_a=False, transpose_b=True)
    groups = ops.reshape(products, ops.constant([size, count, -1]), special_zero=False)
    greatest = ops.convert(ops.reduce_max(groups, ops.constant([0]), keep_dims=False), "f32")
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",  # of what has no type; these have one
        "NUM_STREAMS": lanes,  # one thread each: one product on several threads mostly runs on one of them
        "INFERENCE_NUM_THREADS": lanes,
        "ENABLE_CPU_PINNING": False,
    }
    return start_openvino().compile_model(openvino.Model([greatest], [mine, others]), "CPU", settings)

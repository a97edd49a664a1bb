"""Batches that do not fit into memory run in parts."""

import logging
from typing import Any

import numpy as np
import pytest

from annotator.errors import DeviceMemoryError, InputError
from annotator.runtime.halving import HalvingRunner, memory_errors_told, tells_of_memory
from annotator.runtime.network import Pixels, Precision, Take
from annotator.types import F32


class SmallDevice:
    """Sums up each picture, of which only so many fit; the shapes of all batches are remembered."""

    precision: Precision = "f32"

    def __init__(self, fits: int, error: Exception | None = None) -> None:
        self.fits = fits
        self.error = error or RuntimeError("[GPU] CL_OUT_OF_RESOURCES")
        self.batches: list[int] = []

    def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
        self.batches.append(len(batch))
        if len(batch) > self.fits:
            raise self.error
        sums = batch.astype(np.float32).reshape(len(batch), -1).sum(axis=1)
        outputs = sums, np.stack([sums, -sums], axis=1)
        return outputs if take is None else take(outputs)


def pictures(count: int, side: int = 2) -> F32:
    return np.arange(count * side * side, dtype=np.float32).reshape(count, side, side, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 16, 17])
@pytest.mark.parametrize("fits", [1, 2, 3, 4, 7])
def test_the_outputs_are_those_of_one_batch(count: int, fits: int) -> None:
    run = HalvingRunner(SmallDevice(fits), name="rnet")
    whole = SmallDevice(100)(pictures(count))
    for _ in range(2):
        for mine, expected in zip(run(pictures(count)), whole, strict=True):
            np.testing.assert_array_equal(mine, expected)


@pytest.mark.parametrize("fits", [2, 100])
def test_what_is_taken_is_taken_of_the_outputs_of_the_whole_batch(fits: int) -> None:
    seen = []

    def take(outputs: tuple[F32, ...]) -> tuple[float]:
        seen.append([output.shape for output in outputs])
        return (float(outputs[0].sum()),)

    assert HalvingRunner(SmallDevice(fits), name="rnet")(pictures(5), take) == (float(pictures(5).sum()),)
    assert seen == [[(5,), (5, 2)]]


def test_what_goes_wrong_while_taking_is_not_the_device(caplog: pytest.LogCaptureFixture) -> None:
    seen = []

    def take(outputs: tuple[F32, ...]) -> tuple[float]:
        seen.append(len(outputs[0]))
        raise MemoryError("no room for what is taken")

    run = HalvingRunner(SmallDevice(100), name="rnet")
    with pytest.raises(MemoryError, match="no room for what is taken"):
        run(pictures(8), take)
    assert seen == [8]
    assert caplog.records == []


def test_bytes_stay_bytes_in_every_part() -> None:
    given = []

    class Device(SmallDevice):
        def __call__(self, batch: Pixels, take: Take | None = None) -> tuple[Any, ...]:
            given.append(batch.dtype)
            return super().__call__(batch, take)

    HalvingRunner(Device(2), name="sface")(pictures(5).astype(np.uint8))
    assert set(given) == {np.dtype(np.uint8)}


def test_what_did_not_fit_is_not_tried_again_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    device = SmallDevice(4)
    run = HalvingRunner(device, name="rnet")
    with caplog.at_level(logging.WARNING):
        run(pictures(16))
        assert device.batches == [16, 8, 4, 4, 4, 4]
        device.batches.clear()
        run(pictures(16))
        run(pictures(6))
    assert device.batches == [4, 4, 4, 4, 4, 4], "always the same size: each costs a compilation"
    assert [record.message for record in caplog.records] == [
        "A batch of 16 does not fit into the memory of the device; the network rnet runs in smaller ones."
    ]


def test_pictures_of_another_size_are_another_matter() -> None:
    device = SmallDevice(4)
    run = HalvingRunner(device, name="pnet")
    run(pictures(8))
    device.batches.clear()
    device.fits = 100
    run(pictures(8, side=3))
    run(pictures(8))
    assert device.batches == [8, 4, 4]


def test_a_single_input_that_does_not_fit_is_told_with_the_remedy() -> None:
    run = HalvingRunner(SmallDevice(0), name="pnet")
    with pytest.raises(DeviceMemoryError, match="no memory for a single input of the network pnet, 2 x 2 x 1: give it"):
        run(pictures(4))


def test_other_errors_pass_as_they_are() -> None:
    run = HalvingRunner(SmallDevice(0, ValueError("the shapes do not match")), name="pnet")
    with pytest.raises(ValueError, match="shapes"):
        run(pictures(4))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((1 << 60,), np.dtype(np.uint8)),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes."),
        RuntimeError("Failed to allocate memory for requested buffer of size 1073741824"),
        RuntimeError("Exception from src/plugins/intel_cpu: could not create a memory object"),
        RuntimeError("std::bad_alloc"),
        RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        RuntimeError("[GPU] Exceeded max size of memory object allocation"),
        RuntimeError("cudaSetDevice() on GPU:0 failed. Status: out of memory"),
        RuntimeError("Failed copying input tensor from CPU:0 to GPU:0: Dst tensor is not initialized."),
    ],
)
def test_errors_of_memory_are_known_by_class_or_words(error: Exception) -> None:
    assert tells_of_memory(error)


def test_other_words_are_no_error_of_memory() -> None:
    assert not tells_of_memory(RuntimeError("input 0 has 3 channels, expected 1"))


def test_that_memory_has_run_out_is_said_in_a_sentence_whatever_class_it_comes_in() -> None:
    with pytest.raises(DeviceMemoryError, match="make the batch smaller"), memory_errors_told("make the batch smaller"):
        raise RuntimeError("cudaSetDevice() on GPU:0 failed. Status: out of memory")


@pytest.mark.parametrize("error", [InputError("out of memory.png is no picture"), ValueError("no GPU")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), memory_errors_told("make the batch smaller"):
        raise error

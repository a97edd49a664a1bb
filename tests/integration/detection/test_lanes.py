"""The small networks compute in the threads that ask, as many side by side as the engine has lanes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import threadpoolctl  # type: ignore[import-untyped] # it has no types

from annotator.detection.looking import batch_memory
from annotator.networks.mtcnn import mtcnn_networks
from annotator.runtime.openvino_engine import OpenvinoEngine

LANES, ASKING = 2, 8
SHAPE = (64, 24, 24, 3)


def threads_of_this_process() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def test_however_many_threads_ask_there_are_as_many_models_as_lanes_and_no_threads_for_them(
    network_cache: Path,
) -> None:
    runner = OpenvinoEngine(threads=LANES, cache_dir=network_cache).load(mtcnn_networks()["rnet"])
    batch = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    together = Barrier(ASKING)

    def ask(_: int) -> float:
        together.wait(timeout=60)
        return float(sum(runner(batch)[1].sum() for _ in range(20)))

    with ThreadPoolExecutor(ASKING) as pool:
        before = threads_of_this_process()
        sums = set(pool.map(ask, range(ASKING)))
        assert threads_of_this_process() <= before + ASKING
    assert len(sums) == 1
    assert len(runner._runner._requests[SHAPE]._free) == LANES


def test_beside_an_engine_products_are_made_in_the_thread_that_asks(network_cache: Path) -> None:
    with threadpoolctl.threadpool_limits(limits=3, user_api="blas"):
        OpenvinoEngine(threads=LANES, cache_dir=network_cache)
        threads = [
            library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"
        ]
    assert set(threads) == {1}


def test_each_thread_draws_its_batches_in_memory_of_its_own_one_over_the_other() -> None:
    mine = batch_memory((8, 5, 7, 3))
    assert (mine == 0).all()
    mine[...] = 1
    assert (batch_memory((2, 5, 7, 3)) == 1).all()
    assert np.shares_memory(batch_memory((2, 5, 7, 3)), mine)
    assert not np.shares_memory(batch_memory((8, 5, 8, 3)), mine)
    with ThreadPoolExecutor(1) as pool:
        assert not np.shares_memory(pool.submit(batch_memory, (8, 5, 7, 3)).result(), mine)

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from annotator.networks.sface import build_sface, read_sface_weights
from tests.optional import import_optional
from trainer.fitting import device


@pytest.fixture(autouse=True)
def threads_of_tensorflow_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave TensorFlow's threads as they are: another test of this process may have begun it.

    They count for the last digits only.
    """
    monkeypatch.setattr(device, "_set_threads", lambda *_: None)


@pytest.fixture(scope="module")
def sface_is_built_once() -> Iterator[None]:
    """Build SFace, which nothing changes, once for all fits of a process: that takes longer than a small fit."""
    import_optional("tensorflow")
    from trainer.networks import build  # noqa: PLC0415 - imports Keras

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "build_sface", _sface)
        patch.setattr(build, "read_sface_weights", _weights)
        yield


def _sface() -> Any:
    import keras  # noqa: PLC0415 - takes seconds

    return _sface_in(keras.mixed_precision.dtype_policy().name)


@cache
def _sface_in(_precision: str) -> Any:
    return build_sface()


@cache
def _weights() -> Any:
    return read_sface_weights()

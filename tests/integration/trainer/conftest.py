import pytest

from trainer.fitting import device


@pytest.fixture(autouse=True)
def threads_of_tensorflow_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave TensorFlow's threads as they are: another test of this process may have begun it.

    They count for the last digits only.
    """
    monkeypatch.setattr(device, "_set_threads", lambda *_: None)

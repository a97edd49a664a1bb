"""Which engine runs the networks."""

import importlib.util
import logging
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from annotator.errors import ConfigError
from annotator.runtime import create_engine, factory, tensorflow_engine


def _without_tensorflow(name: str) -> ModuleSpec | None:
    return None if name == "tensorflow" else importlib.util.find_spec(name)


def test_a_gpu_without_tensorflow_is_refused_with_the_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorflow_engine, "find_spec", _without_tensorflow)
    with pytest.raises(ConfigError, match=r"pip install 'celebrity-annotator\[gpu\]'"):
        create_engine("gpu", threads=None, cache_dir=tmp_path)


def test_auto_is_openvino_where_no_gpu_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factory, "_NVIDIA_DEVICE", tmp_path / "none")
    assert create_engine("auto", threads=None, cache_dir=tmp_path).name == "openvino"


def test_auto_says_that_a_gpu_stays_unused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(factory, "_NVIDIA_DEVICE", tmp_path)
    monkeypatch.setattr(factory, "find_spec", _without_tensorflow)
    with caplog.at_level(logging.WARNING):
        assert create_engine("auto", threads=1, cache_dir=tmp_path).name == "openvino"
    assert "celebrity-annotator[gpu]" in caplog.text

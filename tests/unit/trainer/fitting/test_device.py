import os
import signal
import subprocess
import sys

import pytest

from annotator.errors import DeviceMemoryError, InputError
from trainer.fitting import device
from trainer.fitting.device import greetings_held_back, memory_errors_told
from trainer.settings import Device

GREETING = b"E0000 failed call to cuInit\n"


def test_what_native_code_says_at_its_start_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with greetings_held_back(), greetings_held_back():
        os.write(2, GREETING)
    assert capfd.readouterr().err == ""
    os.write(2, b"later\n")
    assert capfd.readouterr().err == "later\n"


@greetings_held_back()
@greetings_held_back()
def fail() -> None:
    os.write(2, GREETING)
    raise ValueError("no GPU")


def test_it_is_shown_where_the_start_fails(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no GPU"):
        fail()
    assert capfd.readouterr().err.encode() == GREETING


@pytest.mark.parametrize("ending", [signal.SIGABRT, signal.SIGSEGV, signal.SIGKILL])
def test_it_is_shown_where_native_code_ends_the_process(ending: signal.Signals) -> None:
    code = f"""
import os
from trainer.fitting.device import greetings_held_back

with greetings_held_back(), greetings_held_back():
    os.write(2, {GREETING!r})
    os.kill(os.getpid(), {int(ending)})
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=60)
    assert told.returncode == -ending
    assert told.stderr == GREETING


@pytest.mark.parametrize(("chosen", "shown"), [("cpu", b""), ("gpu", GREETING)])
def test_what_is_said_of_gpus_is_shown_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *, chosen: Device, shown: bytes
) -> None:
    monkeypatch.setattr(device, "_prepared", lambda *_, **__: os.write(2, GREETING))
    device.prepare_tensorflow(chosen, threads=1, seed=0)
    assert capfd.readouterr().err.encode() == shown


@pytest.mark.parametrize(
    "said",
    [
        "cudaSetDevice() on GPU:0 failed. Status: out of memory",
        "Failed copying input tensor from CPU:0 to GPU:0 in order to run Cast: Dst tensor is not initialized.",
    ],
)
def test_that_memory_has_run_out_is_said_whatever_class_tensorflow_says_it_in(said: str) -> None:
    with pytest.raises(DeviceMemoryError, match="no memory left: make batch"), memory_errors_told():
        raise RuntimeError(said)


@pytest.mark.parametrize("error", [InputError("out of memory.png is no picture"), ValueError("no GPU")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), memory_errors_told():
        raise error

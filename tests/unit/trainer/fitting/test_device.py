import os
import signal
import subprocess
import sys

import pytest

from trainer.fitting import device
from trainer.fitting.device import greetings_held_back
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

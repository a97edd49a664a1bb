import os

import pytest

from trainer.fitting.device import greetings_held_back

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

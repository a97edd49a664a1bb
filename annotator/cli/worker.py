"""``annotator worker``: what a supervisor asks about the worker of this machine or container."""

from typing import Final

from annotator.cli.entry import FAILED, OK
from annotator.cli.output import out
from annotator.liveness import read_sign, why_not_alive
from annotator.settings import load_settings

_DRAINING: Final = "draining"


def tell_ready() -> int:
    """Say in one line whether the worker has warmed up and takes work.

    Returns:
        The exit code: 0 if it does.

    """
    return _tell("ready", is_ready=True)


def tell_alive() -> int:
    """Say in one line whether the worker lives and gets on with what it has in hand.

    Returns:
        The exit code: 0 if it does.

    """
    return _tell("alive", is_ready=False)


def _tell(word: str, *, is_ready: bool) -> int:
    settings = load_settings().worker
    sign = read_sign(settings.alive_file)
    why = why_not_alive(sign, timeout_s=settings.session_timeout_s)
    if why is None and sign is not None and is_ready and sign.state == _DRAINING:
        why = f"process {sign.pid} is draining"
    if why is None and sign is not None:
        out().print(f"{word}: process {sign.pid}", markup=False, highlight=False)
        return OK
    out().print(f"not {word}: {why} ({settings.alive_file})", markup=False, highlight=False, soft_wrap=True)
    return FAILED

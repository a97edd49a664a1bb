"""Imported by Python itself at its start: the wall clock goes back an hour as soon as a file says so.

The folder of this file lies on the path of every program under test; ``Program.step_clock_back`` makes the file.
"""

import datetime as dt
import os
import time
from typing import Any, Final

STEP_S: Final = 3600.0
_FILE: Final = os.path.join(os.environ.get("FAULTS_HALTS", ""), "clock-back")  # noqa: PTH118 - no more than needed
_time, _time_ns, _datetime = time.time, time.time_ns, dt.datetime


def _step_s() -> float:
    return STEP_S if os.path.exists(_FILE) else 0.0  # noqa: PTH110


class _Kind(type):
    def __instancecheck__(cls, one: object) -> bool:
        return isinstance(one, _datetime)


class _SteppedDatetime(_datetime, metaclass=_Kind):
    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        return _datetime.now(tz) - dt.timedelta(seconds=_step_s())

    @classmethod
    def utcnow(cls) -> Any:
        return _datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(seconds=_step_s())


time.time = lambda: _time() - _step_s()
time.time_ns = lambda: _time_ns() - int(_step_s()) * 10**9
dt.datetime = _SteppedDatetime  # type: ignore[misc]

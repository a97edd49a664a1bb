"""Become another program that ends with its parent.

Run as ``python -I -S launch.py PARENT_PID SIGNAL UID -- COMMAND…``: it imports the standard library alone. A server
started in this way gets ``SIGNAL`` from the kernel when its parent dies, however it dies, so a killed ``annotator up``
leaves nothing behind.

``UID`` is ``-`` for the user who asks. PostgreSQL refuses to run as root, so root names an ordinary user here. The
program keeps the one capability of passing through folders that are closed to that user (a checkout below ``/root``,
say); in this way no folder's permissions are changed.
"""

import ctypes
import os
import sys
from typing import Final

_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
_PR_SET_KEEPCAPS: Final = 8
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_RAISE: Final = 2
_CAP_DAC_OVERRIDE: Final = 1  # linux/capability.h
_CAPABILITY_VERSION_3: Final = 0x20080522
_EXIT_ORPHANED: Final = 3


class _CapHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(uid: int, libc: ctypes.CDLL) -> None:
    """Change the user and keep the right to pass closed folders, where the system grants it."""
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    bit = 1 << _CAP_DAC_OVERRIDE
    data = (_CapData * 2)(_CapData(bit, bit, bit), _CapData(0, 0, 0))
    if libc.capset(ctypes.byref(_CapHeader(_CAPABILITY_VERSION_3, 0)), ctypes.byref(data)) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main(argv: list[str]) -> None:
    """Replace this process by the command; see the module."""
    parent_pid, signal_number, uid, _, *command = argv
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if uid != "-":
            _become(int(uid), libc)
        # After the change of user: the kernel forgets the signal when the user changes.
        libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
        if os.getppid() != int(parent_pid):  # it died before the signal was set
            sys.exit(_EXIT_ORPHANED)
    os.execv(command[0], command)  # noqa: S606  (this module's purpose: no shell is wanted)


if __name__ == "__main__":
    main(sys.argv[1:])

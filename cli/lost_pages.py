"""A mapped file that becomes shorter while it is read: one line and an exit code, where the system has a bare signal.

Strategy: whoever touches a page that is gone gets SIGBUS, again and again until the process ends, so Python's own
handlers, which run between two instructions, never come to it. This one is called by the system through ctypes, in the
thread that touched the page, and ends the process: there is nothing to go back to. Only the command has it; in somebody
else's process the signal is theirs.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from typing import Any

from ..errors import DataError
from ..files.partial_files import remove_own_partial_files
from .exit_codes import INPUT

LOST = DataError("a file that is read became shorter meanwhile, or its disk fails; start again when it is whole")

_kept: list[Any] = []  # the system holds no reference to the handler


def heed_lost_pages(say: Callable[[DataError, int], int]) -> None:
    """Answer SIGBUS in this process from now on, where the system has it.

    say : tells the user of an error, given with the exit code
    """
    number = getattr(signal, "SIGBUS", None)
    if number is None:
        return

    def end(_: int) -> None:
        try:
            say(LOST, INPUT)
            remove_own_partial_files()
        finally:
            os._exit(INPUT)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(end)
    _kept.append(handler)
    system = ctypes.CDLL(None)
    system.signal.argtypes, system.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    system.signal(number, ctypes.cast(handler, ctypes.c_void_p))

"""Ctrl-C, SIGTERM and SIGHUP: the command answers within a second and leaves nothing half-written.

Strategy: each of the three raises KeyboardInterrupt in the main thread, so that everything unwinds as it does for
Ctrl-C. Not while a module is imported: torch's C++ aborts the process, with a page of its own, when an exception comes
out of what it calls there. An import has nothing to unwind: it is said, and the process ended at once. Python raises
only between two of its own instructions, and one call into torch or a kernel may last for many seconds. So the system
also writes the signal's number into a pipe at once, and a thread that waits there ends the process itself when
unwinding has not ended it after GRACE_SECONDS, or GRACE_WITH_WORKERS_SECONDS where worker processes are to be ended.
What is raised in a destructor or a callback Python prints and drops: there the signal is sent once more, for later.
Signals that the process was started to ignore (nohup, a shell's background job) stay ignored. Before `heed_signals` is
called, start.py answers them.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ..files.partial_files import remove_own_partial_files
from .signals import ending, heeded_signals

GRACE_SECONDS, GRACE_WITH_WORKERS_SECONDS = 0.6, 5.0
AGAIN_SECONDS = 0.01
IMPORTING = "<frozen importlib._bootstrap>", "_find_and_load"  # file and function of Python's import

_said = threading.Event()


class Interruption(KeyboardInterrupt):
    """One of SIGNALS arrived; `exit_code` is 128 and its number, as shells have it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.message, self.exit_code = ending(number), 128 + number


def heed_signals(say: Callable[[Interruption], int]) -> None:
    """Answer SIGNALS in this process from now on; called once, in the main thread.

    say : tells the user of an interruption that is not raised, and returns the exit code
    """

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        interruption = Interruption(number)
        if _is_importing(frame) and not _has_workers():
            leave_when_interrupted(say(interruption))
        raise interruption

    heeded = heeded_signals()
    for number in heeded:
        signal.signal(number, interrupt)
    sys.unraisablehook = _sending_again(sys.unraisablehook)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_late, args=(reader, set(heeded)), name="interruption", daemon=True).start()


def _sending_again(shown: Callable[[sys.UnraisableHookArgs], object]) -> Callable[[sys.UnraisableHookArgs], None]:
    """What is done with an exception that cannot be raised: an interruption comes again, others are `shown`."""

    def take(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interruption):
            shown(unraisable)
            return
        again = threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), unraisable.exc_value.number))
        again.daemon = True
        again.start()

    return take


def interruption_message(interruption: BaseException | None) -> tuple[str, int]:
    """What is said of it, and the exit code; anything but an Interruption counts as Ctrl-C. To be asked for once."""
    _said.set()
    if not isinstance(interruption, Interruption):
        interruption = Interruption(signal.SIGINT)
    return interruption.message, interruption.exit_code


def leave_when_interrupted(exit_code: int) -> None:
    """End the process here when an interruption was told and no worker process is left to end.

    Taking down an interpreter with torch in it takes a second of a core, and much longer on a busy machine.
    """
    if exit_code > 128 and _said.is_set() and not _has_workers():
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        remove_own_partial_files()
        os._exit(exit_code)


def _has_workers() -> bool:
    """Whether worker processes are there, or joblib has shared things to take down (else its tracker complains)."""
    tracker = sys.modules.get("joblib.externals.loky.backend.resource_tracker")
    return bool(multiprocessing.active_children()) or (
        tracker is not None and tracker._resource_tracker._pid is not None
    )


def _is_importing(frame: FrameType | None) -> bool:
    """Whether what a signal met is part of an import."""
    while frame is not None:
        if (frame.f_code.co_filename, frame.f_code.co_name) == IMPORTING:
            return True
        frame = frame.f_back
    return False


def _end_late(reader: int, heeded: set[signal.Signals]) -> None:
    """End the process when it has not ended by itself in time; the first signal counts."""
    while (number := os.read(reader, 1)[0]) not in heeded:
        pass
    time.sleep(GRACE_WITH_WORKERS_SECONDS if _has_workers() else GRACE_SECONDS)
    said = _said.is_set()
    message, exit_code = interruption_message(Interruption(number))
    remove_own_partial_files()
    if not said:
        with suppress(OSError):  # its terminal may be gone, and the process is to end all the same
            os.write(2, f"bytecap: error: {message}\n".encode())
    os._exit(exit_code)

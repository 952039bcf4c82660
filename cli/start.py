"""The first module of the command: signals are answered before the others, which take a while, are imported.

Strategy: next to nothing is imported here. Until `main.py` heeds signals in its own way there is no work to unwind, and
nothing that a signal could meet but imports: it is said, and the process ended at once.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

from .signals import ending, heeded_signals


def main() -> NoReturn:
    """The console command."""
    for number in heeded_signals():
        signal.signal(number, _leave)
    from .main import main

    main()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    try:
        os.write(2, f"bytecap: error: {ending(number)}\n".encode())
    finally:  # a terminal may be gone, or never have been there
        os._exit(128 + number)

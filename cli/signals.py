"""The signals that end a command, and the words for it. Imports next to nothing, for start.py."""

from __future__ import annotations

import signal

ENDINGS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal is gone"}
SIGNALS = {getattr(signal, name): word for name, word in ENDINGS.items() if hasattr(signal, name)}


def ending(number: int) -> str:
    """What is said of a signal that ended the command."""
    return f"{SIGNALS[signal.Signals(number)]}; nothing half-written is left"


def heeded_signals() -> list[signal.Signals]:
    """Those of SIGNALS that the process was not started to ignore."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

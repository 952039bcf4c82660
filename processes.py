"""Worker processes: they leave Ctrl-C to the process that waits for their results, and end when that process does.

Strategy: a thread of the worker looks once a second whether its parent is still the one that started it. Nothing else
tells a worker that its parent was killed: it would finish its job and wait for the next.
"""

from __future__ import annotations

import os
import signal
import threading
import time

LOOK_EVERY_SECONDS = 1.0


def prepare_worker(parent: int | None = None) -> None:
    """What a worker process calls first, in its main thread.

    parent : id of the process that started it, which may have been killed before the worker could ask for it
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it reaches a terminal's whole group; the parent answers it
    threading.Thread(
        target=_end_with_parent, args=(os.getppid() if parent is None else parent,), name="end with parent", daemon=True
    ).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_EVERY_SECONDS)
    os._exit(1)

"""Judging many folders, each in a process of its own that may crash, hang or run out of memory alone.

Strategy: a thread of joblib's (or a worker of a Dask cluster) keeps a judging process (`judge_server.py`)
and asks it for one folder after the other; that process forks for each. Judgements come back as JSON and
in the order of the folders, so that nothing depends on how many run at a time.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..progress import StageProgress
from .archive_kinds import is_archive
from .findings import Finding, Level
from .judgement import Judgement, JudgeOptions, judgement_document, judgement_from_document

SERVER = [sys.executable, "-P", "-m", "bytecap.submissions.judge_server"]
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


class JudgingProcess:
    """A judging process that waits for folders; `close` ends it and what it is judging."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            SERVER,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # an interrupt is answered by us alone
        )

    def ask(self, path: Path, options: JudgeOptions, unpack_to: str | None = None) -> dict[str, Any] | None:
        """The document of a folder, or of an archive that is unpacked there; None when the process is gone."""
        line = json.dumps({"path": str(path), "options": asdict(options), "unpack_to": unpack_to}) + "\n"
        if self.process.stdin is None or self.process.stdout is None:
            return None
        try:
            self.process.stdin.write(line.encode("ascii"))
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except (OSError, ValueError):
            return None
        return json.loads(answer) if answer.endswith(b"\n") else None

    def close(self) -> None:
        """End the process and the fork that it waits for."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class JudgingProcesses:
    """The idle judging processes of this process, started as they are needed and ended together."""

    def __init__(self) -> None:
        self.idle: queue.SimpleQueue[JudgingProcess] = queue.SimpleQueue()
        self.started: list[JudgingProcess] = []

    def judge(self, path: Path, options: JudgeOptions) -> dict[str, Any]:
        """The document of a folder, from an idle process or a new one; of an archive, which is unpacked for as long."""
        process = self._take()
        if is_archive(path):
            with tempfile.TemporaryDirectory(prefix="bytecap-verify-") as folder:
                document = process.ask(path, options, folder)
        else:
            document = process.ask(path, options)
        if document is None:
            process.close()
            text = "the judging process ended while it was asked; please report this"
            finding = Finding("judge-crash", Level.SKIPPED, text)
            return judgement_document(Judgement(path, options, (finding,), complete=False))
        self.idle.put(process)
        return document

    def _take(self) -> JudgingProcess:
        try:
            return self.idle.get_nowait()
        except queue.Empty:
            process = JudgingProcess()
            self.started.append(process)
            return process

    def close(self) -> None:
        """End all of them."""
        while self.started:
            self.started.pop().close()
        while not self.idle.empty():
            self.idle.get_nowait()


WORKER_PROCESSES = JudgingProcesses()  # of a worker of a cluster, which is asked again and again
atexit.register(WORKER_PROCESSES.close)


def judge_on_worker(path: Path, options: JudgeOptions) -> dict[str, Any]:
    """The document of a folder, as a worker of a cluster makes it; it must see the same files."""
    return WORKER_PROCESSES.judge(path, options)


def judge_folders(
    paths: Sequence[Path],
    options: JudgeOptions,
    *,
    threads: int = 1,
    cluster: bool = False,
    progress: StageProgress | None = None,
) -> Iterator[Judgement]:
    """The judgement of each folder in their order, so many at a time.

    cluster : bool   whether joblib is set to a cluster, on whose workers the judging processes then are
    """
    processes = JudgingProcesses()
    try:
        documents = _documents(paths, options, threads, None if cluster else processes)
        for done, (path, document) in enumerate(zip(paths, documents, strict=True), 1):
            if progress is not None:
                progress(done, len(paths))
            yield judgement_from_document(document, path, options)
    finally:
        processes.close()


def _documents(
    paths: Sequence[Path], options: JudgeOptions, threads: int, processes: JudgingProcesses | None
) -> Iterator[dict[str, Any]]:
    if processes is not None and (threads == 1 or len(paths) == 1):
        yield from (processes.judge(path, options) for path in paths)
        return
    from joblib import Parallel, delayed

    judge = judge_on_worker if processes is None else processes.judge
    chosen = {} if processes is None else {"backend": "threading"}
    run = Parallel(n_jobs=threads, return_as="generator", batch_size=1, **chosen)
    yield from run(delayed(judge)(path, options) for path in paths)

"""The process that judges: `python -P -m bytecap.submissions.judge_server` answers lines of JSON with lines of JSON.

Strategy: a fresh interpreter loads what judging needs once, and forks itself for each folder. The fork
has hard limits of time and memory, cannot write a byte to a file, and hands its answer up a pipe; whatever becomes
of it, the server lives and says what happened. `-P`: Python puts no folder of a stranger on its path.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import DataError
from .archives import unpack_submission
from .findings import Finding, Level
from .judge import crash_finding, judge_folder
from .judgement import Judgement, JudgeOptions, judgement_document, plain_facts

IDLE_FACTOR = 20  # so much longer on the clock than on the core: a busy machine must not change a verdict
SECONDS_A_BYTE = 2e-6  # of an artifact
MOST_ARTIFACT_SECONDS = 60.0
UNPACKING_SECONDS, UNPACKING_BYTES = 30.0, 1 << 30  # of a core, and of memory
WAY_OUT = "unpack it and give the folder"
PICKED = "--inside"
MEMORY_EXIT = 77  # of the fork, when not even the answer fits


def serve() -> None:
    """Judge one folder a line of stdin until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides when this ends
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    for line in sys.stdin:
        job = json.loads(line)
        options = JudgeOptions(**job["options"])
        path, unpack_to = Path(job["path"]), job.get("unpack_to")
        document = judged_apart(path, options) if unpack_to is None else judged_archive(path, options, Path(unpack_to))
        answers.write(json.dumps(document) + "\n")
        answers.flush()


def judged_apart(path: Path, options: JudgeOptions) -> dict[str, Any]:
    """The document of a folder that was judged in a fork of this process."""
    started = time.monotonic()
    waited = IDLE_FACTOR * _cpu_seconds(path, options) if options.seconds else None
    answer, in_time, exit_code, usage = _from_fork(lambda writer: _judge_and_exit(path, options, writer), waited)
    seconds = time.monotonic() - started
    document = _document(answer, in_time, exit_code, path, options)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu_seconds = round(usage.ru_utime + usage.ru_stime, 4)
    return {**document, "seconds": round(seconds, 4), "cpu_seconds": cpu_seconds, "peak_bytes": peak}


def judged_archive(path: Path, options: JudgeOptions, folder: Path) -> dict[str, Any]:
    """The document of the submission in an archive, which a fork of this process unpacks into the empty `folder`."""
    waited = IDLE_FACTOR * UNPACKING_SECONDS
    answer, in_time, exit_code, _ = _from_fork(
        lambda writer: _unpack_and_exit(path, folder, options.inside, writer), waited
    )
    if not in_time or exit_code == -signal.SIGPROF:
        refusal = f"it does not unpack in {UNPACKING_SECONDS:g} seconds of a core"
    elif exit_code == MEMORY_EXIT:
        refusal = f"unpacking it takes more than {UNPACKING_BYTES >> 20:,} MiB of memory"
    elif exit_code != 0:
        refusal = f"unpacking it ended with exit code {exit_code}"
    else:
        found = json.loads(answer)
        if "refusal" not in found:
            return {**judged_apart(folder / found["entered"], options), "folder": str(path), "opened": found}
        refusal = found["refusal"]
    way_out = f", or {WAY_OUT}" if f"with {PICKED}" in refusal else f"; {WAY_OUT}"
    text = f"the archive was not opened: {refusal}{way_out}"
    return json.loads(_nothing_judged(Finding("archive-unopened", Level.SKIPPED, text), path, options))


def _unpack_and_exit(path: Path, folder: Path, inside: str, writer: int) -> None:
    """In the fork: never returns."""
    code, answer = 1, b""
    try:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, UNPACKING_SECONDS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _limit_memory(UNPACKING_BYTES)
        answer = json.dumps(plain_facts(asdict(unpack_submission(path, folder, inside)))).encode("ascii")
        code = 0
    except DataError as error:
        answer, code = json.dumps({"refusal": str(error)}).encode("ascii"), 0
    except MemoryError:
        code = MEMORY_EXIT
    except BaseException as error:
        answer, code = json.dumps({"refusal": f"{type(error).__name__}: {error}"}).encode("ascii"), 0
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(answer)
    finally:
        os._exit(code)


def _from_fork(work: Callable[[int], None], seconds: float | None) -> tuple[bytes, bool, int, resource.struct_rusage]:
    """What a fork that does `work` writes to its pipe, whether in that time on the clock, its exit code and costs."""
    deadline = None if seconds is None else time.monotonic() + seconds
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        work(writer)
    os.close(writer)
    answer, in_time = _read_until(reader, deadline)
    os.close(reader)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return answer, in_time, os.waitstatus_to_exitcode(status), usage


def _cpu_seconds(path: Path, options: JudgeOptions) -> float:
    """What judging may take, with an allowance for decoding the artifacts at the top of the folder."""
    try:
        with os.scandir(path) as entries:
            files = [each for each in entries if each.name.endswith(".bcap") and each.is_file(follow_symlinks=False)]
            size = sum(each.stat(follow_symlinks=False).st_size for each in files)
    except OSError:
        size = 0
    return options.seconds + min(size * SECONDS_A_BYTE, MOST_ARTIFACT_SECONDS)


def _document(answer: bytes, in_time: bool, exit_code: int, path: Path, options: JudgeOptions) -> dict[str, Any]:
    """What the fork said; a judgement that there is none where it said nothing whole."""
    if in_time and exit_code == 0:
        return json.loads(answer)
    if not in_time:
        waited = IDLE_FACTOR * _cpu_seconds(path, options)
        text = f"judging did not end in {waited:g} seconds on the clock and was given up; judge it again when less runs"
        finding = Finding("judge-time", Level.SKIPPED, text, "", {"seconds_on_the_clock": waited})
    elif exit_code == -signal.SIGPROF:
        text = f"judging took more than {options.seconds:g} seconds of a core and was given up"
        finding = Finding("judge-time", Level.SKIPPED, text, "", {"seconds": options.seconds})
    elif exit_code == MEMORY_EXIT:
        finding = crash_finding(MemoryError(), "nothing was judged")
    else:
        ending = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        text = f"judging ended with {ending}; please report this"
        finding = Finding("judge-crash", Level.SKIPPED, text, "", {"exit_code": exit_code})
    return json.loads(_nothing_judged(finding, path, options))


def _nothing_judged(finding: Finding, path: Path, options: JudgeOptions) -> bytes:
    return json.dumps(judgement_document(Judgement(path, options, (finding,), complete=False))).encode("ascii")


def _judge_and_exit(path: Path, options: JudgeOptions, writer: int) -> None:
    """In the fork: never returns."""
    code = 1
    try:
        _limit(path, options)
        gc.disable()  # for one folder: syntax trees hold no circles, and searching them for some takes a third of it
        answer = json.dumps(judgement_document(judge_folder(path, options))).encode("ascii")
        code = 0
    except DataError as error:
        answer, code = _nothing_judged(Finding("folder-unlisted", Level.WARNING, str(error)), path, options), 0
    except MemoryError:
        answer, code = b"", MEMORY_EXIT
    except BaseException as error:  # the document itself could not be made
        answer, code = _nothing_judged(crash_finding(error, "nothing was judged"), path, options), 0
    try:
        with os.fdopen(writer, "wb") as file:
            file.write(answer)
    finally:
        os._exit(code)


def _limit(path: Path, options: JudgeOptions) -> None:
    """Bounds of time on a core and of memory beyond what the server has; no file is written, no core dumped."""
    if options.seconds:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process
        signal.setitimer(signal.ITIMER_PROF, _cpu_seconds(path, options))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not options.data:  # what scores may keep compiled kernels
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if options.memory_bytes:
        _limit_memory(options.memory_bytes)


def _limit_memory(more: int) -> None:
    """Bound this process to so many bytes beyond what it has."""
    if os.path.exists("/proc/self/statm"):
        with open("/proc/self/statm", encoding="ascii") as file:
            pages = int(file.read().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _read_until(reader: int, deadline: float | None) -> tuple[bytes, bool]:
    """All that comes up the pipe, and whether it ended before the deadline."""
    parts: list[bytes] = []
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and (left <= 0 or not select.select([reader], [], [], left)[0]):
            return b"".join(parts), False
        part = os.read(reader, 1 << 20)
        if not part:
            return b"".join(parts), True
        parts.append(part)


if __name__ == "__main__":
    serve()

"""What holds for any input, as checks: errors are of ours and say one visible line, commands end as documented, nothing
appears on disk, and how much time and memory something took.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from command_line import bytecap_command
from source_tree import ROOT

from bytecap.cli.exit_codes import EXIT_CODES, UNEXPECTED, USAGE
from bytecap.cli.failures import error_text
from bytecap.errors import ArtifactError, BytecapError

MESSAGE_CHARACTERS = 4000
HANG_SECONDS = 300.0  # on the clock, for what waits and takes no time of a processor
RULE = re.compile(r"R-[A-Z]+-\d+")
NEVER_SAID = ("Traceback", "Warning: ")  # the latter is Python's way to print one, not ours
SPACES = "\n\u3000\xa0\u2007\u202f"  # seen as the gaps that they are
Seen = dict[str, tuple[int, int]]


class Broken(Exception):
    """An invariant does not hold; `kind` is the same for all inputs that break it in the same way."""

    def __init__(self, what: str, kind: str = "") -> None:
        super().__init__(what)
        self.kind = kind or re.sub(r"\d+", "N", what)[:160]


def refusal_of(error: BytecapError) -> str:
    """The class or rule of a refusal and its message; Broken when it is not one visible line that says something."""
    message = error_text(error)
    if not str(error).strip() or len(message) > MESSAGE_CHARACTERS:
        kind = f"a message that is empty or too long, at {_place_of(error)}"
        raise Broken(f"{len(message):,} characters: {message[:200]!r}", kind)
    check_visible(message, "a message")
    if isinstance(error, ArtifactError):
        if not RULE.fullmatch(error.rule) or type(error) is ArtifactError or not error.message:
            raise Broken(f"an incomplete error: {error!r}")
        return f"{error.rule}: {error.message}"
    return f"{type(error).__name__}: {message}"


def check_visible(text: str, where: str) -> None:
    """Broken for characters that a terminal does not show, or that move something on it."""
    hidden = {character for character in text if not character.isprintable() and character not in SPACES}
    if hidden:
        raise Broken(f"unseen characters in {where}: {hidden} in {text[:300]!r}", f"unseen characters in {where}")


def stray_error(error: BaseException) -> Broken:
    """What is said of an error that is none of ours."""
    lines = traceback.format_exception(error)
    told = f"{type(error).__name__}: {str(error)[:300]}\n{''.join(lines)[-2500:]}"
    return Broken(told, f"{type(error).__name__} at {_place_of(error)}")


def _place_of(error: BaseException) -> str:
    """The deepest line of the package itself that an error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [(Path(frame.filename), frame.lineno) for frame in frames if _is_ours(Path(frame.filename))]
    return f"{ours[-1][0].relative_to(ROOT)}:{ours[-1][1]}" if ours else "no line of ours"


def _is_ours(path: Path) -> bool:
    return path.is_relative_to(ROOT) and not path.relative_to(ROOT).parts[0].startswith((".", "tests"))


def run_command(arguments: Sequence[object]) -> int:
    """The exit code of a command run in this process; Broken for one that is not documented, for what is not seen in
    its output, and for a document that is cut.
    """
    line = " ".join(map(str, arguments))
    try:
        outcome = bytecap_command(*arguments)
        if "--json" in arguments and outcome.code != USAGE:
            json.loads(outcome.stdout)
    except Exception as error:
        broken = stray_error(error)
        raise Broken(f"{line}: {broken}", f"{arguments[0]}: {broken.kind}") from error
    documented = outcome.code in EXIT_CODES and outcome.code != UNEXPECTED
    if not documented or any(word in outcome.stderr for word in NEVER_SAID):
        raise Broken(f"{line} ended with {outcome.code}: {outcome.stderr[-500:]}", f"{arguments[0]}: {outcome.code}")
    for text in (outcome.stdout, outcome.stderr):
        check_visible(text, f"what {arguments[0]} prints")
    return outcome.code


def seen(folder: Path) -> Seen:
    """Size and time of every file in a folder, and the folders in it."""
    found = {}
    for top, folders, files in os.walk(folder):
        found |= {os.path.join(top, name): (0, 0) for name in folders}
        for name in files:
            status = os.lstat(os.path.join(top, name))
            found[os.path.join(top, name)] = (status.st_size, status.st_mtime_ns)
    return found


def told_difference(before: Seen, after: Seen) -> str:
    """What is in one of two states alone, or changed."""
    return ", ".join(sorted(name for name in before | after if before.get(name) != after.get(name)))


@contextlib.contextmanager
def hang_guard() -> Iterator[None]:
    """Broken, raised in the main thread, when what is inside does not end."""

    def stop(*_: object) -> None:
        raise Broken(f"does not end in {HANG_SECONDS:.0f} s", "does not end")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reset_peak() -> int:
    """Forget the peak of this process's memory; the bytes that it has now. Linux only: elsewhere both are 0."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> int:
    """The most bytes of memory that this process has had since `reset_peak`."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:
        return int(re.search(rb"VmHWM:\s+(\d+)", file.read())[1]) * 1024
    return 0

"""What the command's exit status means: one table that the help prints, and the code of every class of errors."""

from __future__ import annotations

from ..errors import (
    ArtifactError,
    BudgetError,
    BytecapError,
    CheckpointError,
    CompileError,
    DataError,
    FileAccessError,
    LimitExceeded,
    MissingFileError,
    NotAnArtifact,
    OutputError,
    UnsupportedArtifact,
    VerificationError,
    WrongTypeError,
)

DONE = 0
UNEXPECTED = 1
USAGE = 2
UNREADABLE = 3
DAMAGED = 4
OVER_LIMIT = 5
NOT_COMPILED = 6
VERIFICATION = 7
INPUT = 8
OUTPUT = 9
HUNG_UP, INTERRUPTED, READER_GONE, TERMINATED = 129, 130, 141, 143  # 128 and the number of the signal

EXIT_CODES = {
    DONE: "done",
    UNEXPECTED: "unexpected failure",
    USAGE: "wrong usage",
    UNREADABLE: "not an artifact, or one of a kind this version does not read",
    DAMAGED: "truncated, malformed, invalid or damaged artifact",
    OVER_LIMIT: "artifact beyond the reader's limits, or work beyond the memory or time it may take",
    NOT_COMPILED: "the cap cannot be met, or a recipe cannot be followed",
    VERIFICATION: "a verification check failed",
    INPUT: "checkpoint, architecture, data or tokenizer at fault",
    OUTPUT: "output exists or cannot be written",
    HUNG_UP: "the terminal is gone; nothing half-written is left",
    INTERRUPTED: "interrupted; nothing half-written is left",
    READER_GONE: "standard output was closed (by head) before all was printed",
    TERMINATED: "terminated; nothing half-written is left",
}

CODE_OF_ERROR: dict[type[BytecapError], int] = {
    BytecapError: UNEXPECTED,
    ArtifactError: DAMAGED,
    NotAnArtifact: UNREADABLE,
    UnsupportedArtifact: UNREADABLE,
    LimitExceeded: OVER_LIMIT,
    BudgetError: OVER_LIMIT,
    CompileError: NOT_COMPILED,
    VerificationError: VERIFICATION,
    CheckpointError: INPUT,
    DataError: INPUT,
    OutputError: OUTPUT,
    FileAccessError: OUTPUT,
    MissingFileError: INPUT,
    WrongTypeError: USAGE,
}


class CommandError(BytecapError):
    """An error of the command line's own, which brings its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.exit_code = exit_code
        super().__init__(message)


def exit_code_of(error: BytecapError) -> int:
    """The code of the error's class, or of the nearest class above it that has one."""
    if isinstance(error, CommandError):
        return error.exit_code
    return next(CODE_OF_ERROR[cls] for cls in type(error).__mro__ if cls in CODE_OF_ERROR)


def exit_code_lines() -> list[str]:
    """The table as aligned lines of text."""
    return [f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items()]

"""What the command's exit status means: one table that the help prints and the tests compare with the errors' classes."""

from __future__ import annotations

UNEXPECTED = 1
USAGE = 2
VERIFICATION = 7
OUTPUT = 9
INTERRUPTED = 130

EXIT_CODES = {
    0: "done",
    UNEXPECTED: "unexpected failure",
    USAGE: "wrong usage",
    3: "not an artifact, or one of a kind this version does not read",
    4: "truncated, malformed, invalid or damaged artifact",
    5: "artifact that needs more than the reader's limits",
    6: "the cap cannot be met, or a recipe cannot be followed",
    VERIFICATION: "a verification check failed",
    8: "checkpoint, architecture, data or tokenizer at fault",
    OUTPUT: "output exists or cannot be written",
    INTERRUPTED: "interrupted; nothing half-written is left",
}


def exit_code_lines() -> list[str]:
    """The table as aligned lines of text."""
    return [f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items()]

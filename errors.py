"""Every error bytecap raises on purpose.

Strategy: two sides. `ArtifactError` means the bytes are at fault and is the only thing a reader may
raise for bad input, whatever the bytes; it carries the offset, the place and the rule of `spec/`
that was broken. The others mean a checkpoint, a data file, an output path or a budget is at fault.
An error says what is wrong; where an argument of the public functions would put it right, it names
that argument, and the command line says which option that is.
"""

from __future__ import annotations

import errno
import os


class BytecapError(Exception):
    """Base of all deliberate errors.

    message : str             what was found and what was expected
    argument : str or None    the argument of the public functions that would change the outcome, e.g. "force"
    """

    def __init__(self, message: str, *, argument: str | None = None) -> None:
        self.argument = argument
        super().__init__(message)


class ArtifactError(BytecapError):
    """The artifact's bytes are at fault.

    Parameters
    ----------
    message : str          what was found and what was expected
    rule : str             id of the broken rule in spec/, e.g. "R-HDR-3"
    offset : int | None    byte offset in the file (or in the decoded section, when `where` says so)
    where : str            place in words, e.g. "directory / tensor 'tok_emb.weight'"

    `file` is the path of the artifact, set by whoever reads more than one.
    """

    kind = "artifact error"

    def __init__(self, message: str, *, rule: str, offset: int | None = None, where: str = "") -> None:
        self.message, self.rule, self.offset, self.where = message, rule, offset, where
        self.file: str | None = None
        place = "" if offset is None else f"0x{offset:04x}: "
        context = f"{where}: " if where else ""
        super().__init__(f"{place}{self.kind}: {context}{message} [{rule}]")


class NotAnArtifact(ArtifactError):
    """The magic does not match: this was never an artifact."""

    kind = "not an artifact"


class UnsupportedArtifact(ArtifactError):
    """A good file of a newer version, or with a critical section, operation or codec this reader lacks."""

    kind = "unsupported"


class TruncatedArtifact(ArtifactError):
    """The bytes end early."""

    kind = "truncated"


class MalformedArtifact(ArtifactError):
    """The structure cannot be decoded: non-minimal number, wrong order, non-zero padding, trailing bytes."""

    kind = "malformed"


class ChecksumMismatch(ArtifactError):
    """A stored and a computed digest differ."""

    kind = "checksum mismatch"


class InvalidArtifact(ArtifactError):
    """The structure decodes but breaks a rule: unknown register, wrong shape, missing tensor."""

    kind = "invalid"


class LimitExceeded(ArtifactError):
    """The artifact needs more than the caller allows; not corrupt, the caller may raise the limit."""

    kind = "over limit"


class CheckpointError(BytecapError):
    """The input checkpoint or its architecture file is at fault."""


class DataError(BytecapError):
    """A token shard, a text or a tokenizer is at fault."""


class OutputError(BytecapError):
    """An output path exists already or cannot be written."""


class CompileError(BytecapError):
    """A recipe or a stage of the compiler cannot do what was asked."""


class BudgetError(BytecapError):
    """Work takes more time or memory than it may; `argument` says which of the two can be given."""


class CapError(CompileError):
    """The cap cannot be met; the message gives the smallest possible size."""


class VerificationError(BytecapError):
    """An artifact is well-formed but does not keep what was promised of it."""


class FileAccessError(BytecapError, OSError):
    """A file that was named cannot be opened or read: an OSError, too, with its errno and filename."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"{error.filename or 'a file'}: {error.strerror or error}")
        self.errno, self.strerror, self.filename = error.errno, error.strerror, error.filename

    def __str__(self) -> str:
        return str(self.args[0])


class MissingFileError(FileAccessError, FileNotFoundError):
    """A file that was named is not there."""

    @classmethod
    def saying(cls, text: str, path: str) -> MissingFileError:
        """The error of a missing file, in words of who looked for it."""
        found = cls(FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path))
        found.args = (text,)
        return found


class WrongTypeError(BytecapError, TypeError):
    """An argument of a public function is not of a type that it takes: a TypeError, too."""


class BytecapWarning(UserWarning):
    """What does not stop the work, but has to be said; the command line prints it in one line."""

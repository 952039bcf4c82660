"""What reads an artifact: inspecting and verifying it. None of this needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..progress import Progress, stage_of
from .arguments import PathLike, size_in_bytes

if TYPE_CHECKING:
    from ..format.byte_account import Inspection
    from ..runtime.check import Check


def inspect(artifact: PathLike) -> Inspection:
    """What an artifact holds and what each part costs; the byte counts add up to the file.

    Raises ArtifactError when it cannot be read.
    """
    from ..format.inspection import inspect_artifact

    return inspect_artifact(Path(artifact).read_bytes())


def verify(
    artifact: PathLike,
    *,
    cap: int | str | None = None,
    code: Sequence[PathLike] = (),
    data: PathLike | None = None,
    tokenizer: PathLike | None = None,
    expect_bpb: float | None = None,
    tolerance: float = 0.0005,
    split: str | None = None,
    splits: Sequence[PathLike] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Check]:
    """Check an artifact without trusting whoever made it; one record a level, in this order.

    Always: structure, checksums, the decoding of every tensor, their digest, and the size of
    artifact and code files together, against `cap` when given. With `data` and `tokenizer`: the
    score, which must be within `tolerance` of `expect_bpb` when given and on the whole of the known
    split `split`, or the one that the files are named like (`splits`: more tables of them). Each is passed, failed, or
    skipped where an earlier failure leaves nothing to judge; a file that is damaged, of a newer
    version or no artifact at all is a failed check and no exception.

    Raises DataError when data or code are at fault, or only one of data and tokenizer is given;
    CapError for a text that is no size; OSError when the artifact cannot be read.
    """
    from ..runtime.verification import ScoreRequest, verify_artifact

    if (data is None) != (tokenizer is None) or (expect_bpb is not None and data is None):
        raise DataError(
            "a score needs both data and their tokenizer; give both, or neither and no expected bits per byte"
        )
    request = None
    if data is not None and tokenizer is not None:
        request = ScoreRequest(
            Path(data),
            Path(tokenizer),
            expect_bpb,
            tolerance,
            split=split,
            splits=[Path(path) for path in splits],
            threads=threads,
            progress=stage_of(progress, "score"),
        )
    return verify_artifact(
        Path(artifact).read_bytes(),
        cap=None if cap is None else size_in_bytes(cap),
        code_files=[Path(path) for path in code],
        score=request,
    )

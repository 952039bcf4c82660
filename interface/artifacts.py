"""What reads an artifact: its parts, inspecting and verifying it. None of this needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..progress import stage_of
from .arguments import PathLike, budget_of, optional_path, paths_of, size_in_bytes
from .file_errors import deliberate
from .progress_bars import ProgressOption, heard

if TYPE_CHECKING:
    import numpy as np

    from ..format.artifact import Artifact
    from ..format.byte_account import Inspection
    from ..runtime.check import Checks


@deliberate
def inspect(artifact: PathLike) -> Inspection:
    """What an artifact holds and what each part costs; the byte counts add up to the file.

    Raises ArtifactError when it cannot be read.
    """
    from ..files.artifact_file import read_artifact_file
    from ..format.inspection import inspect_artifact

    return inspect_artifact(read_artifact_file(artifact))


@deliberate
def read_artifact(data: bytes) -> Artifact:
    """The parts of an artifact, whose bytes are given, in whatever holds bytes; nothing in it is executed.

    Raises ArtifactError (with offset, place and rule) when it cannot be read.
    """
    from ..format.artifact import read_artifact as read

    with memoryview(data) as view:
        plain = view.contiguous and view.itemsize == 1 and view.ndim == 1
        return read(data if plain else view.tobytes())


@deliberate
def write_artifact(artifact: Artifact) -> bytes:
    """The bytes of an artifact that was read, bit-exact."""
    from ..format.artifact import write_artifact as write

    return write(artifact)


@deliberate
def decode_tensors(artifact: Artifact) -> dict[str, np.ndarray]:
    """The float32 arrays of an artifact that was read, bit-exact on every platform, by the names that its program has
    for them. Where that computes with parts of a checkpoint's tensor these are apart; `export` joins them again.

    Raises ArtifactError when a stream breaks a rule, or the arrays are not the ones that the writer had.
    """
    return artifact.tensors


@deliberate
def verify(
    artifact: PathLike,
    *,
    cap: int | str | None = None,
    code: Sequence[PathLike] = (),
    data: PathLike | Sequence[PathLike] | None = None,
    tokenizer: PathLike | None = None,
    other_tokenizer: bool = False,
    expect_bpb: float | None = None,
    tolerance: float = 0.0005,
    split: str | None = None,
    splits: Sequence[PathLike] = (),
    seconds: float | None = None,
    memory: int | str | None = None,
    threads: int | None = None,
    progress: ProgressOption = None,
) -> Checks:
    """Check an artifact without trusting whoever made it; one record a level, in this order.

    structure, checksums   what the file's bytes say
    ledger     the size of artifact and `code` files together, against `cap` when given
    decode     every tensor decodes, and their digest is the stored one
    identity   `tokenizer` is the one that the artifact was made with; `other_tokenizer` admits another
    score      with `data` (a path, a pattern, "-" or several of these) and `tokenizer`: bits per byte, within
               `tolerance` of `expect_bpb` when given, on the whole of the known split `split`, or of the one that the
               files are named like (`splits`: more tables of them); fails beyond `seconds` of a core or `memory`

    Each is passed, failed, or skipped where nothing was asked or an earlier failure leaves nothing to judge; a file
    that is damaged, of a newer version or no artifact at all is a failed check and no exception.

    Raises DataError when data, tokenizer or code are at fault, or data are given without a tokenizer;
    CapError for a text that is no size; OSError when the artifact cannot be read.
    """
    from ..files.artifact_file import artifact_file_size, read_artifact_file
    from ..runtime.check import Checks
    from ..runtime.verification import ScoreRequest, verify_artifact

    paths = paths_of(data)
    if (paths and tokenizer is None) or (expect_bpb is not None and not paths):
        raise DataError("a score needs both data and their tokenizer; give both, or no expected bits per byte")
    with heard(progress) as listener:
        tables, stage, budget = [Path(path) for path in splits], stage_of(listener, "score"), budget_of(seconds, memory)
        conventions: dict[str, Any] = {
            "split": split,
            "splits": tables,
            "threads": threads,
            **{"progress": stage, "reading": listener},
            "budget": budget,
        }
        request = ScoreRequest(paths, expect_bpb, tolerance, **conventions) if paths else None
        found = verify_artifact(
            read_artifact_file(artifact),
            cap=None if cap is None else size_in_bytes(cap),
            code_files=[Path(path) for path in code],
            tokenizer=optional_path(tokenizer),
            other_tokenizer=other_tokenizer,
            score=request,
            file_bytes=artifact_file_size(artifact),
        )
    return Checks(found)

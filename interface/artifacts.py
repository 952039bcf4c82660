"""What reads an artifact: evaluating, inspecting, verifying and exporting it. None of these needs torch for one.

Torch is loaded for a checkpoint that is a pickle (.pt, .int8.ptz), to read it or to write it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError
from ..progress import Progress, stage_of
from .arguments import PathLike, optional_path, size_in_bytes

if TYPE_CHECKING:
    import numpy as np

    from ..format.inspection import Inspection
    from ..format.program.program import Program
    from ..runtime.scoring import Gap, Score
    from ..runtime.verification import Check


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores of a model and, when asked for, of a reference on the same tokens.

    kind : "artifact" or "checkpoint"
    score, reference : Score      see bytecap.runtime.scoring.Score: bits_per_byte, tokens, bytes, seconds, ...
    gap : Gap or None             score minus reference in mBPB, with the standard error over sequences
    same_program : bool or None   whether both compute the same function of their tensors
    assumed : mapping             hyperparameters of a checkpoint that nothing told, with the values that were taken
    told : mapping of str         who told the others: "shapes", "architecture" (the caller), or the file, in words
    """

    kind: str
    score: Score
    reference: Score | None
    gap: Gap | None
    same_program: bool | None
    assumed: Mapping[str, object] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)


def evaluate(
    model: PathLike,
    *,
    data: PathLike,
    tokenizer: PathLike,
    sequence_length: int | None = None,
    max_tokens: int | None = None,
    against: PathLike | None = None,
    architecture: PathLike | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Bits per byte of an artifact or a checkpoint on a token shard or UTF-8 text.

    `against` is scored on the same tokens, in sequences of the same length, and the paired gap
    computed. `architecture` (TOML or JSON) says of a checkpoint what its shapes cannot; without it
    the frontend's defaults hold, and `same_program` of the result tells whether that made both
    models compute the same function of their tensors.

    Raises ArtifactError, CheckpointError, DataError or VerificationError.
    """
    from ..runtime.evaluation import evaluate_program
    from ..runtime.scoring import paired_gap

    known = _read_architecture(optional_path(architecture))
    loaded = _load_model(Path(model), known)
    kind, program, tensors = loaded.kind, loaded.program, loaded.tensors
    length = sequence_length or program.sequence_length

    def scored(program: Program, tensors: Sequence[np.ndarray], name: str) -> Score:
        return evaluate_program(
            program,
            tensors,
            Path(data),
            Path(tokenizer),
            sequence_length=length,
            max_tokens=max_tokens,
            threads=threads,
            progress=stage_of(progress, f"score {name}"),
        )

    result = scored(program, tensors, kind)
    if against is None:
        return Evaluation(kind, result, None, None, None, loaded.assumed, loaded.told)
    other = _load_model(Path(against), known)
    reference = scored(other.program, other.tensors, "reference")
    same_program = program.instructions == other.program.instructions
    told = loaded.told or other.told
    assumed = {**other.assumed, **loaded.assumed}
    return Evaluation(kind, result, reference, paired_gap(reference, result), same_program, assumed, told)


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
    threads: int | None = None,
    progress: Progress | None = None,
) -> list[Check]:
    """Check an artifact without trusting whoever made it; one record a level, in this order.

    Always: structure, checksums, the decoding of every tensor, their digest, and the size of
    artifact and code files together, against `cap` when given. With `data` and `tokenizer`: the
    score, which must be within `tolerance` of `expect_bpb` when given. Each is passed, failed, or
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
            Path(data), Path(tokenizer), expect_bpb, tolerance, threads=threads, progress=stage_of(progress, "score")
        )
    return verify_artifact(
        Path(artifact).read_bytes(),
        cap=None if cap is None else size_in_bytes(cap),
        code_files=[Path(path) for path in code],
        score=request,
    )


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model from a file: kind, program, float32 tensors, and of a checkpoint what `Evaluation` says of it."""

    kind: str
    program: Program
    tensors: Sequence[np.ndarray]
    assumed: Mapping[str, object] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)


def _load_model(path: Path, architecture: Mapping[str, object] | None) -> _Loaded:
    """An artifact, which its first bytes tell, or else a checkpoint."""
    if path.is_file() and _is_artifact(path):
        from ..format.artifact import decode_tensors, read_artifact

        artifact = read_artifact(path.read_bytes())
        return _Loaded("artifact", artifact.program, decode_tensors(artifact))
    from ..compiler.checkpoints.checkpoint import read_checkpoint
    from ..compiler.frontends import build_model

    model = build_model(read_checkpoint(path), architecture)
    return _Loaded("checkpoint", model.program, [t.values for t in model.tensors], model.assumed, model.told)


def _is_artifact(path: Path) -> bool:
    from ..format.container.layout import MAGIC

    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _read_architecture(path: Path | None) -> Mapping[str, object] | None:
    if path is None:
        return None
    from ..compiler.frontends import read_architecture

    return read_architecture(path)

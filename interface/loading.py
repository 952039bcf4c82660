"""Models from files: an artifact, which its first bytes tell, or a checkpoint; and the tokenizer that belongs to one.

Torch is loaded only for a checkpoint that is a pickle (.pt, .int8.ptz).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..format.identity import UNKNOWN, Identity
from .arguments import PathLike

if TYPE_CHECKING:
    import numpy as np

    from ..compiler.checkpoints.selection import Selection
    from ..compiler.model.model import Reading
    from ..format.program.program import Program
    from ..runtime.scoring_budget import ScoringBudget
    from ..runtime.tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model that was read.

    kind : "artifact" or "checkpoint"
    program, tensors : what it computes, and the float32 arrays of its directory
    names : sequence of str       of the tensors
    reading : Reading or None     what was assumed, told, chosen and left out of a checkpoint
    configured : bool             a configuration of Hugging Face or a GGUF says which model's code a checkpoint is of
    identity : Identity           what an artifact says of its tokenizer and its architecture document; of a checkpoint
                                  the document alone
    """

    kind: str
    program: Program
    tensors: Sequence[np.ndarray]
    names: Sequence[str]
    reading: Reading | None = None
    identity: Identity = UNKNOWN
    configured: bool = False

    def doubts(self, tokens: np.ndarray) -> tuple[str, ...]:
        """What text says against how a checkpoint was read that no configuration of a known code came with."""
        if self.kind != "checkpoint" or self.configured:
            return ()
        from ..compiler.readings.doubts import doubts_of
        from ..compiler.readings.sample import BEGINNING, in_sequences

        return doubts_of(self.program, self.tensors, in_sequences(tokens[:BEGINNING], self.program.sequence_length))


@dataclass(frozen=True, slots=True)
class TextAtHand:
    """Data files, and the tokenizer of a text, that may tell of a checkpoint what its tensors do not."""

    data: Sequence[str]
    tokenizer: Tokenizer | None

    def sequences(self, program: Program) -> np.ndarray:
        """Of its beginning, int64 [n, length]. Raises DataError."""
        from ..compiler.readings.sample import beginning_of_text

        return beginning_of_text(program, self.data, self.tokenizer)


def load_model_file(
    path: Path,
    architecture: Mapping[str, object] | None,
    selection: Selection,
    budget: ScoringBudget | None = None,
    text: TextAtHand | None = None,
) -> ModelFile:
    """The model of a file or folder; `text` may tell what a checkpoint does not.

    ArtifactError or CheckpointError when it is none, BudgetError for an artifact whose weights are beyond the memory.
    """
    if path.is_file() and is_artifact(path):
        from ..files.artifact_file import read_artifact_file
        from ..format.artifact import decode_tensors, read_artifact
        from ..runtime.scoring_budget import NO_BUDGET, check_program_memory

        artifact = read_artifact(read_artifact_file(path))
        check_program_memory(artifact.program, artifact.directory, budget or NO_BUDGET)
        values = decode_tensors(artifact)
        return ModelFile("artifact", artifact.program, values, artifact.names, identity=artifact.identity)
    from ..compiler.checkpoints.checkpoint import read_checkpoint
    from ..compiler.frontends import build_model
    from ..compiler.frontends.untold import UntoldError

    checkpoint = read_checkpoint(path, selection)
    try:
        model = build_model(checkpoint, architecture)
    except UntoldError as error:
        if text is None:
            raise
        from ..compiler.readings.told_by_text import answered_by_text

        raise answered_by_text(error, checkpoint, architecture or {}, text.sequences, text.data[0]) from error
    known = Identity(architecture=model.document_digest)
    names, values, configured = [t.name for t in model.tensors], [t.values for t in model.tensors], model.configuration
    return ModelFile("checkpoint", model.program, values, names, model.reading, known, bool(configured))


def is_artifact(path: Path) -> bool:
    """Whether a file begins as an artifact does."""
    from ..format.container.layout import MAGIC

    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def load_architecture(path: Path | None) -> Mapping[str, object] | None:
    """What an architecture file says, or None where none was given."""
    if path is None:
        return None
    from ..compiler.frontends import read_architecture

    return read_architecture(path)


def tokenizer_path(tokenizer: PathLike | None, models: Sequence[Path]) -> Path | None:
    """The tokenizer that is given, or else the one in or beside one of the models."""
    from ..runtime.tokenizers import find_tokenizer

    found = (found for path in models if (found := find_tokenizer(path)) is not None)
    return next(found, None) if tokenizer is None else Path(tokenizer)

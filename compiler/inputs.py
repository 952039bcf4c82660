"""What a compile starts from, read from files: the model, the calibration text, the code files and the
bytes that they leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import CapError, DataError
from ..format.container.limits import DEFAULT_LIMITS
from ..format.identity import Identity
from ..progress import Progress
from ..runtime.data_files import STANDARD_INPUT, Content, DataFile, inspect_data, text_bytes
from ..runtime.tokenizers import Tokenizer, find_tokenizer, load_tokenizer
from ..runtime.tokens import Tokens, check_tokenizer, read_tokens
from .checkpoints.checkpoint import read_checkpoint
from .checkpoints.selection import EVERYTHING, Selection
from .frontends import build_model, read_architecture
from .frontends.untold import UntoldError
from .model.model import Model
from .readings.doubts import doubts_of
from .readings.sample import beginning_of_text, in_sequences, weights_of
from .readings.told_by_text import answered_by_text
from .statistics.overlap import check_no_overlap

HELD_OUT_TOKENS = 8192
MOST_TEXT_TOKENS = 1 << 25  # of a text; to encode more takes minutes, and no effort learns from as much
GLANCE_TOKENS = 1 << 16  # of a text that is looked at before a compile
NOT_NAMED = "no tokenizer named, so verify can only compare sizes; name it with --tokenizer"


def read_model(path: Path | str, architecture: Path | str | None, selection: Selection = EVERYTHING) -> Model:
    """The float model of a checkpoint; CheckpointError when it is none, or not that of the architecture file."""
    known = read_architecture(Path(architecture)) if architecture else None
    return build_model(read_checkpoint(Path(path), selection), known)


def artifact_budget(cap: int, code_files: Sequence[Path]) -> int:
    """Bytes that the code files leave for the artifact, at most what a section may hold; CapError when that is none."""
    code_bytes = sum(path.stat().st_size for path in code_files)
    if cap <= code_bytes:
        message = f"the cap of {cap} bytes leaves nothing for the artifact"
        raise CapError(f"{message}: code files take {code_bytes}; raise the cap")
    return min(cap - code_bytes, DEFAULT_LIMITS.section_bytes)


class Inputs(NamedTuple):
    """All that a compile reads."""

    model: Model
    calibration: CalibrationText
    identity: KnownIdentity

    def reported(self) -> dict[str, object]:
        """What the report says of them, beside the model."""
        return {
            "tokenizer": None if self.identity.tokenizer is None else str(self.identity.tokenizer),
            "identity": self.identity.identity.values,
            "identity_notes": list(self.identity.notes),
            "held_out_bytes_a_token": self.held_out_bytes_a_token(),
        }

    def held_out_bytes_a_token(self) -> float | None:
        """Mean bytes of the text that a held-out token stands for; None where no tokenizer is known, or no bytes."""
        held_out = self.calibration.held_out
        if self.identity.tokenizer is None or held_out.size < 2:
            return None
        table = load_tokenizer(Path(self.identity.tokenizer)).byte_table().padded(self.model.program.vocabulary_size)
        return float(table.target_bytes(held_out.ravel()).mean()) or None


def read_inputs(
    checkpoint: Path | str,
    calibration: Path | str,
    evaluation: Sequence[Path | str],
    tokenizer: Path | str | None,
    architecture: Path | str | None,
    selection: Selection,
    glance: bool = False,
    progress: Progress | None = None,
) -> Inputs:
    """Model, calibration text and what is known of their files; raises what the functions below raise.

    glance : a text is tokenized in its beginning alone, and how many tokens there are is reckoned
    progress : hears of how far texts are tokenized
    """
    how = [Path(path) for path in evaluation], tokenizer, architecture, selection, glance, progress
    model, text, tokenizer, loaded = read_model_and_text(checkpoint, Path(calibration), *how)
    return Inputs(model, text, known_identity(checkpoint, tokenizer, loaded, model))


class ModelAndText(NamedTuple):
    """A float model, calibration text for it, the file or folder of the tokenizer, and the tokenizer; None for both
    where none is known.
    """

    model: Model
    text: CalibrationText
    tokenizer: Path | str | None
    loaded: Tokenizer | None


def read_model_and_text(
    path: Path | str,
    calibration: Path,
    evaluation: Sequence[Path],
    tokenizer: Path | str | None,
    architecture: Path | str | None,
    selection: Selection = EVERYTHING,
    glance: bool = False,
    progress: Progress | None = None,
) -> ModelAndText:
    """The float model of a checkpoint, calibration text for it, and the tokenizer: the given one, else the checkpoint's
    own for a text.

    What the text tells of the checkpoint stands in the notes where it speaks against how this was read, and in the
    CheckpointError where something has to be told. Raises DataError as `read_calibration`.
    """
    known = read_architecture(Path(architecture)) if architecture else {}
    tokenizer, checkpoint = own_tokenizer(path, calibration, tokenizer), read_checkpoint(Path(path), selection)
    loaded = None if tokenizer is None else load_tokenizer(Path(tokenizer))
    try:
        model = build_model(checkpoint, known)
    except UntoldError as error:
        text_for = partial(beginning_of_text, data=calibration, tokenizer=loaded, progress=progress)
        raise answered_by_text(error, checkpoint, known, text_for, str(calibration), progress) from error
    del checkpoint  # tensors that the model reads otherwise are not kept twice
    text = read_calibration(calibration, evaluation, loaded, model, glance, progress)
    sequences = text.held_out if text.held_out.size else in_sequences(text.tokens, model.program.sequence_length)
    doubts = () if model.configuration else doubts_of(model.program, weights_of(model), sequences)
    return ModelAndText(model, text._replace(notes=(*text.notes, *doubts)), tokenizer, loaded)


class CalibrationText(NamedTuple):
    """int64 tokens to measure on, int64 [n, length] held-out sequences, what was assumed of the files, and how many
    tokens to measure on there are: more than are here where only the beginning was looked at.
    """

    tokens: np.ndarray
    held_out: np.ndarray
    notes: tuple[str, ...]
    total: int


def read_calibration(
    path: Path,
    evaluation: Sequence[Path],
    tokenizer: Tokenizer | None,
    model: Model,
    glance: bool = False,
    progress: Progress | None = None,
) -> CalibrationText:
    """Calibration tokens without the text of any evaluation file, and the held-out sequences.

    DataError when the text is too short or contains that of an evaluation file.
    """
    file = inspect_data(str(path))
    most = _most_tokens(file, glance)
    found = _read_tokens(path, tokenizer, model, progress, most)
    ids, notes, total = found.ids, found.notes, len(found.ids)
    if most is not None and total > most:
        total, note = _beyond(found, file, most)
        ids, notes = ids[:most], (*notes, note)
    if len(ids) < model.program.sequence_length:
        held = f"{len(ids)} token{'s' * (len(ids) != 1)}"
        message = f"holds {held}, fewer than the {model.program.sequence_length} of one sequence"
        raise DataError(f"{path} {message}; give a longer calibration file")
    for other in evaluation:
        check_no_overlap(ids, _read_tokens(other, tokenizer, model, progress).ids, path, other)
    tokens, held_out = _hold_out(ids, model.program.sequence_length)
    return CalibrationText(tokens, held_out, notes, total - held_out.size)


def own_tokenizer(checkpoint: Path | str, data: Path | str, tokenizer: Path | str | None) -> Path | str | None:
    """The tokenizer that is given, or else for a text the one in or beside the checkpoint; None for token shards."""
    if tokenizer is not None or inspect_data(str(data)).content is Content.SHARD:
        return tokenizer
    return find_tokenizer(Path(checkpoint))


def inner_tokenizer(checkpoint: Path | str) -> Path | None:
    """The tokenizer inside a checkpoint, not one beside a file of weights; None where there is none."""
    found = find_tokenizer(Path(checkpoint))
    return found if Path(checkpoint).is_dir() or found == Path(checkpoint) else None


class KnownIdentity(NamedTuple):
    """What an artifact will say of the files that it belongs to; the tokenizer's path, None where none is named; and
    what is to be said of it, in sentences.
    """

    identity: Identity
    tokenizer: Path | str | None
    notes: tuple[str, ...]


def known_identity(
    checkpoint: Path | str, tokenizer: Path | str | None, loaded: Tokenizer | None, model: Model
) -> KnownIdentity:
    """The identity by the tokenizer that is given or was found for the text, else by the one inside the checkpoint.

    What lies beside a file of weights is not taken: token shards do not show whether it made them.
    """
    document = model.document_digest
    if loaded is not None:
        return KnownIdentity(replace(loaded.identity, architecture=document), tokenizer, ())
    inside = inner_tokenizer(checkpoint)
    nothing = Identity(architecture=document)
    if inside is None:
        return KnownIdentity(nothing, None, (NOT_NAMED,))
    try:
        own = load_tokenizer(inside)
        check_tokenizer(own, model.program.vocabulary_size)
    except DataError as error:
        return KnownIdentity(nothing, None, (f"the checkpoint's own tokenizer was passed over: {error}", NOT_NAMED))
    return KnownIdentity(replace(own.identity, architecture=document), inside, ())


def _most_tokens(file: DataFile, glance: bool) -> int | None:
    """How many tokens of a text are read; None for shards, which are mapped. Standard input is read only once, so that
    a glance would not tell how much there is.
    """
    if file.content is Content.SHARD:
        return None
    return GLANCE_TOKENS if glance and file.path != STANDARD_INPUT else MOST_TEXT_TOKENS


def _beyond(found: Tokens, file: DataFile, most: int) -> tuple[int, str]:
    """Of a text that has more than so many tokens: how many a compile reads, and what is to be said of it."""
    if most == MOST_TEXT_TOKENS or found.text is None:
        return most, f"only the first {most:,} tokens of {file.path} were read, more than any effort learns from"
    bytes_a_token = int(found.text.bytes.sum(dtype=np.int64)) / len(found.ids)
    total = round(text_bytes(file, int(MOST_TEXT_TOKENS * bytes_a_token) + 1) / bytes_a_token)
    if total < MOST_TEXT_TOKENS:
        return total, f"{file.path} has about {total:,} tokens, by its first {most:,}"
    more = f"{file.path} has about {MOST_TEXT_TOKENS:,} tokens or more, by its first {most:,}"
    return MOST_TEXT_TOKENS, f"{more}; a compile reads no further, as no effort learns from more"


def _read_tokens(
    path: Path, tokenizer: Tokenizer | None, model: Model, progress: Progress | None, most: int | None = None
) -> Tokens:
    sizes = model.program.vocabulary_size, model.program.boundary_token
    return read_tokens(path, tokenizer, *sizes, max_tokens=most, progress=progress)


def _hold_out(tokens: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens to measure on, and the sequences at their end that only judge: an eighth of them,
    HELD_OUT_TOKENS at most.
    """
    count = min(-(-HELD_OUT_TOKENS // length), len(tokens) // length // 8)
    border = len(tokens) - count * length
    return tokens[:border], tokens[border:].reshape(count, length).astype(np.int64)

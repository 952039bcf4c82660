"""Scoring an artifact or a checkpoint on text.

Torch is loaded only for a checkpoint that is a pickle (.pt, .int8.ptz).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..display import ShownByFacts
from ..format.identity import short_digest
from ..progress import Progress, stage_of
from .arguments import PathLike, beginning_of, budget_of, optional_path, paths_of, reading_of, selection_of
from .file_errors import deliberate, naming_model
from .loading import ModelFile, TextAtHand, load_architecture, load_model_file, tokenizer_path
from .progress_bars import ProgressOption, heard
from .scoring_places import RUNTIME, ScoredBy, ScoringPlace

if TYPE_CHECKING:
    from ..compiler.checkpoints.selection import Selection
    from ..compiler.model.model import Reading
    from ..runtime.evaluation import ScoringData, ScoringOptions
    from ..runtime.known_splits import SplitMatch
    from ..runtime.scoring import Gap, Score
    from ..runtime.scoring_budget import ScoringWork
    from ..runtime.tokenizers import Tokenizer


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation(ShownByFacts):
    """Scores of a model and, when asked for, of a reference on the same tokens.

    kind : "artifact" or "checkpoint"
    score, reference : Score      see bytecap.runtime.scoring.Score: bits_per_byte, perplexity, tokens, bytes, ...
    gap : Gap or None             score minus reference in mBPB, with the standard error over sequences
    same_program : bool or None   whether both compute the same function of their tensors
    text : EvaluatedText          the text and how it was read
    reading : Reading or None     what was assumed, told, chosen and left out of the checkpoints; None without any
    work : ScoringWork or None    most that scoring the model takes: multiply-adds and memory
    scored_by : ScoredBy          what computed the losses: the runtime, torch, the workers of a cluster
    """

    kind: str
    score: Score
    reference: Score | None
    gap: Gap | None
    same_program: bool | None
    text: EvaluatedText
    reading: Reading | None = None
    work: ScoringWork | None = None
    scored_by: ScoredBy = RUNTIME

    @property
    def assumed(self) -> Mapping[str, object]:
        """Hyperparameters that nothing told, with the values that were taken."""
        return {} if self.reading is None else self.reading.assumed

    @property
    def told(self) -> Mapping[str, str]:
        """Who told the others."""
        return {} if self.reading is None else self.reading.told

    def shown_facts(self) -> Mapping[str, str]:
        """The scores, the gap, and what they stand on."""
        facts = {self.kind: _score_text(self.score)}
        if self.reference is not None:
            facts["reference"] = _score_text(self.reference)
        if self.gap is not None:
            facts["gap"] = self.gap.shown_facts()[""]
        if self.scored_by != RUNTIME:
            facts["scored by"] = self.scored_by.name
        facts["windows"] = f"{self.score.sequence_length:,} tokens"
        if self.text.tokenizer is not None:
            facts["tokenizer"] = str(self.text.tokenizer["source"])
        if self.assumed:
            facts["assumed"] = ", ".join(f"{name} {value}" for name, value in self.assumed.items())
        if self.text.notes:
            facts["notes"] = "; ".join(self.text.notes)
        return facts


def _score_text(score: Score) -> str:
    return ", ".join(f"{value} {name}" for name, value in score.shown_facts().items())


@dataclass(frozen=True, slots=True)
class EvaluatedText:
    """The conventions of a score.

    tokenizer : mapping or None     kind, source, digest and pieces; None where none was needed
    documents : int or None         number of documents, None for shards that run on
    separate : bool                 each document is read from its own beginning; else they run on into each other
    beginning : int or None         the token before each document of a text; None for none, and for shards
    beginning_piece : str or None   the same as text
    is_text : bool                  the bytes are those of the text itself; else those of the tokens' pieces
    notes : tuple of str            what was assumed of data and tokenizer, in sentences
    split : SplitMatch              which known split the data are, or that they are none
    """

    tokenizer: Mapping[str, object] | None
    documents: int | None
    separate: bool
    beginning: int | None
    beginning_piece: str | None
    is_text: bool
    notes: tuple[str, ...]
    split: SplitMatch


@deliberate
def evaluate(
    model: PathLike,
    *,
    data: PathLike | Sequence[PathLike],
    tokenizer: PathLike | None = None,
    other_tokenizer: bool = False,
    sequence_length: int | None = None,
    stride: int | None = None,
    max_tokens: int | None = None,
    bos: int | str | None = None,
    documents: str = "auto",
    byte_counts: Sequence[PathLike] = (),
    split: str | None = None,
    splits: Sequence[PathLike] = (),
    against: PathLike | None = None,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
    seconds: float | None = None,
    memory: int | str | None = None,
    device: str | None = None,
    backend: str | None = None,
    scheduler: str | None = None,
    resume: PathLike | None = None,
    threads: int | None = None,
    progress: ProgressOption = None,
) -> Evaluation:
    """Bits per byte and perplexities of an artifact or a checkpoint on token shards, UTF-8 texts or JSON lines.

    data            a path, a pattern such as "val_*.bin", "-" for text from standard input, or several of these
    tokenizer       a file, a folder that holds one, or "bytes"; by default the one in or beside the model
    other_tokenizer take a tokenizer other than the artifact's own, or of another size than the model's; else refused
    stride          targets scored a window; by default all, so that windows do not overlap
    bos             the token before each document of a text, "none" for none; by default what the tokenizer says
    documents       "joined", "separate" (each read from its own beginning) or "auto": joined unless that reads worse
    byte_counts     files of bytes by token beside the shards; by default those that lie there
    split, splits   the known split that the data must be, else found by name or size; tables of such (TOML or JSON)
    against         is scored on the same tokens, in sequences of the same length, and the paired gap computed
    architecture    (TOML or JSON) says of a checkpoint what its shapes cannot; see `same_program` of the result
    weights, ignore, rename   which tensors of a checkpoint are read, and by which names: see `describe`
    seconds         of a core that scoring a model may take; by default, and for 0, as many as it takes
    memory          of weights and running sequences (of each worker), bytes or "4GiB"; by default what there is
    device          "cuda", "cpu", ...: torch computes the losses there, not bytecap's own runtime (`scored_by`)
    backend         "dask": the windows are shared among the workers of the cluster whose address is `scheduler`
    resume          a folder in which the losses of windows are kept as they are computed, and gone on from

    Raises ArtifactError, BudgetError, CheckpointError, CompileError, DataError, OutputError or VerificationError.
    """
    from ..runtime.evaluation import ScoringOptions

    counts, keep, selection = paths_of(byte_counts), optional_path(resume), selection_of(weights, ignore, rename)
    options = ScoringOptions(sequence_length, stride, max_tokens, beginning_of(bos), reading_of(documents), counts)
    options = replace(options, split=split, splits=paths_of(splits), other_tokenizer=other_tokenizer, keep=keep)
    options = replace(options, threads=threads, budget=budget_of(seconds, memory))
    models = _Models(Path(model), optional_path(against), optional_path(architecture), selection)
    with heard(progress) as listener, ScoringPlace(device, backend, scheduler) as place:
        found = _evaluated(models, paths_of(data), tokenizer, options, place, listener)
        told = place.told()
    return replace(found, scored_by=told, text=replace(found.text, notes=(*found.text.notes, *told.notes)))


@dataclass(frozen=True, slots=True)
class _Models:
    """What is scored, what against, and how checkpoints among them are read."""

    model: Path
    against: Path | None
    architecture: Path | None
    selection: Selection


def _evaluated(
    models: _Models,
    data: Sequence[str],
    tokenizer: PathLike | None,
    options: ScoringOptions,
    place: ScoringPlace,
    progress: Progress | None,
) -> Evaluation:
    from ..runtime.bounded_scoring import bound_scoring
    from ..runtime.evaluation import choose_documents, read_scoring_data, score_program
    from ..runtime.interpreter import Interpreter
    from ..runtime.scoring import paired_gap
    from ..runtime.tokenizers import load_tokenizer
    from ..runtime.trained_length import beyond_its_length

    known = load_architecture(models.architecture)
    tokenizer_file = tokenizer_path(tokenizer, [path for path in (models.model, models.against) if path is not None])
    own = None if tokenizer_file is None else load_tokenizer(tokenizer_file)
    how = known, models.selection, options.budget, TextAtHand(data, own)
    loaded = load_model_file(models.model, *how)
    program = loaded.program
    length = program.sequence_length if options.sequence_length is None else options.sequence_length
    options = replace(options, sequence_length=length, reading=progress)
    said = _admitted(loaded, own, options)
    read = read_scoring_data(program, data, own, options)
    longer, doubts = beyond_its_length(program, length, "its windows take"), loaded.doubts(read.tokens.ids)
    read = replace(read, notes=(*said, *longer, *read.notes, *doubts))

    def bounded(path: Path, file: ModelFile, name: str) -> tuple[Interpreter, ScoringOptions, ScoringWork]:
        wanted = replace(options, progress=stage_of(progress, f"score {name}"))
        model, chosen, work = bound_scoring(Interpreter(file.program, file.tensors, names=file.names), read, wanted)
        return model, place.placed(path, file, model, chosen), work

    model, chosen, work = bounded(models.model, loaded, loaded.kind)
    read = choose_documents(model, read, chosen)
    with naming_model(models.model):
        result = score_program(model, read, chosen)
    text = _evaluated_text(read, options)
    if models.against is None:
        return Evaluation(loaded.kind, result, None, None, None, text, loaded.reading, work)
    other = load_model_file(models.against, *how)
    longer, doubts = beyond_its_length(other.program, length, "its windows take"), other.doubts(read.tokens.ids)
    others = *_admitted(other, own, options), *_other_document(loaded, other), *longer, *doubts
    notes = dict.fromkeys((*text.notes, *others))
    text = replace(text, notes=tuple(notes))
    model, chosen, _ = bounded(models.against, other, "reference")
    with naming_model(models.against):
        reference = score_program(model, read, chosen)
    same, gap = program.instructions == other.program.instructions, paired_gap(reference, result)
    return Evaluation(loaded.kind, result, reference, gap, same, text, _both(loaded.reading, other.reading), work)


def _admitted(file: ModelFile, tokenizer: Tokenizer | None, options: ScoringOptions) -> tuple[str, ...]:
    """What is to be noted of the tokenizer for a model; DataError for another one than the model's own."""
    from ..runtime.identity import admit_tokenizer

    if tokenizer is None:
        return ()
    return admit_tokenizer(file.identity, file.program.vocabulary_size, tokenizer, other=options.other_tokenizer)


def _other_document(one: ModelFile, other: ModelFile) -> tuple[str, ...]:
    """That two models were made with different architecture documents, where both name one."""
    found = one.identity.architecture, other.identity.architecture
    if None in found or found[0] == found[1]:
        return ()
    digests = " and ".join(map(short_digest, found))
    return (f"the model and its reference were made with different architecture documents, digests {digests}",)


def _both(one: Reading | None, other: Reading | None) -> Reading | None:
    """What is said of two checkpoints: everything, and of the first where they differ."""
    if one is None or other is None:
        return one or other
    notes = tuple(dict.fromkeys((*one.notes, *other.notes)))
    assumed = {**other.assumed, **one.assumed}
    return replace(one, assumed=assumed, told=one.told or other.told, notes=notes, weights=one.weights or other.weights)


def _evaluated_text(read: ScoringData, options: ScoringOptions) -> EvaluatedText:
    tokens, tokenizer = read.tokens, read.tokenizer
    described = None
    if tokenizer is not None:
        described = {
            "kind": tokenizer.kind,
            "source": tokenizer.source,
            "digest": tokenizer.digest,
            "pieces": tokenizer.vocabulary_size,
        }
    starts = tokens.documents if read.documents is None else read.documents
    if starts is not None and options.max_tokens is not None:
        starts = starts[starts < options.max_tokens]
    beginning = None if tokens.beginning is None or tokens.beginning < 0 else tokens.beginning
    piece = None
    if beginning is not None and tokenizer is not None and beginning < tokenizer.vocabulary_size:
        piece = tokenizer.piece(beginning)
    return EvaluatedText(
        described,
        None if starts is None else len(starts),
        read.documents is not None,
        beginning,
        piece,
        tokens.text is not None,
        read.notes,
        read.split,
    )

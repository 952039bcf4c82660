"""From a program, its tensors and data files to a score: the one path of `eval`, `verify` and the demo.

Strategy: read the tokens and what each stands for, hold the pieces' bytes against the decoded text of all documents
that will be scored, and only then run the model. What was assumed of the data is said in sentences beside the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..format.program.program import Program
from ..progress import Progress, StageProgress
from .checked_pieces import checked_byte_table, refuse_untransformed_text
from .data_content import DataContent
from .data_files import expand_data
from .interpreter import Interpreter
from .kept_losses import KeptLosses, run_digest
from .known_splits import SplitMatch, match_split, read_splits
from .scoring import Score, score, target_count
from .scoring_budget import NO_BUDGET, ScoringBudget
from .token_text import TokenText, text_of_ids
from .tokenizers import Tokenizer, load_tokenizer
from .tokens import Tokens, read_byte_counts, read_tokens, sidecar_of
from .window_runs import WindowRunner
from .windows import Window

AUTO, JOINED, SEPARATE = "auto", "joined", "separate"
PROBES, PROBE_CONTEXT, PROBE_TOKENS = 8, 64, 32  # documents that are tried, tokens before them, tokens of each
LOSS_OF_JOINING = 0.5  # nats a token; models that were trained on documents in a row lose nothing


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """How data are scored.

    sequence_length, stride, max_tokens : int or None     as in `scoring.score`; the program's own length by default
    beginning : int or None     before each document of a text, NO_TOKEN for none; by default what the tokenizer says
    documents : str             JOINED: documents run on into each other; SEPARATE: each is read from its own beginning;
                                AUTO: joined unless the model reads a document much worse behind another one
    byte_counts : paths         files of bytes by token beside the shards; by default those that are found there
    splits : paths              tables of known splits beside the shipped one
    split : str or None         name of the known split that the data must be
    threads, progress, run      as in `scoring.score`
    reading : Progress or None  hears of how far texts are tokenized
    other_tokenizer : bool      take a tokenizer that cannot be the model's
    budget : ScoringBudget      what scoring may take of memory and time
    keep : path or None         folder in which the losses of windows are kept, and from which scoring goes on
    scorer : str                who computes the losses, in words: those of another one are not gone on from
    """

    sequence_length: int | None = None
    stride: int | None = None
    max_tokens: int | None = None
    beginning: int | None = None
    documents: str = AUTO
    byte_counts: Sequence[str | Path] = ()
    threads: int | None = None
    progress: StageProgress | None = None
    reading: Progress | None = None
    splits: Sequence[str | Path] = ()
    split: str | None = None
    other_tokenizer: bool = False
    budget: ScoringBudget = NO_BUDGET
    run: WindowRunner | None = None
    keep: Path | None = None
    scorer: str = "runtime"


@dataclass(frozen=True, slots=True, eq=False)
class ScoringData:
    """What a model is scored on.

    tokens, tokenizer        the latter None where the bytes of the tokens are not known or counted by files
    text : TokenText         of the tokens that can be scored, None where no bytes are known
    documents : int64 [d]    where documents begin, for scoring them one by one; None when they run on
    notes : tuple of str     what was assumed, in sentences
    split : SplitMatch       which known split the data are, or that they are none
    """

    tokens: Tokens
    tokenizer: Tokenizer | None
    text: TokenText | None
    documents: np.ndarray | None
    notes: tuple[str, ...]
    split: SplitMatch


def read_scoring_data(
    program: Program,
    data: str | Path | Sequence[str | Path],
    tokenizer: Tokenizer | str | Path | None,
    options: ScoringOptions,
) -> ScoringData:
    """The tokens of data files for a program, and what each stands for; a tokenizer that was read already is taken.

    Raises DataError for whatever is wrong with the data, the tokenizer or their fit to the program, and for pieces that
    the decoded text contradicts.
    """
    loaded = load_tokenizer(tokenizer) if isinstance(tokenizer, str | Path) else tokenizer
    size = program.vocabulary_size
    tokens = read_tokens(
        data,
        loaded,
        size,
        program.boundary_token,
        beginning=options.beginning,
        max_tokens=options.max_tokens,
        other_tokenizer=options.other_tokenizer,
        progress=options.reading,
    )
    length = program.sequence_length if options.sequence_length is None else options.sequence_length
    count = target_count(tokens, length, options.max_tokens) + 1
    counts, counted = _counts_beside(data, tokens, options)
    notes = [*tokens.notes, *counted]
    if options.beginning is not None and tokens.text is None:
        notes.append(f"the token to put before documents was not used: {tokens.source} has its documents' own")
    if loaded is not None and not _knows_text(loaded):
        notes.append(f"bytes are those of the table {loaded.source}, which is not checked; docs/scoring.md says how to")
    text = tokens.text
    if counts is not None:
        text = TokenText.of_counts(counts)
    elif loaded is not None:
        refuse_untransformed_text(loaded, tokens)
        table = checked_byte_table(loaded, tokens, length, options.max_tokens, size, program.boundary_token)
        text = text or text_of_ids(loaded, table, np.asarray(tokens.ids[:count]), words=_knows_text(loaded))
    documents = _starts(tokens, program.boundary_token, count) if options.documents == SEPARATE else None
    split = _matched_split(data, size, options)
    return ScoringData(tokens, loaded, text, documents, tuple(notes), split)


def _matched_split(data: str | Path | Sequence[str | Path], size: int, options: ScoringOptions) -> SplitMatch:
    """Which known split the whole of the data is; its digest is taken where all is scored or it decides."""
    splits = read_splits(options.splits)
    content = DataContent(data, size, whole=options.max_tokens is None)
    if options.max_tokens is None:
        content.take_digest()
    return match_split(content, splits, options.split)


def _counts_beside(
    data: str | Path | Sequence[str | Path], tokens: Tokens, options: ScoringOptions
) -> tuple[np.ndarray | None, list[str]]:
    """Bytes by token from files that are given or lie beside the shards, and where they come from."""
    paths = list(options.byte_counts)
    if not paths and tokens.text is None:
        beside = [sidecar_of(path) for path in expand_data(data)]
        paths = [path for path in beside if path is not None]
        paths = paths if len(paths) == len(beside) else []
    if not paths:
        return None, []
    if tokens.text is not None:
        raise DataError(f"{paths[0]}: counts of bytes belong to token shards, and {tokens.source} is text")
    return read_byte_counts(paths, expand_data(data), tokens), [f"bytes are those of {', '.join(map(str, paths))}"]


def _starts(tokens: Tokens, boundary_token: int, count: int) -> np.ndarray:
    """Where documents begin among the first `count` tokens, int64 [d]; in a shard at each boundary token, and at its
    first token.
    """
    if tokens.documents is not None:
        return tokens.documents[tokens.documents < count]
    found = np.flatnonzero(tokens.ids[:count] == boundary_token)
    return found if found.size and found[0] == 0 else np.concatenate(([0], found))


def _knows_text(tokenizer: Tokenizer) -> bool:
    return tokenizer.kind != "table of byte counts"


def choose_documents(model: Interpreter, data: ScoringData, options: ScoringOptions) -> ScoringData:
    """With AUTO, the data with documents separate when the model, on average over the first few, loses more than
    LOSS_OF_JOINING on the beginning of a document that follows another one; else the data unchanged.

    A model that was trained by document takes a boundary token in mid-sequence badly.
    """
    count = len(data.tokens.ids) if options.max_tokens is None else min(len(data.tokens.ids), options.max_tokens + 1)
    if options.documents != AUTO or count < 2:
        return data
    starts = _starts(data.tokens, model.program.boundary_token, count)
    length = model.program.sequence_length if options.sequence_length is None else options.sequence_length
    size = min(PROBE_TOKENS, length // 2)
    ends = np.append(starts[1:], count)
    tried = starts[1:][(ends - starts)[1:] > size][:PROBES].tolist()
    if not tried or size < 1:
        return data
    ids = np.asarray(data.tokens.ids[:count])
    with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite is found when all are summed
        lost = [
            model.token_losses(ids[None, max(0, start - min(PROBE_CONTEXT, length - size)) : start + size + 1])[
                0, -size:
            ]
            - model.token_losses(ids[None, start : start + size + 1])[0]
            for start in tried
        ]
    difference = float(np.mean(lost))
    if not difference > LOSS_OF_JOINING:
        return data
    note = (
        f"documents were read separately: behind another document the model loses {difference:.2f} nats a token more "
        f"on the first {size} tokens of one; --documents joined lets them run on"
    )
    return replace(data, documents=starts, notes=(*data.notes, note))


def score_program(model: Interpreter, data: ScoringData, options: ScoringOptions) -> Score:
    """The score of a model; VerificationError when its losses are not finite. Its seconds are those of scoring alone:
    what numba has to compile it compiles before.
    """
    size = model.program.vocabulary_size
    length = model.program.sequence_length if options.sequence_length is None else options.sequence_length
    model.warm_up()

    def keep(ids: np.ndarray, plan: Sequence[Window]) -> KeptLosses:
        digest = run_digest(model.program, model.tensors, ids, plan, options.scorer)
        return KeptLosses(Path(options.keep or ""), digest, len(plan))

    found = score(
        model,
        data.tokens,
        text=data.text,
        sequence_length=length,
        stride=options.stride,
        max_tokens=options.max_tokens,
        documents=data.documents,
        threads=options.threads,
        progress=options.progress,
        run=options.run,
        keep=None if options.keep is None else keep,
    )
    found = replace(found, vocabulary_size=size)
    pieces = size if data.tokenizer is None else data.tokenizer.vocabulary_size
    if pieces >= size:
        return found
    share = _share_beyond(model, data.tokens.ids[: min(length, found.tokens)], pieces)
    return replace(found, rows_without_piece=size - pieces, probability_without_piece=share)


def _share_beyond(model: Interpreter, ids: np.ndarray, pieces: int) -> float:
    """Mean probability of the tokens from `pieces` on, after each of these ids; never all logits at once."""
    largest = np.full(len(ids), -np.inf)
    sums = np.zeros((2, len(ids)))  # of all tokens, of those beyond
    for _, columns, logits in model.logit_ranges(model.checked(np.asarray(ids)[None])):
        new = np.maximum(largest, logits.max(axis=-1))
        weights = np.exp(logits.astype(np.float64) - new[:, None])
        inside = max(0, pieces - columns.start)
        sums = sums * np.exp(largest - new) + [weights.sum(axis=-1), weights[:, inside:].sum(axis=-1)]
        largest = new
    return float((sums[1] / sums[0]).mean())


def evaluate_program(
    program: Program,
    tensors: Sequence[np.ndarray],
    data_path: str | Path | Sequence[str | Path],
    tokenizer_path: str | Path | None,
    **options,
) -> Score:
    """Bits per byte of `program` over float32 `tensors` on shards or UTF-8 texts; `options` as in ScoringOptions.

    Raises DataError for whatever is wrong with the data, the tokenizer or their fit to the program, and for pieces that
    the text contradicts; VerificationError when the model's losses are not finite.
    """
    chosen = ScoringOptions(**options)
    data = read_scoring_data(program, data_path, tokenizer_path, chosen)
    model = Interpreter(program, tensors)
    return score_program(model, choose_documents(model, data, chosen), chosen)

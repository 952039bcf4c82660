"""The program of a model of the challenge: embedding, encoder, decoder with skips, head.

Strategy: the forward pass of the scripts, written once as program instructions. The last output of the encoder meets
the first layer of the decoder; looped layers are names of the same tensors in several places. What differs between
records is one branch, at the place where it differs.
"""

from __future__ import annotations

from ....format.program import operations as op
from ...model.program_builder import ProgramBuilder
from .attention import normalized
from .blocks import sequential_block
from .hyperparameters import BEFORE_PROJECTION, Hyperparameters
from .lanes import Lanes, joined, lane_block, lane_skip, starts_lanes
from .layers import Place, places_of
from .rewritten import GATED, SIGMOID, SKIP_GATES, SKIP_WEIGHTS
from .sizes import HEAD, TABLE
from .traits import (
    BIGRAM,
    BIGRAM_SUM,
    FACTORIZED_REVERSE,
    LANE_MERGE,
    SMEAR,
    SMEAR_FIRST,
    SMEAR_GATE,
    VALUE_EMBEDDING,
    VOCABULARY_BIAS,
)
from .traits import SKIP_GATES as GATED_SKIPS
from .writer import Writer

XOR_MULTIPLIERS = 36313, 27191  # of the current and of the previous token
SUM_MULTIPLIERS = 1, 92821


def build_program(h: Hyperparameters, names: frozenset[str]) -> ProgramBuilder:
    """The instructions of an architecture; `names` are the tensors that there are to read."""
    w = Writer(ProgramBuilder(), h, names)
    stem = _embedding(w)
    values = _value_embedding(w)
    places = places_of(h)
    encoder, decoder = places[: len(h.encoder_layers)], places[len(h.encoder_layers) :]
    x, outputs = stem, []
    for place in encoder:
        x = sequential_block(w, place, x, stem, values)
        outputs.append(x)
    x = _decoder(w, decoder, x, stem, values, outputs)
    _head(w, x)
    return w.builder


def _decoder(w: Writer, places: list[Place], x: int, stem: int, values: int | None, outputs: list[int]) -> int:
    """The second half, which the encoder's outputs reach last one first; perhaps in two lanes."""
    lanes: Lanes | None = None
    for index, place in enumerate(places):
        row = skip_row(w.h, index)
        skip = outputs.pop() if outputs and row is not None else None
        starting = lanes is None and starts_lanes(w.h, place)
        before = starting and not w.h.has(LANE_MERGE)  # these scripts fork before the skip, the others after it
        if before:
            lanes = x, x
        if skip is not None and lanes is None:
            x = skipped(w, row, x, skip)
        elif skip is not None:
            lanes = lane_skip(w, lanes, lambda lane, row=row, skip=skip: skipped(w, row, lane, skip))
        if starting and not before:
            lanes = x, x
        if lanes is None:
            x = sequential_block(w, place, x, stem, values)
        else:
            lanes = lane_block(w, place, lanes, stem, values)
    return x if lanes is None else joined(w, lanes)


def skip_row(h: Hyperparameters, index: int) -> int | None:
    """Which weights the decoder's skip number `index` has; None when it has no skip."""
    if index < h.skip_rows:
        return index
    return h.skip_rows - 1 if h.skips_beyond == "last" and h.skip_rows < h.skips else None


def skipped(w: Writer, row: int, x: int, skip: int) -> int:
    """x + w * skip, or with gates w * skip + σ(g) * (x - w * skip)."""
    if w.h.has(GATED_SKIPS):
        return w.emit(op.Mix(x, skip, w.row(SKIP_GATES + SIGMOID, row), w.row(SKIP_WEIGHTS + GATED, row)))
    return w.emit(op.Add(x, w.emit(op.Scale(skip, w.row(SKIP_WEIGHTS, row)))))


def _embedding(w: Writer) -> int:
    """The stem: token table, bigrams, smearing, norm and projection in the record's order."""
    h = w.h
    x = w.emit(op.Embed(w.tensor(TABLE)))
    if h.has(BIGRAM_SUM):
        hashed = op.HashEmbed(w.tensor("bigram_hash.table.weight"), op.HashKind.POLYNOMIAL, *SUM_MULTIPLIERS)
        x = w.emit(op.Add(x, w.linear(w.emit(hashed), "bigram_hash.proj.weight")))
    if h.has(BIGRAM):
        hashed = w.emit(op.HashEmbed(w.tensor("bigram.embed.weight"), op.HashKind.XOR, *XOR_MULTIPLIERS))
        if "bigram.proj.weight" in w.names:
            hashed = w.linear(hashed, "bigram.proj.weight")
        x = w.emit(op.Add(x, w.emit(op.Scale(hashed, w.row("bigram.scale")))))
    if h.has(SMEAR_GATE):
        x = _smeared_by_gate(w, x)
    if h.has(SMEAR_FIRST):
        previous = w.emit(op.Shift(x, 1))
        x = w.blend(previous, x, "smeargate.gate" + SIGMOID)
    if h.factorized and h.factorized_norm == BEFORE_PROJECTION:
        x = w.linear(normalized(w, x), "embed_proj.weight")
    else:
        x = normalized(w, w.linear(x, "embed_proj.weight") if h.factorized else x)
    if h.has(SMEAR):
        x = w.blend(x, w.emit(op.Shift(x, 1)), "smear.gate" + SIGMOID)
    return x


def _smeared_by_gate(w: Writer, x: int) -> int:
    """x plus the position before, as much as a gate of the first elements lets through."""
    h = w.h
    gate = w.gate(x, "smear_gate.weight", h.smear_gate_window, h.embedding_dim)
    gate = w.emit(op.Scale(gate, w.row("smear_lambda")))
    previous = w.emit(op.Shift(x, 1, h.smear_document_reset))
    return w.emit(op.Add(x, w.emit(op.Multiply(gate, previous))))


def _value_embedding(w: Writer) -> int | None:
    """What some layers add to their values, by token."""
    if not w.h.has(VALUE_EMBEDDING):
        return None
    x = w.emit(op.Embed(w.tensor("ve_shared.embed.weight")))
    if "ve_shared.proj.weight" in w.names:
        x = w.linear(x, "ve_shared.proj.weight")
    return w.emit(op.Scale(x, w.row("ve_shared.scale")))


def _head(w: Writer, x: int) -> None:
    """The logits."""
    h = w.h
    x = normalized(w, x)
    bias = w.row("vocab_bias") if h.has(VOCABULARY_BIAS) else None
    if h.factorized and (h.tie_embeddings or not h.has(VOCABULARY_BIAS)):
        x = w.linear(x, "embed_proj_rev.weight" if h.has(FACTORIZED_REVERSE) else "head_proj.weight")
    logits = w.emit(op.Linear(x, w.tensor(TABLE if h.tie_embeddings else HEAD), bias))
    if h.logit_softcap:
        kind = op.SoftcapKind.TANH if h.softcap_type == "tanh" else op.SoftcapKind.POLYNOMIAL
        w.emit(op.Softcap(logits, h.logit_softcap, kind))

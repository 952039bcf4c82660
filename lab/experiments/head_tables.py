"""The token tables of a model under test: head and embedding, tied or not, which have a row a token each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...compiler.model.structure import token_tables
from ...compiler.quantize.representation import Quantized
from ...compiler.settings import START_PRICE
from ..measure.choices import Choice
from ..measure.equal_bytes import Bench
from ..measure.rank_stability import count_of
from .measuring import Choices


def tables_of(bench: Bench) -> list[int]:
    """Tensors that embed tokens or make their logits, and are stored as matrices."""
    return [i for i in token_tables(bench.model.program) if i in bench.matrices]


def table_choices(bench: Bench, choice: Choice) -> Choices:
    """All token tables stored this way."""
    return dict.fromkeys(tables_of(bench), choice)


def quantized_tables(bench: Bench, quantized: Mapping[int, Quantized]) -> dict[int, Quantized]:
    """The token tables of an artifact, by tensor."""
    return {i: quantized[i] for i in tables_of(bench)}


def row_claims(bench: Bench) -> np.ndarray:
    """float64[tokens]: what errors of one size cost in each row, all tables together: g_i times the mean of L_jj^2."""
    prepared = [bench.unit(i, START_PRICE).prepared for i in tables_of(bench)]
    return sum(p.row_fisher * float(np.square(p.factor.diagonal()).mean()) for p in prepared)


def strongest_rows(bench: Bench, share: float) -> list[int]:
    """The share of all token rows with the greatest claims, ascending."""
    claims = row_claims(bench)
    return np.sort(np.argsort(-claims, kind="stable")[: count_of(share, len(claims))]).tolist()

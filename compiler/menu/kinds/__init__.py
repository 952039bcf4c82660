"""Candidates: the ways in which one matrix may be stored, one file a kind, in one registry."""

from . import (  # noqa: F401 - register the kinds
    alias,
    blocks,
    codebook,
    decoupled,
    grid,
    heads,
    low_rank,
    protected_columns,
    raw,
    rescued_rows,
    shared_codebook,
    shared_columns,
    sparse,
    token_groups,
    vq_rows,
)
from .registry import KINDS, SHARED_KINDS, CandidateKind, SharedKind, register_kind, register_shared_kind
from .shared import Shared
from .unit import Unit

__all__ = [
    "KINDS",
    "SHARED_KINDS",
    "CandidateKind",
    "Shared",
    "SharedKind",
    "Unit",
    "register_kind",
    "register_shared_kind",
]

"""Candidates: the ways in which one matrix may be stored, one file a kind, in one registry."""

from . import alias, codebook, grid, low_rank, protected_columns, raw, rescued_rows, sparse, token_groups, vq_rows  # noqa: F401 - register the kinds
from .registry import KINDS, CandidateKind, register_kind
from .unit import Unit

__all__ = ["KINDS", "CandidateKind", "Unit", "register_kind"]

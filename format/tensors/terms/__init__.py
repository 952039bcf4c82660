"""The kinds of terms that a tensor is the sum of: one file a kind, and TERMS has them all (spec/tensors.md)."""

from __future__ import annotations

from ....errors import UnsupportedArtifact
from ...container.cursor import Cursor, Writer
from ...registry import keyed
from .alias import Alias
from .codebook import Codebook, CodebookReference, CodebookValues, IndexValues, Indices
from .grid import Grid, GridInStream
from .low_rank import LowRank, LowRankValues
from .raw import Raw, RawValues
from .sparse import Sparse, SparseValues
from .subset import Subset, SubsetValues
from .term import Codebooks, EarlierTerms, Part, TensorEntry, Term, reconstruct_tensor

TERMS: tuple[type[Term], ...] = (Raw, Grid, Alias, LowRank, Subset, Sparse, Codebook)
TERMS_BY_ID: dict[int, type[Term]] = keyed(TERMS, "wire_id", "name")

__all__ = [
    "TERMS",
    "TERMS_BY_ID",
    "Alias",
    "Codebook",
    "CodebookReference",
    "CodebookValues",
    "Codebooks",
    "EarlierTerms",
    "Grid",
    "GridInStream",
    "IndexValues",
    "Indices",
    "LowRank",
    "LowRankValues",
    "Part",
    "Raw",
    "RawValues",
    "Sparse",
    "SparseValues",
    "Subset",
    "SubsetValues",
    "TensorEntry",
    "Term",
    "read_term",
    "reconstruct_tensor",
    "write_term",
]


def write_term(writer: Writer, term: Term) -> None:
    """Wire id and fields."""
    writer.u8(term.wire_id)
    term.write(writer)


def read_term(cursor: Cursor, shape: tuple[int, int]) -> Term:
    """Read one term of a tensor of that shape; UnsupportedArtifact [R-REC-1] for a kind this version lacks."""
    start = cursor.offset
    kind = cursor.u8("kind of term")
    if kind not in TERMS_BY_ID:
        message = f"term kind {kind}, this version knows {sorted(TERMS_BY_ID)}"
        raise UnsupportedArtifact(message, rule="R-REC-1", offset=start, where=cursor.where)
    return TERMS_BY_ID[kind].read(cursor, shape)

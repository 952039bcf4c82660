"""Sources: what a writer says of each tensor, and what follows from all of them together.

Strategy: the caller gives parts (terms/term.py); sets and shared codewords are looked at here in the
order of the directory, because a tensor may name those of earlier ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .grid import matrix_shape
from .keys import TermKey
from .set_choice import KnownSets, SetChooser, ToldSet
from .stored import StoredContent
from .terms import Codebooks, Part, TensorEntry


@dataclass(frozen=True, slots=True)
class TensorSource:
    """What one tensor is: name, shape, export dtype and the parts whose sum it is."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    parts: tuple[Part, ...]


def own_codebooks(tensors: Sequence[TensorSource], first: int = 0) -> dict[TermKey, np.ndarray]:
    """float32[K, d] codewords of all codebook parts that have their own; first : number of the first tensor."""
    found = {
        (i, t): part.own_codewords() for i, tensor in enumerate(tensors, first) for t, part in enumerate(tensor.parts)
    }
    return {key: codewords for key, codewords in found.items() if codewords is not None}


def all_matrices(tensors: Sequence[TensorSource], codebooks: Codebooks | None = None) -> list[StoredContent]:
    """What all parts store, in the order in which every section holds it."""
    return [matrix for tensor in tensors for part in tensor.parts for matrix in part.stored(codebooks)]


def choose_sets(
    tensors: Sequence[TensorSource], known: KnownSets | None = None, first: int = 0
) -> dict[TermKey, ToldSet]:
    """How every set is told, in their order. ValueError for members that are no set.

    known : sets of earlier entries, which these may name; first : number of the first of these entries
    """
    chooser, told = SetChooser(), {}
    for key, (universe, members) in (known or {}).items():
        chooser.remember(members, universe, key)
    for i, tensor in enumerate(tensors, first):
        shape = matrix_shape(tensor.shape)
        steps = next((part.step_exponents for part in tensor.parts if part.step_exponents is not None), None)
        for t, part in enumerate(tensor.parts):
            selection = part.selection(shape)
            if selection is not None:
                exponents = None if steps is None or selection.axis is None else steps[selection.axis]
                told[i, t] = chooser.choose(selection.members, selection.universe, exponents, (i, t))
    return told


def entry_of(tensor: TensorSource, index: int, sets: Mapping[TermKey, ToldSet], codebooks: Codebooks) -> TensorEntry:
    """The directory's entry for tensor number `index`.

    sets, codebooks : as `choose_sets` and `own_codebooks` give them, of this tensor and of those that it may name
    """
    told = [sets[index, t].record if (index, t) in sets else None for t in range(len(tensor.parts))]
    terms = tuple(part.record(how, codebooks) for part, how in zip(tensor.parts, told, strict=True))
    return TensorEntry(tensor.name, tuple(tensor.shape), tensor.dtype, terms)

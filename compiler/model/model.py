"""A model as the compiler sees it: a program, the tensors it names, and the architecture both were made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...display import ShownByFacts
from ...format.identity import document_digest
from ...format.program.program import Program


@dataclass(frozen=True, slots=True, eq=False)
class ModelTensor:
    """One weight.

    name : str               as in the checkpoint
    values : float32 array   C-contiguous, finite
    dtype : str              type in the checkpoint: "float32", "float16" or "bfloat16"
    """

    name: str
    values: np.ndarray
    dtype: str


@dataclass(frozen=True, slots=True, repr=False)
class Reading(ShownByFacts):
    """What a model was built from, and what was taken for granted: every command that builds one says it.

    assumed : mapping        hyperparameters that nothing told, with the values that were taken
    told : mapping of str    who told the others: "shapes", "architecture" (the caller), or the file, in words
    notes : tuple of str     what reading the checkpoint decoded, chose or left out, in words
    weights : str            the set of weights that was read; empty where the file has one without a name
    """

    assumed: Mapping[str, object] = field(default_factory=dict)
    told: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weights: str = ""

    def shown_facts(self) -> Mapping[str, str]:
        """What was assumed first; then who told the rest."""
        sources = dict.fromkeys(self.told.values())
        told = {f"told by {s}": ", ".join(name for name, who in self.told.items() if who == s) for s in sources}
        assumed = ", ".join(f"{name} {value}" for name, value in self.assumed.items())
        return {
            "assumed": assumed or "nothing",
            **told,
            **({"weights": self.weights} if self.weights else {}),
            **({"notes": "; ".join(self.notes)} if self.notes else {}),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A program with its weights.

    program : Program
    tensors : tuple of ModelTensor    in the order in which the program first names them
    architecture : mapping            every hyperparameter used, JSON values; rebuilds the same program
        from the checkpoint
    defaults : tuple of str           hyperparameters that were assumed, since nobody told them
    told : mapping of str             who told the others: "shapes" or "names" (of tensors), "architecture" (the
        caller), or the file, in words
    configuration : mapping           of the Hugging Face config.json that it was read with, what an export
        needs; empty without one
    notes : tuple of str              what reading the checkpoint decoded, chose or left out, in words
    weights : str                     the set of weights that was read; empty where the file has one without a name
    document : mapping or None        the architecture document, as read: the caller's, else the one beside the weights
    """

    program: Program
    tensors: tuple[ModelTensor, ...]
    architecture: Mapping[str, object]
    defaults: tuple[str, ...]
    told: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    weights: str = ""
    document: Mapping[str, object] | None = None

    @property
    def assumed(self) -> dict[str, object]:
        """The assumed hyperparameters with their values."""
        return {name: self.architecture.get(name) for name in self.defaults}

    @property
    def document_digest(self) -> bytes | None:
        """Of the architecture document; None without one, and where its values are not JSON's (a date of TOML)."""
        try:
            return None if self.document is None else document_digest(self.document)
        except ValueError:
            return None

    @property
    def reading(self) -> Reading:
        """What was assumed, told, chosen and left out."""
        return Reading(self.assumed, dict(self.told), self.notes, self.weights)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(tensor.values.size for tensor in self.tensors)

"""What every quantization of a model shares: the model, what is known of it, and how it is to be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..format.assembly import DEFAULT_CODEC
from ..format.identity import UNKNOWN, Identity
from .model.model import Model
from .model.structure import embedding_tables
from .recipe import Recipe
from .resume.work_folder import FORGETFUL, Memory
from .statistics.calibration import Statistics


@dataclass(frozen=True, slots=True)
class CompileJob:
    """A calibrated model, rewritten as it will be stored, and the options of its compile.

    text : int64 calibration tokens; held_out : int64[n, length] sequences that are not among them
    provenance : JSON-able, stored in the artifact; codec : wire id of the integer codec
    identity : stored, too: of the files that the model belongs to
    threads : how many work; no result depends on it
    memory : of a run before of the same job
    """

    model: Model
    statistics: Statistics
    text: np.ndarray
    held_out: np.ndarray
    recipe: Recipe
    provenance: Mapping[str, object]
    codec: int = DEFAULT_CODEC
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    identity: Identity = UNKNOWN
    memory: Memory = FORGETFUL

    @property
    def weights(self) -> int:
        """Number of weights of the whole model."""
        return sum(tensor.values.size for tensor in self.model.tensors)

    def first_held_out(self, tokens: int) -> np.ndarray:
        """int64[n, length]: the first of the held-out sequences, as many as so many tokens begin, or all of them."""
        return self.held_out[: -(-tokens // self.model.program.sequence_length)]

    @property
    def walked(self) -> list[int]:
        """Matrices that a sequential walk quantizes: all but the tables that embed, which have no inputs to drift."""
        tables = embedding_tables(self.model.program)
        return [i for i in self.statistics.matrices if i not in tables]

"""Units of a job's matrices: what kinds of representation are fitted to."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...format.tensors.grid import matrix_shape
from ..job import CompileJob
from ..model.structure import embedding_tables, find_head
from ..quantize.grids import GridQuantizer
from ..statistics.large_errors import bounded_fisher
from ..statistics.matrix_statistics import MatrixStatistics
from .kinds.unit import Unit


class Units:
    """Makes units, at any byte price and for any target."""

    def __init__(self, job: CompileJob) -> None:
        self.job = job
        self.quantizer = GridQuantizer(job.recipe.quantization)
        self._tables = embedding_tables(job.model.program)

    def unit(
        self,
        index: int,
        byte_price: float,
        earlier: Mapping[int, np.ndarray],
        target: np.ndarray | None = None,
        statistics: MatrixStatistics | None = None,
    ) -> Unit:
        """The unit of a matrix: its own weights and statistics unless others are given.

        earlier : float32 weights by tensor index of the tensors that it may be an alias of
        """
        values = self.job.model.tensors[index].values if target is None else target
        return Unit(
            values.reshape(matrix_shape(values.shape)),
            statistics or self.job.statistics.matrices[index],
            self.quantizer,
            byte_price,
            self.job.codec,
            earlier,
        )

    def bounded_statistics(self, index: int, byte_price: float) -> MatrixStatistics | None:
        """Statistics of a table by which steps at a byte price bound what large errors of rare tokens' logits cost;
        None of a tensor that makes no logits.
        """
        job, head = self.job, find_head(self.job.model.program)
        if head is None or job.statistics.head_fisher is None:
            return None
        if job.model.program.instructions[head].weight != index:
            return None
        measured, logits = job.statistics.matrices[index], job.statistics.head_fisher
        more = bounded_fisher(logits, measured.hessian.shape[0], byte_price) - logits
        return MatrixStatistics(measured.hessian, measured.row_fisher + more)

    def earlier(self, index: int, weights: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
        """Of these weights, those that a matrix may be an alias of: earlier tensors of its shape.

        A table names tables only, which walks leave alone.
        """
        tensors = self.job.model.tensors
        sources = self._tables if index in self._tables else self.job.statistics.matrices
        shape = tensors[index].values.shape
        return {i: w for i, w in weights.items() if i < index and i in sources and tensors[i].values.shape == shape}

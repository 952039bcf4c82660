"""The second-order model of matrices, and a table of it that a scratch file may hold.

Strategy: what calibration measured of a matrix is made or read when it is asked for, so that no more of a model's
second moments is in memory than is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ..scratch_file import ScratchFile


@dataclass(frozen=True, slots=True)
class MatrixStatistics:
    """Second-order model of one matrix, per token.

    hessian : float64[columns, columns]   H, symmetric positive semi-definite
    row_fisher : float64[rows]                 g, in nats per squared output unit
    output_fisher : float32[rows, rows] or None    G = E[δ δᵀ], whose diagonal is g; None where only that is measured
    excess : float64[columns, columns] or None    of H, what outlying tokens weigh more (outlying_tokens.py)
    """

    hessian: np.ndarray
    row_fisher: np.ndarray
    output_fisher: np.ndarray | None = None
    excess: np.ndarray | None = None

    def with_columns(self, columns: np.ndarray) -> MatrixStatistics:
        """The same of a matrix with its columns in another order, int64[columns]."""
        at = np.ix_(columns, columns)
        excess = None if self.excess is None else np.ascontiguousarray(self.excess[at])
        return replace(self, hessian=np.ascontiguousarray(self.hessian[at]), excess=excess)


class MatrixTable(Mapping[int, MatrixStatistics]):
    """Statistics by tensor index that are computed or read when they are asked for; copies share what is not replaced.

    find : what gives those that were not replaced; scratch : where replaced ones are kept, in memory without it
    """

    def __init__(
        self, indexes: Sequence[int], find: Callable[[int], MatrixStatistics], scratch: ScratchFile | None
    ) -> None:
        self._indexes, self._find, self._scratch = dict.fromkeys(indexes), find, scratch
        self._replaced: dict[int, Callable[[], MatrixStatistics]] = {}

    def __getitem__(self, tensor: int) -> MatrixStatistics:
        if tensor in self._replaced:
            return self._replaced[tensor]()
        if tensor not in self._indexes:
            raise KeyError(tensor)
        return self._find(tensor)

    def __setitem__(self, tensor: int, value: MatrixStatistics) -> None:
        self._indexes[tensor] = None
        self._replaced[tensor] = _put_aside(value, self._scratch)

    def __iter__(self) -> Iterator[int]:
        return iter(self._indexes)

    def __len__(self) -> int:
        return len(self._indexes)

    def __contains__(self, tensor: object) -> bool:
        return tensor in self._indexes

    def __copy__(self) -> MatrixTable:
        other = MatrixTable(list(self._indexes), self._find, self._scratch)
        other._replaced = dict(self._replaced)
        return other


def _put_aside(value: MatrixStatistics, scratch: ScratchFile | None) -> Callable[[], MatrixStatistics]:
    """What gives the statistics back."""
    if scratch is None:
        return lambda: value
    arrays = {field.name: getattr(value, field.name) for field in fields(value)}
    kept = {name: scratch.keep(array) for name, array in arrays.items() if array is not None}
    return lambda: MatrixStatistics(**{name: array.load() for name, array in kept.items()})

"""The matrices of a model as a menu's choices and, where nothing was chosen, as plain grids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from ..quantize.grids import PlainGrids
from ..quantize.representation import FitAt, Quantized
from ..statistics.matrix_statistics import MatrixStatistics
from ..workers import run_jobs
from .allocation import aliases_of
from .offers import ALIAS, Offer
from .units import Units


class ChosenRepresentations:
    """Choices that are fitted again at every byte price and to every target; implements `Representations`.

    choices : by tensor index, of the matrices that are not plain grids and of those that others are aliases of
    """

    def __init__(self, plain: PlainGrids, units: Units, choices: Mapping[int, Offer]) -> None:
        self.plain, self.units, self.choices = plain, units, choices

    @property
    def description(self) -> str:
        """The choices in words, which tell trials with them from others."""
        rows = [
            (i, offer.kind, offer.octaves, *offer.setting.values(), *(["bounded"] if offer.bounded else []))
            for i, offer in sorted(self.choices.items())
        ]
        return repr(rows)

    def fit_all(self, byte_price: float) -> Mapping[int, Quantized]:
        """All matrices at a byte price, by tensor index."""
        return self.fit(byte_price, self.units.job.statistics.matrices)

    def fit(self, byte_price: float, indexes: Collection[int]) -> Mapping[int, Quantized]:
        """Plain grids first, then what was chosen for other matrices; those that name an earlier tensor last and in
        order.
        """
        results: dict[int, Quantized] = dict(self.plain.fit(byte_price, set(indexes) - self.choices.keys()))
        chosen = [i for i in self.choices if i in indexes]
        alone = [i for i in chosen if not self.takes_values(i)]
        fitted = run_jobs(lambda i: self._fit(i, byte_price, {}), alone, self.units.job.threads)
        results |= dict(zip(alone, fitted, strict=True))
        for index in sorted(i for i in chosen if i not in results):
            earlier = self.units.earlier(index, {i: q.weights for i, q in results.items()})
            results[index] = self._fit(index, byte_price, earlier)
        return results

    def prepare(
        self, index: int, target: np.ndarray, statistics: MatrixStatistics, decided: Mapping[int, np.ndarray]
    ) -> FitAt:
        """One matrix of a walk, of the kind that was chosen for it."""
        if index not in self.choices:
            return self.plain.prepare(index, target, statistics, decided)
        earlier = self.units.earlier(index, decided)
        wanted = target if self.choices[index].fits_target else None
        return lambda byte_price: self._fit(index, byte_price, earlier, wanted, statistics)

    def takes_values(self, index: int) -> bool:
        """Whether a matrix takes values of an earlier one."""
        return index in self.choices and self.choices[index].kind == ALIAS

    def follows_price(self, index: int) -> bool:
        """Whether the bytes of a matrix move with the byte price."""
        return index not in self.choices or self.choices[index].follows_price

    def _fit(
        self,
        index: int,
        byte_price: float,
        earlier: Mapping[int, np.ndarray],
        target: np.ndarray | None = None,
        statistics: MatrixStatistics | None = None,
    ) -> Quantized:
        """A matrix as it was chosen. One that others are aliases of is fitted to the statistics of all its uses."""
        own_price = byte_price * 2.0 ** self.choices[index].octaves
        if self.choices[index].bounded:
            statistics = self.units.bounded_statistics(index, own_price)
        unit = self.units.unit(index, own_price, earlier, target, statistics)
        uses = aliases_of(index, self.choices)
        if not uses:
            return self.choices[index].fit(unit)
        measured = [unit.statistics, *(self.units.job.statistics.matrices[i] for i in uses)]
        found = self.choices[index].fit(replace(unit, statistics=_of_all_uses(measured), prepared=None))
        return replace(found, predicted_loss=unit.loss(found.weights))


def _of_all_uses(measured: list[MatrixStatistics]) -> MatrixStatistics:
    """Statistics of a matrix that stands in several places: the mean Hessian, the sum of the Fisher information."""
    outputs = [each.output_fisher for each in measured]
    return MatrixStatistics(
        sum(each.hessian for each in measured) / len(measured),
        sum(each.row_fisher for each in measured),
        None if any(each is None for each in outputs) else sum(outputs),
    )

"""What storing numbers as a grid will about cost at the byte price, before any is encoded: how kinds
choose and drop settings.

Strategy: at the price p a grid's squared error in units of sensitivity is D = p²/12, and by reverse
water filling (Cover and Thomas, Elements of Information Theory, theorem 10.3.3) a weight whose own
square is u D there costs about D/2 u / (1 + u) in loss and 1/2 log2(1 + u) bits; a bit more quarters
D/2, so it is worth D ln 2 nats. The weights are those the quantizer sees, W L.
"""

from __future__ import annotations

import numpy as np

from .unit import Unit


def coded_costs(
    unit: Unit, values: np.ndarray, factor: np.ndarray | None = None, weights: np.ndarray | None = None
) -> np.ndarray:
    """float64 of the shape of `values`: nats a token of the loss and the bits of each number.

    values : float64[rows, columns]; factor : L of their moment, the unit's unless given; weights :
        float64[rows] square roots of the Fisher information of the rows, the unit's unless given
    """
    roots = np.sqrt(unit.row_fisher) if weights is None else weights
    return weighted_costs(unit, roots[:, None] * (values @ (unit.factor if factor is None else factor)))


def weighted_costs(unit: Unit, weighted: np.ndarray) -> np.ndarray:
    """float64 of the shape of `weighted`: nats a token of numbers that are G^1/2 W L already."""
    shares = np.square(weighted) / unit.distortion
    return 0.5 * unit.distortion * (shares / (1 + shares) + np.log1p(shares))


def coded_cost(
    unit: Unit, values: np.ndarray, factor: np.ndarray | None = None, weights: np.ndarray | None = None
) -> float:
    """The sum of `coded_costs`."""
    return float(coded_costs(unit, values, factor, weights).sum())

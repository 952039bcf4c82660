"""`python -m benchmarks.gaussian`: distance to the rate-distortion bound on independent Gaussian
weights, through the real coder.

Strategy: a matrix with white inputs and equal Fisher information of all rows, quantized and coded as in
a compile; the bound at the distortion that was reached is log2(variance / distortion) / 2. Everything
is counted: codes, final state, adaptation. With the step as it is, and with the step that fits the
integers best (`base-fit`).
"""

from __future__ import annotations

import math

import numpy as np

from bytecap.compiler.quantize.gptq import quantize_matrix
from bytecap.compiler.quantize.grid_matrix import prepare_matrix
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.format.assembly import encode_grid_stream

ROWS, COLUMNS = 512, 1024
PRICES = (0.12, 0.25, 0.5, 1.0)  # in standard deviations
CODECS = {1: "scale-classes", 2: "mixing"}


def distances(weights: np.ndarray, byte_price: float, states: int, base_fit: float) -> tuple[float, dict[str, float]]:
    """Bound in bits a weight, and the bits above it by codec."""
    statistics = MatrixStatistics(np.eye(COLUMNS), np.ones(ROWS))
    prepared = prepare_matrix(weights, statistics, resolution=0, damping=1e-9, fisher_floor=0.0)
    found = quantize_matrix(prepared, byte_price, trellis_states=states, rate_weight=0.05, base_fit=base_fit)
    distortion = float(np.mean(np.square(found.weights - weights, dtype=np.float64)))
    bound = 0.5 * math.log2(float(np.mean(np.square(weights, dtype=np.float64))) / distortion)
    sizes = {name: 8 * len(encode_grid_stream([found.grid], codec)) / weights.size for codec, name in CODECS.items()}
    return bound, {name: size - bound for name, size in sizes.items()}


def main() -> None:
    weights = np.random.default_rng(0).standard_normal((ROWS, COLUMNS)).astype(np.float32)
    for states in (0, 8, 64):
        for price in PRICES:
            for base_fit in (0.0, 1.0):
                bound, above = distances(weights, price, states, base_fit)
                text = ", ".join(f"{name} +{bits:.3f}" for name, bits in above.items())
                print(
                    f"{states or 'no':>2} states  base fit {base_fit:.0f}  bound {bound:.3f} bits a "
                    f"weight  coded {text}",
                    flush=True,
                )


if __name__ == "__main__":
    main()

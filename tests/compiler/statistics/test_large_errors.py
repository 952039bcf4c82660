"""Fisher information by which large errors of rare tokens' logits are as dear as they are."""

from __future__ import annotations

import numpy as np

from bytecap.compiler.statistics.large_errors import bounded_fisher, lambert


def test_lambert_is_the_inverse_of_w_exp_w() -> None:
    wanted = np.concatenate([np.geomspace(1e-12, 1, 40), np.linspace(1, 60, 40)])
    assert np.allclose(lambert(wanted * np.exp(wanted)), wanted, rtol=1e-12, atol=0)


def test_common_tokens_keep_their_fisher_information_and_rare_ones_have_steps_of_equal_marginal_return() -> None:
    fisher, columns, price = np.array([1e-2, 1e-5, 1e-8, 1e-12]), 64, 1e-3
    found, budget = bounded_fisher(fisher, columns, price), columns * price**2 / 12
    variances = budget / found  # of the logit's error on steps of these rows
    assert np.allclose(fisher * variances * np.exp(variances / 2), budget)
    assert np.allclose(found[0], fisher[0], rtol=1e-3) and (np.diff(found) < 0).all()
    assert variances.max() < 30 < budget / fisher[-1]


def test_nothing_is_ever_weighed_less_and_a_token_that_is_never_predicted_is_finite() -> None:
    fisher = np.array([0.0, 1e-30, 1.0])
    found = bounded_fisher(fisher, 8, 1e-4)
    assert (found >= fisher).all() and np.isfinite(found).all() and found[0] > 1e-12

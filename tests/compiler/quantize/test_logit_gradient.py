"""The gradient in one pass is the one that torch derives from the divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler.quantize.distillation import Distiller
from bytecap.compiler.quantize.logit_gradient import cap_behind_head, logit_gradients


@pytest.mark.parametrize("cap", [0.0, 4.0])
def test_it_is_the_gradient_of_the_divergence(cap: float) -> None:
    random = np.random.default_rng(1)
    student, teacher = (random.normal(size=(7, 50)).astype(np.float32) * 5 for _ in range(2))
    found = np.full((7, 50), np.nan, np.float32)
    logit_gradients(student, teacher, np.float32(cap), np.float32(0.25), found)
    made, known = torch.from_numpy(student).double().requires_grad_(), torch.from_numpy(teacher).double()
    q, p = (cap * (z / cap).tanh() if cap else z for z in (made, known))
    divergence = (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum()
    (expected,) = torch.autograd.grad(0.25 * divergence, made)
    np.testing.assert_allclose(found, expected, atol=2e-7)


def test_tuning_takes_it_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same gradients with and without, up to rounding."""
    model, text = golf_model(5), random_sequences(24, 6, 16, seed=3)
    assert cap_behind_head(model.program) == 30.0
    tensors = {i: torch.from_numpy(t.values * np.float32(1.1)) for i, t in enumerate(model.tensors)}
    wanted = [i for i, t in enumerate(model.tensors) if t.values.ndim == 2 and i > 0]
    short, plain = (Distiller(model, text, text, 6, 0, 1, half=True) for _ in range(2))
    plain._cap = None
    found, expected = (judge._gradients(tensors, wanted) for judge in (short, plain))
    for i in wanted:
        assert float((sum(found[i]) - sum(expected[i])).norm()) < 0.01 * float(sum(expected[i]).norm())

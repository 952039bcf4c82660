"""The gradient in one pass is the one that torch derives from the divergence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler.model.logit_parts import next_tokens
from bytecap.compiler.quantize.distillation import Distiller
from bytecap.compiler.quantize.logit_gradient import cap_behind_head, excess_loss, logit_gradients


@pytest.mark.parametrize("labels", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("cap", [0.0, 4.0])
def test_it_is_the_gradient_of_the_loss(cap: float, labels: float) -> None:
    """Of the divergence, and of what the text itself says, which the teacher's own loss is taken from."""
    random = np.random.default_rng(1)
    student, teacher = (random.normal(size=(7, 50)).astype(np.float32) * 5 for _ in range(2))
    following = np.array([3, -1, 49, 0, 3, 7, -1])
    found = np.full((7, 50), np.nan, np.float32)
    logit_gradients(student, teacher, following, np.float32(labels), np.float32(cap), np.float32(0.25), found)
    made, known = torch.from_numpy(student).double().requires_grad_(), torch.from_numpy(teacher).double()
    q, p = (cap * (z / cap).tanh() if cap else z for z in (made, known))
    loss = (p.softmax(-1) * (p.log_softmax(-1) - q.log_softmax(-1))).sum(-1)
    said = torch.stack([_excess(p, q, k, t) for k, t in enumerate(following)])
    share = torch.tensor([0.0 if t < 0 else labels for t in following], dtype=torch.float64)
    total = ((1 - share) * loss + share * said).sum()
    (expected,) = torch.autograd.grad(0.25 * total, made)
    np.testing.assert_allclose(found, expected, atol=2e-7)
    held = [z.detach()[None].log_softmax(-1) for z in (p, q)]
    known = excess_loss(*held, torch.from_numpy(following)[None], labels)
    assert float(known) == pytest.approx(total.item(), rel=1e-9)


def _excess(p: torch.Tensor, q: torch.Tensor, position: int, token: int) -> torch.Tensor:
    """Nats by which a student loses to its teacher at one token."""
    return p[position].log_softmax(-1)[token] - q[position].log_softmax(-1)[token]


def test_the_next_token_is_known_but_for_the_last() -> None:
    assert next_tokens(torch.tensor([[1, 2, 3], [4, 5, 6]])).tolist() == [[2, 3, -1], [5, 6, -1]]


@pytest.mark.parametrize("labels", [0.0, 0.3])
def test_tuning_takes_it_where_it_can(labels: float) -> None:
    """The same gradients with and without, up to rounding."""
    model, text = golf_model(5), random_sequences(24, 6, 16, seed=3)
    assert cap_behind_head(model.program) == 30.0
    tensors = {i: torch.from_numpy(t.values * np.float32(1.1)) for i, t in enumerate(model.tensors)}
    wanted = [i for i, t in enumerate(model.tensors) if t.values.ndim == 2 and i > 0]
    short, plain = (Distiller(model, text, text, 6, 0, 1, half=True, labels=labels) for _ in range(2))
    plain._cap = None
    found, expected = (judge._gradients(tensors, wanted) for judge in (short, plain))
    for i in wanted:
        assert float((sum(found[i]) - sum(expected[i])).norm()) < 0.01 * float(sum(expected[i]).norm())

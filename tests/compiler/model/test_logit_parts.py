"""A pass that is finished and gone back in parts has the gradients of a whole one, and logits fit the allocator."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler import allocator
from bytecap.compiler.model import logit_parts
from bytecap.compiler.model.logit_parts import before_logits, gradients_in_parts, in_parts, reads_logits
from bytecap.compiler.model.torch_executor import Forward, TorchExecutor

# in a process of its own, since other tests may load it
PROGRAM = """
import sys
import torch
from bytecap.compiler.model.logit_parts import _KnownGradient
leaf = torch.ones(3, requires_grad=True)
assert torch.autograd.grad(_KnownGradient.apply(2 * leaf, torch.arange(3.0)), leaf)[0].tolist() == [0, 2, 4]
print("sympy" in sys.modules)
"""


@pytest.mark.parametrize("positions", [1, 5, 1000])
def test_gradients_of_parts_are_those_of_the_whole(positions: int, monkeypatch) -> None:
    model = golf_model(5)
    tokens = torch.from_numpy(random_sequences(model.program.vocabulary_size, 3, 8, seed=1))
    leaves = {i: torch.from_numpy(t.values.copy()).requires_grad_() for i, t in enumerate(model.tensors)}
    whole = Forward(TorchExecutor(model.program, leaves), tokens).finish().square().sum()
    expected = torch.autograd.grad(whole, [*leaves.values()])
    monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * model.program.vocabulary_size)
    monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    forward = Forward(TorchExecutor(model.program, leaves), tokens)
    forward.advance_to(before_logits(model.program)[0])
    assert len(in_parts(forward)) == -(-tokens.numel() // positions)
    behind = {i: leaves[i] for i in sorted(reads_logits(model.program))}

    def loss(rest: Forward, number: int) -> logit_parts.Loss:
        logits = rest.finish()
        return logits, 2 * logits.detach()

    found = gradients_in_parts(forward, [*leaves.values()], behind, loss)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_gradients_of_what_is_known_load_no_library_of_symbols() -> None:
    run = subprocess.run([sys.executable, "-P", "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_logits_of_a_part_are_in_blocks_that_the_allocator_keeps() -> None:
    assert 4 * logit_parts.LOGIT_FLOATS < dict(allocator.KEPT)[allocator.MMAP_THRESHOLD]

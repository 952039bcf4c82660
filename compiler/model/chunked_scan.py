"""Scans in torch: some positions at once, and gradients from the states between such chunks.

Strategy: what a chunk gives and leaves behind follows from the state before it. The forward pass keeps those states and
the registers, and no more; the backward pass computes each chunk once more and differentiates it, from the last to the
first. Where a head has one rate, a chunk is a product as in attention, with decays in place of a softmax; where each
element of the state has its own, it is a loop over the positions. By the delta rule, what a position takes in depends
on what those before it took in: a triangular system, solved first (Yang et al. 2024, arXiv 2412.06464).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

CHUNK = 64  # positions of a product
STEPS = 16  # of a loop, whose states shall stay in cache

Chunk = Callable[..., tuple[Tensor, Tensor]]  # (state, x, steps, ..., log_rates) -> (outputs, state)


class Scan(torch.autograd.Function):
    """x [batch, length, groups, heads, width], steps, and strengths of the delta rule, [batch, length, groups, heads],
    write and read [batch, length, groups, n], log-rates [groups, heads] or [groups, heads, n]: outputs as x, see
    spec/program.md.
    """

    @staticmethod
    def forward(ctx, log_rates: Tensor, x: Tensor, *registers: Tensor) -> Tensor:
        states, outputs = [x.new_zeros(x.shape[0], *x.shape[2:], registers[-1].shape[-1])], []
        for chunk in chunks_of(log_rates, x, *registers):
            output, state = chunk_of(log_rates, chunk)(states[-1], *chunk, log_rates)
            outputs.append(output)
            states.append(state)
        ctx.count = 1 + len(registers)
        ctx.save_for_backward(log_rates, x, *registers, *states[:-1])
        return torch.cat(outputs, 1) if outputs else torch.empty_like(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        log_rates, *saved = ctx.saved_tensors
        chunks, states = chunks_of(log_rates, *saved[: ctx.count]), saved[ctx.count :]
        of_state, of_rates = torch.zeros_like(states[-1]), torch.zeros_like(log_rates)
        found: list[tuple[Tensor, ...]] = []
        for chunk, state, part in zip(
            reversed(chunks), reversed(states), reversed(gradient.split(positions(log_rates), 1)), strict=True
        ):
            inputs = [each.detach().requires_grad_() for each in (state, *chunk, log_rates)]
            with torch.enable_grad():
                outputs = chunk_of(log_rates, chunk)(*inputs)
            of_state, *of_chunk, rates = torch.autograd.grad(outputs, inputs, (part, of_state))
            of_rates += rates
            found.append(tuple(of_chunk))
        return of_rates, *(torch.cat(parts[::-1], 1) for parts in zip(*found, strict=True))


def chunks_of(log_rates: Tensor, *registers: Tensor) -> list[tuple[Tensor, ...]]:
    """Registers [batch, length, ...], some positions of all of them at a time."""
    return list(zip(*(register.split(positions(log_rates), 1) for register in registers), strict=True))


def positions(log_rates: Tensor) -> int:
    """Of a chunk."""
    return CHUNK if log_rates.dim() == 2 else STEPS


def chunk_of(log_rates: Tensor, registers: tuple[Tensor, ...]) -> Chunk:
    """How a chunk is computed."""
    if len(registers) == 5:  # x, steps, strengths, write, read
        return chunk_by_delta_rule
    return chunk_by_products if log_rates.dim() == 2 else chunk_by_steps


def chunk_by_products(
    state: Tensor, x: Tensor, steps: Tensor, write: Tensor, read: Tensor, log_rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs and the state behind them, of heads with one rate each; state : [batch, groups, heads, width, n]."""
    steps, write, read = by_head(steps), by_group(write), by_group(read)
    decays, whole = decays_of(steps, log_rates)
    taken = (x.permute(0, 2, 3, 1, 4) * steps.unsqueeze(-1)).contiguous()
    return taken_in(state, taken, write, read, decays, whole)


def chunk_by_delta_rule(
    state: Tensor, x: Tensor, steps: Tensor, strengths: Tensor, write: Tensor, read: Tensor, log_rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Likewise, where a position takes in what x has beyond what the state holds for `write`."""
    strengths, write, read = by_head(strengths).unsqueeze(-1), by_group(write), by_group(read)
    decays, whole = decays_of(by_head(steps), log_rates)
    beyond = strengths * (x.permute(0, 2, 3, 1, 4) - (write @ state.mT) * whole.exp().unsqueeze(-1))
    # by its strength a position takes in less of what those before it in the chunk have left; only what is below the
    # diagonal counts
    system = strengths * (write @ write.mT) * decays
    taken = torch.linalg.solve_triangular(system, beyond, upper=False, unitriangular=True)
    return taken_in(state, taken, write, read, decays, whole)


def by_head(register: Tensor) -> Tensor:
    """[batch, length, groups, heads] as [batch, groups, heads, length]."""
    return register.permute(0, 2, 3, 1)


def by_group(register: Tensor) -> Tensor:
    """[batch, length, groups, n] as [batch, groups, 1, length, n]."""
    return register.transpose(1, 2).unsqueeze(2)


def decays_of(steps: Tensor, log_rates: Tensor) -> tuple[Tensor, Tensor]:
    """What is left at a position of what an earlier one took in, 0 of later ones, [batch, groups, heads, length,
    length]; and the logarithm of what is left of the state before the chunk, [batch, groups, heads, length].
    """
    length, exponents = steps.shape[-1], -steps * log_rates.exp().unsqueeze(-1)
    pairs = torch.ones(length, length, dtype=torch.bool, device=steps.device)  # by position, then by one before it
    # summed from each position on, and not as a difference of sums from the first, which would round
    passed = exponents.unsqueeze(-1).expand(-1, -1, -1, -1, length).masked_fill(pairs.triu(), 0).cumsum(-2)
    return passed.masked_fill(pairs.triu(1), -torch.inf).exp(), exponents.cumsum(-1)


def taken_in(
    state: Tensor, taken: Tensor, write: Tensor, read: Tensor, decays: Tensor, whole: Tensor
) -> tuple[Tensor, Tensor]:
    """Outputs and the state behind them; taken : what each position takes in, [batch, groups, heads, length, width]."""
    output = ((read @ write.mT) * decays) @ taken + (read @ state.mT) * whole.exp().unsqueeze(-1)
    left = (taken * decays[..., -1, :, None]).mT @ write
    return output.permute(0, 3, 1, 2, 4), state * whole[..., -1].exp()[..., None, None] + left


def chunk_by_steps(
    state: Tensor, x: Tensor, steps: Tensor, write: Tensor, read: Tensor, log_rates: Tensor
) -> tuple[Tensor, Tensor]:
    """Likewise of heads with a rate for each element of the state."""
    decays = (-steps.unsqueeze(-1) * log_rates.exp()).exp().unsqueeze(-2)
    taken = (x * steps.unsqueeze(-1)).unsqueeze(-1) * write[:, :, :, None, None]
    states = Recurrence.apply(state, decays, taken)
    # the last by itself: a view would keep all of them for as long as it is kept
    return torch.einsum("btghcn,btgn->btghc", states, read), states[:, -1].clone()


class Recurrence(torch.autograd.Function):
    """The states [batch, length, ...], each the one before times its decay plus what is taken in."""

    @staticmethod
    def forward(ctx, state: Tensor, decays: Tensor, taken: Tensor) -> Tensor:
        states = torch.empty_like(taken)
        before = state
        for t in range(taken.shape[1]):
            before = torch.addcmul(taken[:, t], decays[:, t], before, out=states[:, t])
        ctx.save_for_backward(state, decays, states)
        return states

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        state, decays, states = ctx.saved_tensors
        whole = gradient.clone()  # by way of all later states, too
        for t in range(whole.shape[1] - 1, 0, -1):
            whole[:, t - 1].addcmul_(decays[:, t], whole[:, t])
        before = torch.cat((state.unsqueeze(1), states[:, :-1]), 1)
        return decays[:, 0] * whole[:, 0], (whole * before).sum_to_size(decays.shape), whole


def scanned(log_rates: Tensor, x: Tensor, *registers: Tensor, heads: int, groups: int) -> Tensor:
    """x [batch, length, heads * width] through the state, with steps, and strengths of the delta rule, [batch, length,
    heads], write and read [batch, length, groups * n] and log-rates [heads] or [heads, n].
    """
    x = x.unflatten(-1, (groups, heads // groups, -1))
    of_groups = (each.unflatten(-1, (groups, -1)) for each in registers)
    return Scan.apply(log_rates.unflatten(0, (groups, -1)), x, *of_groups).flatten(-3)

"""What one batch of calibration text says of every tensor: a forward and a backward pass, measured on the way.

Strategy: second moments of inputs are taken as the registers are made, those of output gradients by hooks as the
backward pass comes by, and handed on at once, so that no more of them is held than one layer's. The gradients of the
logits are drawn at random, with the Fisher information of the model's own predictions as their second moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ...errors import CheckpointError
from ...format.program.operations import Embed, HashEmbed, Linear, PositionEmbed
from ...format.program.program import Program
from ..model.attention_heads import attended
from ..model.logit_parts import (
    Loss,
    before_logits,
    gradients_in_parts,
    next_tokens,
    positions_at_once,
    reads_logits,
    split_positions,
)
from ..model.pass_context import EXACT, Arithmetic
from ..model.structure import find_head
from ..model.torch_executor import Forward, TorchExecutor
from ..tile_products import are_rounded
from .fisher_kernels import add_variances, draw_gradients
from .outlying_tokens import without_excess
from .overflow_place import overflow_place
from .running_sums import RunningSums

Lookup = Embed | HashEmbed | PositionEmbed
MOMENT_PART = 1024  # rows of a second moment that are made at once


def second_moment(x: Tensor) -> Tensor:
    """float32[width, width] sum over all positions of x xᵀ, for activations [..., width].

    A batch is short enough for that. Numpy's product with itself is made one half only, which torch's is not.
    """
    x = x.flatten(0, -2)
    if x.device.type != "cpu":
        return x.T @ x
    values = x.numpy()
    return torch.from_numpy(values.T @ values)


def lower_moment(x: Tensor) -> Tensor:
    """The same of x with itself, of which the lower half counts: where products are rounded, which are torch's, no more
    is made than a part of rows needs.
    """
    if not are_rounded():
        return second_moment(x)
    x = x.flatten(0, -2)
    width = x.shape[1]
    total = torch.empty(width, width)
    for start in range(0, width, MOMENT_PART):
        stop = min(width, start + MOMENT_PART)
        total[start:stop, :stop] = x[:, start:stop].T @ x[:, :stop]
    return total


class MeasuredProgram:
    """What is measured of a program, and under which names.

    The sums of `RunningSums`, per kind:
    inputs : by register, second moment of the input of all weights that are used once and read it
    moments, output_fisher : by weight, of inputs (of weights used several times) and of output gradients
    excess : by weight of `attended`, what the inputs of outlying tokens weigh more
    fisher, means : by weight of the head, exact Fisher of its outputs and sum of its inputs; fisher also by other
        weights, the diagonal of what would be their output_fisher
    lookup_fisher, lookup_moments : by table, of rows and of output gradients of lookups
    vectors : by tensor, squared gradients of everything else
    entropy, text : by 0, of the predictions; the loss of the text's own tokens in the first batch, its squares, and
        their number

    attended : instructions that make keys or values with a weight that is used once, and the registers that they read
    stop : the first instruction of the head; behind : places of what it and all that follows read among lookups and
        vectors, whose gradients are taken together
    """

    def __init__(
        self,
        program: Program,
        names: Sequence[str] = (),
        apart: Collection[int] = (),
        passed_over: Collection[int] = (),
    ) -> None:
        """names : of the tensors, for errors;  apart : weights of whose outputs each is measured by itself
        passed_over : weights of linear maps that are not measured
        """
        self.program, self.head, self.names, self.apart = program, find_head(program), names, frozenset(apart)
        linear = {k: op for k, op in enumerate(program.instructions) if isinstance(op, Linear)}
        self.linear = {k: op for k, op in linear.items() if op.weight not in passed_over}
        self.lookups = {k: op for k, op in enumerate(program.instructions) if isinstance(op, Lookup)}
        self.uses = Counter(op.weight for op in self.linear.values())
        self.sources = {op.x for op in self.linear.values()}
        self.input_of = {op.weight: op.x for op in self.linear.values() if self.uses[op.weight] == 1}
        once = {k for k, op in self.linear.items() if op.weight in self.input_of}
        self.attended = {k: register for k, register in attended(program).items() if k in once}
        named = {t for op in program.instructions if not isinstance(op, Embed | PositionEmbed) for t in op.tensors}
        self.vectors = sorted(named - {op.weight for op in linear.values()})  # tables have sums of their own
        self.stop, _ = before_logits(program)
        read = reads_logits(program)
        self.behind = [len(self.lookups) + k for k, i in enumerate(self.vectors) if i in read]

    @property
    def matrices(self) -> list[int]:
        """The tensors that are measured as matrices: weights of linear maps, then tables that are only looked up."""
        return list(dict.fromkeys([*self.uses, *(op.table for op in self.lookups.values())]))

    def readers(self, register: int) -> list[tuple[int, Linear]]:
        """The linear instructions that read a register."""
        return [(k, op) for k, op in self.linear.items() if op.x == register]


@dataclass(slots=True)
class BatchPass:
    """One batch on its way.

    number : its place among the batches, in whose order `sums` adds up; arithmetic : of the passes through the model.
        Second moments are float32 whatever that is: a rounded one may have negative eigenvalues
    """

    measured: MeasuredProgram
    tensors: Mapping[int, Tensor]
    sums: RunningSums
    number: int
    arithmetic: Arithmetic = EXACT
    _parts: dict[tuple[str, int], dict[int, Tensor]] = field(default_factory=dict)  # of weights used several times
    _kept: dict[int, Tensor] = field(default_factory=dict)  # registers that gradients are taken at
    _attended: dict[int, Tensor] = field(default_factory=dict)  # registers that `attended` reads, [positions, width]

    def run(self, tokens: Tensor, generator: torch.Generator) -> None:
        """Measure the batch."""
        try:
            self._run(tokens, generator)
        finally:
            self._attended.clear()
            self._kept.clear()  # the hooks know this object: without it, the whole graph would outlive the batch

    def _run(self, tokens: Tensor, generator: torch.Generator) -> None:
        """Forward and backward; gradients are of sums over tokens that are drawn apart, so squares add up over them."""
        measured = self.measured
        leaves = {i: t.detach().requires_grad_(i in measured.vectors) for i, t in self.tensors.items()}
        forward = Forward(TorchExecutor(measured.program, leaves, arithmetic=self.arithmetic), tokens)
        forward.advance_to(measured.stop, self._register)
        wanted = [self._kept[k] for k in measured.lookups] + [leaves[i] for i in measured.vectors]
        fisher: list[Tensor] = []
        behind = {k: wanted[k] for k in measured.behind}
        gradients = gradients_in_parts(forward, wanted, behind, lambda *part: self._drawn(*part, fisher, generator))
        if fisher:
            self._add("fisher", measured.linear[measured.head].weight, measured.head, sum(fisher[1:], fisher[0]))
        for index, gradient in zip(measured.vectors, gradients[len(measured.lookups) :], strict=True):
            if gradient is not None:
                self.sums.add(self.number, ("vectors", index), gradient.double().square())
        for (index, op), gradient in zip(measured.lookups.items(), gradients, strict=False):
            self._add_lookups(index, op, tokens, gradient.flatten(0, 1))
        for name, parts in self._parts.items():
            self.sums.add(self.number, name, sum(parts[k] for k in sorted(parts)))

    def _drawn(self, rest: Forward, number: int, fisher: list[Tensor], generator: torch.Generator) -> Loss:
        """The logits of a part with the gradient that is drawn for them; the head's Fisher of the part is added to the
        others.
        """
        head = None if self.measured.head is None else rest.advance_behind(self.measured.head)
        logits = rest.finish()
        if not all(extreme.isfinite() for extreme in torch.aminmax(logits.detach())):
            raise CheckpointError(
                "the model's logits on the calibration text are not finite: "
                f"{overflow_place(rest.executor, rest.tokens, self.measured.names)}; the training run diverged, take "
                "an earlier checkpoint, or the architecture is another, tell it with --architecture"
            )
        predicted = logits.detach().cpu().softmax(-1).flatten(0, 1).contiguous()
        self._part("entropy", 0, number, torch.special.entr(predicted).sum(1).double().sum()[None])
        if self.number == 0:
            self._part("text", 0, number, _losses_of_text(rest, number, logits.detach().flatten(0, 1)))
        if head is not None:
            fisher.append(self._head_fisher(head, logits, predicted))
        draw_gradients(predicted.numpy(), _signs(predicted, generator))
        return logits, predicted.view_as(logits).to(logits.device)

    def _register(self, index: int, value: Tensor) -> Tensor:
        """Measure a register as the input of linear maps, and see to it that its gradient will be measured."""
        value = value if value.requires_grad else value.requires_grad_()
        measured = self.measured
        if index in measured.sources:
            self._add_inputs(index, value.detach())
        if index in measured.attended.values():
            self._attended[index] = value.detach().flatten(0, -2)
        if index in measured.lookups:
            self._kept[index] = value
        elif index in measured.linear:
            weight = measured.linear[index].weight

            def add_gradient(gradient: Tensor) -> None:
                gradient = gradient.flatten(0, 1)
                if index in measured.attended:
                    gradient = self._without_excess(index, gradient)
                if weight in measured.apart:
                    self._add("fisher", weight, index, gradient.double().square().sum(0))
                else:
                    self._add("output_fisher", weight, index, lower_moment(gradient))

            value.register_hook(add_gradient)
        return value

    def _without_excess(self, index: int, gradient: Tensor) -> Tensor:
        """The gradients of keys or values with none out of all proportion, for which inputs weigh more in exchange."""
        inputs = self._attended[self.measured.attended[index]]
        gradient, heavy = without_excess(gradient, inputs)
        self._add("excess", self.measured.linear[index].weight, index, lower_moment(heavy))
        return gradient

    def _add_inputs(self, register: int, value: Tensor) -> None:
        moment, shared = lower_moment(value), False
        for index, op in self.measured.readers(register):
            if op.weight not in self.measured.input_of:
                self._add("moments", op.weight, index, moment)
            elif not shared:
                self.sums.add(self.number, ("inputs", register), moment)
                shared = True
            if index == self.measured.head:
                self._add("means", op.weight, index, value.flatten(0, -2).double().sum(0))

    def _add(self, kind: str, weight: int, index: int, value: Tensor) -> None:
        """Of a weight that is used once at once; else of all its uses together, in program order, at the end."""
        if self.measured.uses[weight] == 1:
            self.sums.add(self.number, (kind, weight), value)
        else:
            self._parts.setdefault((kind, weight), {})[index] = value

    def _head_fisher(self, head: Tensor, logits: Tensor, predicted: Tensor) -> Tensor:
        """Exact row Fisher of the head, sum over tokens of p (1 - p) (dlogit/dz)²; head : z, what the head makes.

        Expecting over the labels instead of drawing makes the rows of rare tokens measurable.
        """
        slopes = np.empty((0, predicted.shape[1]), np.float32)  # all 1
        if self.measured.head != len(self.measured.program.instructions) - 1:
            # what follows the head works element by element, so that the gradient of the sum is the slope of each
            (slope,) = torch.autograd.grad(logits.sum(), head, retain_graph=True)
            slopes = slope.flatten(0, 1).cpu().contiguous().numpy()
        total = np.zeros(predicted.shape[1])
        add_variances(predicted.numpy(), slopes, total)
        return torch.from_numpy(total)

    def _add_lookups(self, index: int, op: Lookup, tokens: Tensor, gradient: Tensor) -> None:
        """A hash table's rows are measured as `vectors` are; a table of tokens or positions may be tied, so
        its own use is separated here. Positions beyond the calibration's sequences count as those within do.
        """
        self._part("lookup_moments", op.table, index, lower_moment(gradient))
        if isinstance(op, HashEmbed):
            return
        looked_up, first, length = tokens, op.offset if isinstance(op, PositionEmbed) else 0, tokens.shape[1]
        if isinstance(op, PositionEmbed):
            looked_up = (torch.arange(length, device=tokens.device) + first).expand(tokens.shape)
        found, places = looked_up.unique(return_inverse=True)
        row_gradients = gradient.new_zeros(len(found), gradient.shape[1]).index_add_(0, places.flatten(), gradient)
        fisher = gradient.new_zeros(len(self.tensors[op.table]), dtype=torch.float64)
        fisher[found] = row_gradients.double().square().mean(1)
        if isinstance(op, PositionEmbed):
            fisher[first + length :] = fisher[first : first + length].mean()
        self._part("lookup_fisher", op.table, index, fisher)

    def _part(self, kind: str, table: int, index: int, value: Tensor) -> None:
        self._parts.setdefault((kind, table), {})[index] = value


def _signs(predicted: Tensor, generator: torch.Generator) -> np.ndarray:
    """uint8 [positions, vocabulary / 8 rounded up]: random bits, one for each of these predictions at least."""
    positions, vocabulary = predicted.shape
    return torch.randint(0, 256, (positions, -(-vocabulary // 8)), generator=generator, dtype=torch.uint8).numpy()


def _losses_of_text(part: Forward, number: int, logits: Tensor) -> Tensor:
    """float64 [3]: of the tokens that follow the positions of part `number`, the sum of their losses, that of the
    squares, and how many they are.
    """
    following = split_positions(next_tokens(part.tokens), positions_at_once(part.executor.program))[number]
    losses = torch.nn.functional.cross_entropy(logits, following, ignore_index=-1, reduction="none").double()
    return torch.stack([losses.sum(), losses.square().sum(), (following >= 0).sum().double()])

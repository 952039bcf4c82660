"""Distillation: the weights that are still float make up for the ones that are integers already.

Strategy: the float model is the teacher, KL(teacher || student) on calibration text the loss. Before
each group of matrices that the sequential walk quantizes, all weights that are not quantized yet are
tuned (refiner.py) by Adam in the eigenvectors of their moments (eigenvector_adam.py); at the end the
control tensors alone. The gradient of the loss by the student's logits is the difference of the two
predictions, so that the loss itself is never computed where it is not asked for. Held-out sequences
decide whether a tuning is kept; what the teacher says of them is computed once, up to the head, whose
inputs are far smaller than logits, and so it is of text that is learned from more than once (teacher.py).
A batch is cut into parts whose gradients are summed in order, so the result does not depend on the thread
count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np
import torch

from ...format.program.program import Program
from ...format.program.roles import find_head
from ..allocator import freed_memory_given_back
from ..instruction_sets import has_half_products
from ..job import CompileJob
from ..model.half_products import arithmetic_for
from ..model.logit_parts import (
    Loss,
    before_logits,
    go_on,
    gradients_in_parts,
    in_parts,
    next_tokens,
    positions_at_once,
    reads_logits,
    split_positions,
)
from ..model.model import Model
from ..model.pass_context import Arithmetic
from ..model.torch_executor import Forward, TorchExecutor, advance_to
from ..scratch_file import ScratchFile
from ..workers import iterate_jobs, run_jobs, threads_for
from .eigenvector_adam import Basis, Moments
from .logit_gradient import cap_behind_head, excess_loss, logit_gradients, with_labels
from .teacher import Teacher

PART_TOKENS = 1024
HELD_BYTES = 1 << 29  # of gradients of parts of a batch that wait to be added; one for each thread is always held
BATCHES_AHEAD = 4


@dataclass(slots=True)
class Distiller:
    """A teacher, the sequences that students learn from, and those that judge them.

    training, held_out : integers[n, length], int64; every training sequence is used once before any is used
        again, in orders drawn from `seed`, one a pass
    bases : of matrices to tune, by tensor index; without one, a weight is a direction of its own
    half : compute with products in bfloat16, gradients and judgements
    scratch : where what the teacher says of training sequences is put aside for later passes over them, if anywhere
    labels : share of the sequences' own next tokens in what is learned (logit_gradient.py)
    """

    model: Model
    training: np.ndarray
    held_out: np.ndarray
    batch_sequences: int
    seed: int
    threads: int
    device: str = "cpu"
    bases: Mapping[int, Basis] = field(default_factory=dict)
    half: bool = False
    scratch: ScratchFile | None = None
    labels: float = 0.0
    _arithmetic: Arithmetic = field(init=False)
    _cap: float | None = field(init=False)
    _tensors: dict[int, torch.Tensor] = field(init=False)
    _teacher: Teacher = field(init=False)
    _known: list[Forward] = field(init=False, default_factory=list)
    _orders: list[np.ndarray] = field(init=False, default_factory=list)
    _taken: int = field(init=False, default=0)
    _last: int = field(init=False, default=0)  # of what is expected to be taken
    _moments: dict[int, Moments] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._tensors = {i: torch.from_numpy(t.values).to(self.device) for i, t in enumerate(self.model.tensors)}
        self._cap = cap_behind_head(self.model.program)
        self._arithmetic = arithmetic_for(self.model.program, self.half)
        executor = TorchExecutor(self.model.program, self._tensors, arithmetic=self._arithmetic)
        self._teacher = Teacher(executor, self.training, self.device, self.scratch)

    def expect(self, updates: int) -> None:
        """So many will be asked for in all: what the teacher says of sequences that come again is put aside."""
        count = len(self.training)
        drawn = min(self.batch_sequences, count) * updates
        self._teacher.again, self._last = set(self._drawn(range(count, drawn)).tolist()), drawn

    def looking_ahead(self) -> AbstractContextManager[None]:
        """While one thread is busy with something else, another asks the teacher about batches to come."""
        step, length = min(self.batch_sequences, len(self.training)), self.training.shape[1]
        if self.threads < 2 or torch.device(self.device).type != "cpu":
            return nullcontext()
        stop = min(self._last, self._taken + BATCHES_AHEAD * step)
        batches = (self._drawn(range(k, k + step)) for k in range(self._taken, stop, step))
        return self._teacher.looking_ahead([part for batch in batches for part in _parts(batch, length)])

    def state(self) -> dict[str, object]:
        """How far the tuning has come: sequences taken, and the averages of each tensor's gradients."""
        moments = {
            str(i): {"first": m.first.cpu().numpy(), "second": m.second.cpu().numpy(), "age": m.age}
            for i, m in self._moments.items()
        }
        return {"taken": self._taken, "moments": moments}

    def restore(self, state: Mapping) -> None:
        """Go on from such a state."""
        self._taken = state["taken"]
        for name, kept in state["moments"].items():
            sides = (torch.from_numpy(np.array(kept[side])).to(self.device) for side in ("first", "second"))
            self._moments[int(name)] = Moments(*sides, self.bases.get(int(name)), kept["age"])

    def divergence(self, tensors: Mapping[int, torch.Tensor]) -> float:
        """KL(teacher || student) in nats a token on the held-out sequences; `tensors` on the distiller's device."""
        return self._judge(tensors, self._begun(tensors, 0), 0.0)

    def _judge(self, tensors: Mapping[int, torch.Tensor], begun: list[Forward], labels: float) -> float:
        """The same with a share of the sequences' own tokens; begun : passes that these tensors finish."""
        student = TorchExecutor(self.model.program, tensors, arithmetic=self._arithmetic)
        stop, _ = before_logits(self.model.program)
        if not self._known:
            self._known = self._begun(self._tensors, stop)

        def measure(passes: tuple[Forward, Forward]) -> float:
            known, started = passes
            following, total = self._following(known.tokens), 0.0
            with torch.no_grad():
                own = advance_to(started.fork(student), stop)
                for mine, other, after in zip(in_parts(known), in_parts(own), following, strict=True):
                    expected = go_on(known, mine).finish().float().log_softmax(-1)
                    found = go_on(own, other).finish().float().log_softmax(-1)
                    total += float(excess_loss(expected, found, after[None], labels))
            return total

        pairs = list(zip(self._known, begun, strict=True))
        return sum(run_jobs(measure, pairs, self.threads)) / self.held_out.size

    def _begun(self, tensors: Mapping[int, torch.Tensor], stop: int) -> list[Forward]:
        """Passes over the held-out sequences, come to instruction `stop`."""
        executor = TorchExecutor(self.model.program, tensors, arithmetic=self._arithmetic)

        def begin(part: np.ndarray) -> Forward:
            return advance_to(Forward(executor, torch.from_numpy(part).to(self.device)), stop)

        return run_jobs(begin, _parts(self.held_out, self.held_out.shape[1]), self.threads)

    @freed_memory_given_back()
    def tune(self, tensors: dict[int, torch.Tensor], rates: Mapping[int, float], updates: int) -> bool:
        """Tune the tensors named in `rates` in place of their old values; False, and nothing changed,
        when that does not help.

        rates : tensor index -> length of the first update of a weight, falling linearly to 0 over so many `updates`.
            What was kept for others, averages of gradients and bases, is forgotten: a walk never tunes them again.
        """
        if not rates or updates < 1:
            return False
        working = {i: t.to(self.device) for i, t in tensors.items()}
        stop, _ = before_logits(self.model.program)
        begun = self._begun(working, min(first_reader(self.model.program, rates), stop))
        loss = self._judge(working, begun, self.labels)
        working.update({i: working[i].clone() for i in rates})
        self._moments = {i: self._moments.get(i) or self._first_moments(i, working[i]) for i in rates}
        self.bases = {i: self.bases[i] for i in rates if i in self.bases}
        for update in range(updates):
            gradients = self._gradients(working, list(rates))

            def move(i: int, gradients=gradients, share=1 - update / updates) -> None:
                working[i].sub_(self._moments[i].direction(gradients.pop(i)), alpha=rates[i] * share)

            run_jobs(move, list(rates), self.threads)
        if self._judge(working, begun, self.labels) >= loss:
            return False
        tensors.update({i: working[i].to(tensors[i].device) for i in rates})
        return True

    def _first_moments(self, index: int, tensor: torch.Tensor) -> Moments:
        return Moments(torch.zeros_like(tensor), torch.zeros_like(tensor), self.bases.get(index))

    def _gradients(self, tensors: Mapping[int, torch.Tensor], wanted: Collection[int]) -> dict[int, torch.Tensor]:
        """Gradients of the mean divergence over the next batch; those of its parts are added in their order."""
        batch, program = self._next_batch(), self.model.program
        size, (stop, _), read = batch.size * self.training.shape[1], before_logits(program), reads_logits(program)
        arithmetic = arithmetic_for(program, self.half, tensors)  # with weights that all parts round once

        def measure(part: np.ndarray) -> tuple[torch.Tensor, ...]:
            teacher = self._teacher.begin(part)
            leaves = {i: t.detach().requires_grad_(i in wanted) for i, t in tensors.items()}
            student = Forward(TorchExecutor(program, leaves, arithmetic=arithmetic), teacher.tokens)
            student.advance_to(stop)
            expected = in_parts(advance_to(teacher, stop))
            following = self._following(teacher.tokens)

            def change(rest: Forward, number: int) -> Loss:
                return self._change(rest, go_on(teacher, expected[number]), following[number], 1 / size)

            behind = {k: leaves[i] for k, i in enumerate(wanted) if i in read}
            return gradients_in_parts(student, [leaves[i] for i in wanted], behind, change)

        parts = _parts(batch, self.training.shape[1])
        most = max(self.threads, HELD_BYTES // sum(tensors[i].nbytes for i in wanted))
        found = iterate_jobs(measure, parts, self.threads, most)
        total = list(next(found))
        for part in found:
            for k, gradient in enumerate(part):
                total[k] = total[k] + gradient  # not in place: two of a part may be one tensor
        return dict(zip(wanted, total, strict=True))

    def _following(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """`next_tokens` of the positions of each part."""
        return split_positions(next_tokens(tokens), positions_at_once(self.model.program))

    def _change(self, student: Forward, teacher: Forward, following: torch.Tensor, share: float) -> Loss:
        """What a student makes at its head, or its logits, and the gradient of a share of the divergence by it.

        student, teacher : come to their heads with the same positions; following : int64 [positions], what is next
        """
        if self._cap is None or not self.half:
            with torch.no_grad():
                expected = with_labels(teacher.finish().float().softmax(-1), following[None], self.labels)
            logits = student.finish()
            return logits, logits.detach().float().softmax(-1).sub_(expected).mul_(share).to(logits.dtype)
        head = find_head(self.model.program)
        made = student.advance_behind(head)
        with torch.no_grad():
            expected = teacher.advance_behind(head)
        change = torch.empty(made.shape)
        rows = (values.detach().flatten(0, 1).numpy() for values in (made, expected))
        how = following.numpy(), np.float32(self.labels), np.float32(self._cap), np.float32(share)
        logit_gradients(*rows, *how, change.flatten(0, 1).numpy())
        return made, change

    def _next_batch(self) -> np.ndarray:
        """Numbers of the next sequences: each once a pass, in another order every pass."""
        numbers = range(self._taken, self._taken + min(self.batch_sequences, len(self.training)))
        self._taken = numbers.stop
        return self._drawn(numbers)

    def _drawn(self, numbers: range) -> np.ndarray:
        """Which sequences the draws of these numbers are of."""
        count = len(self.training)
        while len(self._orders) * count < numbers.stop:
            drawn_from = [self.seed, len(self._orders)] if self._orders else self.seed
            self._orders.append(np.random.default_rng(drawn_from).permutation(count))
        return np.array([self._orders[k // count][k % count] for k in numbers])


def first_reader(program: Program, wanted: Collection[int]) -> int:
    """The first instruction that reads one of the wanted tensors; 0 when none does."""
    readers = (k for k, op in enumerate(program.instructions) if not set(wanted).isdisjoint(op.tensors))
    return next(readers, 0)


def _parts(sequences: np.ndarray, length: int) -> list[np.ndarray]:
    """Sequences of so many tokens, or their numbers, cut into parts."""
    count = max(1, PART_TOKENS // length)
    return [sequences[i : i + count] for i in range(0, len(sequences), count)]


def make_distiller(job: CompileJob, scratch: ScratchFile | None = None) -> Distiller:
    """The distiller of a walk: all calibration text to learn from, the held-out sequences to judge by."""
    length = job.model.program.sequence_length
    count = len(job.text) // length
    training = job.text[: count * length].reshape(count, length)  # of a shard no more is read than is learned from
    known = {i: matrix for i, matrix in job.statistics.matrices.items() if matrix.output_fisher is not None}
    half = has_half_products(job.device)
    bases = run_jobs(lambda matrix: Basis.of(matrix, job.device, half=half), list(known.values()), job.threads)
    return Distiller(
        job.model,
        training,
        job.held_out,
        max(1, job.recipe.distillation.batch_tokens // length),
        job.seed,
        threads_for(job.device, job.threads),
        job.device,
        dict(zip(known, bases, strict=True)),
        half,
        scratch,
        job.recipe.distillation.labels,
    )

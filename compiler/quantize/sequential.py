"""GPTQ-style sequential quantization: each matrix is quantized against the inputs that it will really see.

Strategy: walk the program once, instruction by instruction, holding for every calibration batch the
registers of the float model (x) and of the model quantized so far (x'). On reaching a linear layer, H'
= E[x' x'ᵀ] and E[x x'ᵀ] say what its inputs have become: the best float weights for them, W E[x x'ᵀ]
H'^-1, are the target, and H' weighs the error (the drift correction of Qronos, arXiv:2505.11695, and
WaterSIC, arXiv:2603.04956), both as far as the tokens of the walk tell them (drift.py). A layer that
writes into a residual stream also makes up for the error that the stream has by then
(residual_streams.py). Then both models go on through it. Layers that share an input register share its
measurements; once their targets stand in for them, a caller may refine all weights that are still
float, and what it makes of the targets is quantized, all of them side by side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import torch

from ...format.container.limits import DEFAULT_LIMITS
from ...format.program.operations import Linear
from ...format.program.program import Program, ProgramShapes, validate_program
from ..instruction_sets import has_half_products
from ..model.attention_heads import attended
from ..model.half_products import arithmetic_for
from ..model.model import Model
from ..model.residual_streams import find_residuals
from ..model.structure import embedding_tables
from ..model.torch_executor import TorchExecutor
from ..settings import SequentialSettings
from ..statistics.calibration import calibration_sequences
from ..statistics.matrix_statistics import MatrixStatistics
from ..workers import run_jobs, threads_for
from .drift import Drift, WalkedBatch, measure_drift
from .held_registers import RegisterPages
from .representation import Quantized

WALK_FLOATS = 1 << 28  # of activations of one model that a walk may hold: 1.1 GB

Target = tuple[np.ndarray, MatrixStatistics]  # float64 weights wanted, and statistics with the real inputs' Hessian
QuantizeTargets = Callable[[Mapping[int, Target]], Mapping[int, Quantized]]
Refine = Callable[[dict[int, torch.Tensor], Collection[int]], None]


def walk_sequences(model: Model, text: np.ndarray, settings: SequentialSettings) -> np.ndarray:
    """int64[n, length] calibration tokens for a walk: `settings.tokens` of them, or as many as memory allows.

    They are others than those that calibration measures, so that both together tell more of how inputs go together.
    """
    shapes = validate_program(model.program, [tensor.values.shape for tensor in model.tensors], DEFAULT_LIMITS)
    held, _ = walk_widths(model.program, shapes)
    wanted = min(settings.tokens, WALK_FLOATS // held)
    return calibration_sequences(text, model.program.sequence_length, wanted, apart=True)


def walked_layers(program: Program) -> dict[int, int]:
    """Instruction -> weight of the linear layers that a sequential walk quantizes: of those that embed, too, none."""
    tables = embedding_tables(program)
    layers = ((k, op) for k, op in enumerate(program.instructions) if isinstance(op, Linear))
    return {k: op.weight for k, op in layers if op.weight not in tables}


def walk_widths(program: Program, shapes: ProgramShapes) -> tuple[int, int]:
    """Most floats a token that a walk holds of every batch at once, where it comes to a new input; and of a batch that
    is on its way there.
    """
    stops = group_starts(program, walked_layers(program).values())
    live, now, freed = [], 0, Counter[int]()
    for width, last in zip(shapes.widths, shapes.last_use, strict=True):
        freed[last] += width
    for index, width in enumerate(shapes.widths[: max(stops, default=0) + 1]):
        live.append(now)
        now += width - freed[index]
    on_the_way = (before + width for before, width in zip(live[:-1], shapes.widths, strict=False))
    return max((live[stop] for stop in stops), default=1), max(on_the_way, default=1)


def quantize_sequentially(
    walk: Walk,
    statistics: Mapping[int, MatrixStatistics],
    quantize: QuantizeTargets,
    *,
    refine: Refine | None = None,
    bookmark: Bookmark | None = None,
) -> dict[int, Quantized]:
    """Quantize every linear weight that is not decided yet, in program order.

    walk : at its first step
    quantize : targets of weights that share an input, by tensor index -> these matrices quantized
    refine : called before each such group with the current tensors, float (this group's: their
        targets) and quantized, and the indexes of the weights that are still float, whose tensors it
        may replace
    bookmark : where a walk over the same has come to before, and where this one leaves how far it is

    Deterministic whatever the threads: batches are summed in order.
    """
    results: dict[int, Quantized] = {}
    if bookmark is not None:
        results |= bookmark.open(walk)
    with torch.no_grad():
        for index in range(walk.length):
            if walk.uses.get(index) not in walk.waiting:
                continue
            walk.advance_to(index)
            if bookmark is not None:
                bookmark.leave(walk, results)
            walk.set_targets(index, statistics)
            if refine is not None:
                refine(walk.current, sorted(walk.waiting))
            for weight, made in quantize(walk.targets(index, statistics)).items():
                results[weight] = made
                walk.settle(weight, made.weights)
    return results


class Bookmark(Protocol):
    """How far a walk has come, kept from run to run; always between two groups of weights that share an input."""

    def open(self, walk: Walk) -> Mapping[int, Quantized]:
        """Bring a walk to where one was left, and return the weights that it had quantized; nothing where none was."""

    def leave(self, walk: Walk, results: Mapping[int, Quantized]) -> None:
        """A walk with these results comes to the next group."""


class Walk:
    """Both models on their way through the program.

    uses : instruction -> weight of the linear layers that are to be quantized
    waiting : weights that are still float; current : tensors of the model quantized so far
    drift : what the inputs of the layers have become whose targets were set last
    """

    def __init__(
        self,
        model: Model,
        quantized: Mapping[int, np.ndarray],
        sequences: np.ndarray,
        settings: SequentialSettings,
        damping: float,
        threads: int,
        device: str = "cpu",
        *,
        coarse: bool = False,
    ) -> None:
        """Both models at their first instruction.

        quantized : float32 weights by tensor index of what is already decided (vectors, embeddings)
        sequences : int64[n, length] calibration tokens
        damping : of the Hessian, relative to the mean of its diagonal; device : where both models run and are measured
        coarse : whether quantization does so much that next to it the rounding of bfloat16 is nothing: both models
            multiply in it then, where the processor has such products
        """
        self.program, self.settings, self.damping = model.program, settings, damping
        self.threads, self.device = threads_for(device, threads), device
        self.tensors = {i: self._placed(t.values) for i, t in enumerate(model.tensors)}
        self.current = {i: self._placed(quantized[i]) if i in quantized else t for i, t in self.tensors.items()}
        self._begun = dict(self.current)
        self._half = has_half_products(device)
        arithmetic = arithmetic_for(model.program, coarse and self._half)
        executors = [TorchExecutor(model.program, t, arithmetic=arithmetic) for t in (self.tensors, self.current)]
        pages = RegisterPages()
        self.batches = [
            WalkedBatch.at_the_start(executors, self._placed(part), pages)
            for part in np.array_split(sequences, max(1, len(sequences) // settings.batch_sequences))
        ]
        self.uses = {
            k: op.weight
            for k, op in enumerate(model.program.instructions)
            if isinstance(op, Linear) and op.weight not in quantized
        }
        self.waiting = set(self.uses.values())
        self.drift: Drift | None = None
        self._streams, self._attended = find_residuals(model.program), attended(model.program)
        self._corrected: set[int] = set()

    def _placed(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values).to(self.device)

    @property
    def length(self) -> int:
        """Instructions up to the last layer that is to be quantized."""
        return max(self.uses, default=-1) + 1

    def state(self, settled: Collection[int]) -> dict[str, object]:
        """What a walk that has settled these weights cannot find again from them: the tensors that others have become,
        and which targets are corrected already.
        """
        changed = {i: t for i, t in self.current.items() if t is not self._begun[i] and i not in settled}
        kept = {str(i): t.cpu().numpy() for i, t in changed.items()}
        return {"tensors": kept, "corrected": sorted(self._corrected)}

    def restore(self, state: Mapping, settled: Mapping[int, np.ndarray]) -> None:
        """Go on from such a state, with these weights settled; to be called before the walk's first step."""
        self.current.update({int(i): self._placed(np.array(t)) for i, t in state["tensors"].items()})
        for weight, values in settled.items():
            self.settle(weight, values)
        self._corrected.update(state["corrected"])

    @property
    def groups_left(self) -> int:
        """Registers that layers read which are still to be quantized."""
        return len({self.program.instructions[k].x for k, weight in self.uses.items() if weight in self.waiting})

    def set_targets(self, index: int, statistics: Mapping[int, MatrixStatistics]) -> None:
        """Measure the input of layer `index`, and correct the targets of all layers that read it, unless that has been
        done already.
        """
        source = self.program.instructions[index].x
        group = {
            weight: k
            for k, weight in self.uses.items()
            if weight in self.waiting - self._corrected and self.program.instructions[k].x == source
        }
        beside = {k: self._streams[k] for k in group.values() if k in self._streams and self.settings.residual}
        self.drift = measure_drift(self.batches, source, beside, self.damping, self.threads, self._half)
        correction, residual = self.settings.correction, self.settings.residual
        for weight, k in group.items():
            values = self.tensors[weight].cpu().numpy()
            # asked of those alone that can have one, since each is unpacked from disk with all that is known of it
            excess = statistics[weight].excess if k in self._attended else None
            change = correction * self.drift.of_weight(values, excess) + residual * self.drift.of_stream(k)
            self.current[weight] = self.current[weight] + self._placed(change.astype(np.float32))
        self._corrected.update(group)

    def targets(self, index: int, statistics: Mapping[int, MatrixStatistics]) -> dict[int, Target]:
        """Of the layers that come next: `index` and, until one reads another input, those that read the same."""
        found, source = dict[int, Target](), self.program.instructions[index].x
        for k in range(index, self.length):
            weight = self.uses.get(k)
            if weight not in self.waiting:
                continue
            if self.program.instructions[k].x != source:
                break
            known = statistics[weight]
            real = replace(known, hessian=self.drift.hessian_with(known))
            found[weight] = self.current[weight].double().cpu().numpy(), real
        return found

    def settle(self, weight: int, values: np.ndarray) -> None:
        """A weight is quantized: the second model has these values from here on."""
        self.current[weight] = self._placed(values)
        self.waiting.remove(weight)

    def advance_to(self, stop: int) -> None:
        """Run both models on every batch up to instruction `stop`."""
        run_jobs(partial(WalkedBatch.advance_to, stop=stop), self.batches, self.threads)


def group_starts(program: Program, weights: Collection[int]) -> list[int]:
    """Instructions where a walk that quantizes these weights comes to a new input register."""
    waiting, starts, source = set(weights), [], -1
    for k, op in enumerate(program.instructions):
        if isinstance(op, Linear) and op.weight in waiting:
            waiting.remove(op.weight)
            if op.x != source:
                starts.append(k)
            source = op.x
    return starts

"""What memory a compile will take at its peak, before it starts, and how many threads fit into what there is.

Strategy: the largest stage counts: copies of the model and what it holds beside them, as inputs and options fix it.
What the allocator keeps of another stage is added. The law was held against compiles (docs/decisions); it is a
forecast, and is printed as one.
"""

from __future__ import annotations

from ..format.container.limits import DEFAULT_LIMITS
from ..format.program.operations import Attention
from ..format.program.program import Program, validate_program
from ..runtime.machine_memory import memory_bytes
from .instruction_sets import has_half_products
from .model.half_attention import LONGEST
from .model.logit_parts import before_logits, positions_at_once
from .model.model import Model
from .model.structure import embedding_tables
from .quantize.distillation import PART_TOKENS
from .quantize.sequential import WALK_FLOATS, walk_widths
from .recipe import Recipe
from .statistics.convergence import sequences_at_once

BASE_BYTES = 520 << 20  # of the process with its libraries
MODEL_COPIES = 4  # in a walk: as it was, as it becomes, as integers, and on the way
TUNED_COPIES = 5  # of what is tuned, no tables: the values that move, two averages, gradients of two parts
LOGIT_COPIES = 4  # of the logits of a batch: themselves, probabilities, and the gradients of both
TABLE_BYTES = 44  # of a weight of a token table that is tried, with factors
RETAINED = 1 << 29  # most bytes of blocks of other sizes that the allocator keeps; what is larger, it gives back
UNUSABLE = 1.1  # of activations, by what stays between them when others are freed
KEPT_OF_PASS = 0.5  # of the registers of a pass, by gradients of some weights alone
PEAK_FACTOR = 1.6  # that memory was within of what it was forecast to be, from 0.26 to 268 million weights


def memory_note(needed: int, threads: int) -> str | None:
    """What is to be said where these threads are forecast to need more bytes than a process may have here."""
    there = memory_bytes()
    if there is None or needed <= there:
        return None
    least = f"about {needed / 1e9:.1f} GB are needed and this machine lets a process have {there / 1e9:.1f}"
    less = "a lower --effort takes less" if threads == 1 else "--threads 1 and a lower --effort take less"
    return f"{least}: the compile may be killed; {less}"


def threads_that_fit(model: Model, recipe: Recipe, text_tokens: int, threads: int) -> int:
    """As many of these threads as fit into memory, each of which has activations of its own; at least 1."""
    there = memory_bytes()
    if there is None:
        return threads
    fitting = (n for n in range(threads, 1, -1) if forecast_peak(model, recipe, text_tokens, n) <= there)
    return next(fitting, 1)


def threads_note(threads: int, usable: int) -> str | None:
    """What is to be said where memory allows fewer threads than there are cores."""
    if threads >= usable:
        return None
    return f"{threads} of {usable} threads work, as memory allows; --threads {usable} takes all"


def forecast_peak(model: Model, recipe: Recipe, text_tokens: int, threads: int) -> int:
    """Bytes of memory of the largest stage, copies of the model and what it holds beside them, and what is kept of
    another one.
    """
    program = model.program
    shapes = validate_program(program, [tensor.values.shape for tensor in model.tensors], DEFAULT_LIMITS)
    stop, _ = before_logits(program)
    # floats of a position in a forward and a backward pass, and of its logits
    inner = sum(shapes.widths[:stop]) + _kept_probabilities(program)
    logits = sum(shapes.widths[stop:]) + LOGIT_COPIES * program.vocabulary_size
    length = program.sequence_length
    positions = sequences_at_once(program, recipe.calibration) * length
    at_once = positions_at_once(program)
    calibration = UNUSABLE * threads * (positions * inner + min(positions, at_once) * logits)
    calibration += model.parameters / 2 if has_half_products() else 0.0  # all weights in bfloat16
    in_tables = sum(model.tensors[index].values.size for index in embedding_tables(program))
    walk = float(MODEL_COPIES * model.parameters)
    if recipe.sequential.enabled:
        held, on_the_way = walk_widths(program, shapes)
        tokens = min(recipe.sequential.tokens, WALK_FLOATS // held, text_tokens)
        moving = min(tokens, threads * recipe.sequential.batch_sequences * length)
        walk += 2 * UNUSABLE * (tokens * held + moving * on_the_way)
        if recipe.distillation.enabled:
            part = max(PART_TOKENS, length)
            kept = threads * KEPT_OF_PASS * (part * inner + min(part, at_once) * logits)
            walk += kept + TUNED_COPIES * (model.parameters - in_tables)
    table = 2 * model.parameters + TABLE_BYTES / 4 * in_tables
    *_, second, first = sorted((model.parameters + calibration, table, walk))
    return round(BASE_BYTES + 4 * first + min(4 * second, RETAINED))


def _kept_probabilities(program: Program) -> float:
    """Floats of a position that attention keeps for the way back, two to a float and none of what is not seen, where
    half_attention.py does it.
    """
    if not has_half_products() or program.sequence_length > LONGEST:
        return 0.0
    plain = (op for op in program.instructions if isinstance(op, Attention) and not (op.window or op.document_reset))
    return sum(op.heads for op in plain) * program.sequence_length / 4

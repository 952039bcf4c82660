"""How many units each analysis finds in models of the records, and that another order of them changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from record_families import FAMILIES, family, some_tokens

from bytecap.compiler.model.attention_heads import find_attentions
from bytecap.compiler.model.groups import INPUT, STREAM, find_groups
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.residual_streams import find_residuals
from bytecap.compiler.model.structure import find_head, token_tables
from bytecap.compiler.rewrites.free_units import find_hidden_units, find_scaled_outputs, find_value_dimensions
from bytecap.compiler.rewrites.symmetries import absorb_scales, sort_units
from bytecap.compiler.settings import QuantizationSettings
from bytecap.compiler.statistics.calibration import Statistics
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.format.program.operations import Linear
from bytecap.format.program.program import validate_program
from bytecap.runtime.interpreter import Interpreter

# hidden units, value dimensions, attentions, residuals, groups of one input and of the stream, token tables;
# the layers are four, and those that come twice in the order have no residual of their own
USUAL, LOOPED, IN_LANES = (4, 4, 4, 8, 4, 1, 1), (4, 4, 4, 4, 4, 1, 1), (4, 4, 4, 2, 4, 1, 1)
WITH_BIGRAMS = (4, 4, 4, 9, 4, 1, 1)
WITH_VALUES = (4, 2, 2, 9, 4, 1, 2)  # the values of two layers are sums, of what both read, too
FOUND = {
    "smear before the norm, sum of bigrams": WITH_BIGRAMS,
    "smear, bigrams, exclusive layers": WITH_BIGRAMS,
    "base of longer sequences": WITH_BIGRAMS,
    "value embeddings": WITH_VALUES,
    "banks": WITH_VALUES,
    "blocks of their own, lanes in turn": (6, 1, 3, 6, 3, 1, 2),  # MLPs of the second pass; no attention in the first
    "repeated layers, late skips": (4, 2, 2, 4, 4, 1, 2),
    "merged lanes without skips": (4, 2, 2, 4, 4, 1, 2),
    "loops": LOOPED,
    "loops side by side": LOOPED,
    "merged lanes": LOOPED,
    "MLPs of later passes": (6, 4, 4, 8, 4, 1, 1),
} | dict.fromkeys(
    (
        "banked lanes",
        "the lane of the MLP",
        "the lane of attention",
        "gates of two sigmoids",
        "gates of the queries",
        "dense gates",
        "sparse gates, smear of a document",
        "MLP gates",
    ),
    IN_LANES,
)


@pytest.mark.parametrize("name", FAMILIES)
def test_units_of_every_family_are_found(name):
    _, _, model = family(name)
    program, shapes = model.program, [tensor.values.shape for tensor in model.tensors]
    widths = validate_program(program, shapes).widths
    matrices = [op.weight for op in program.instructions if isinstance(op, Linear)]
    groups = [group.family for group in find_groups(model, matrices)]
    assert FOUND.get(name, USUAL) == (
        len(find_hidden_units(program, widths)),
        len(find_value_dimensions(program, widths)),
        len(find_attentions(program, shapes)),
        len(find_residuals(program)),
        groups.count(INPUT),
        groups.count(STREAM),
        len(token_tables(program)),
    )
    assert find_head(program) is not None


def drawn_statistics(model: Model) -> Statistics:
    random = np.random.default_rng(3)
    shapes = {i: tensor.values.shape for i, tensor in enumerate(model.tensors) if tensor.values.ndim == 2}
    moments = {i: random.standard_normal((shape[1], 2 * shape[1])) for i, shape in shapes.items()}
    vectors = {i: np.ones(tensor.values.shape) for i, tensor in enumerate(model.tensors)}
    fisher = {i: random.uniform(0.1, 2.0, shape[0]) for i, shape in shapes.items()}
    return Statistics({i: MatrixStatistics(m @ m.T, fisher[i]) for i, m in moments.items()}, vectors, 1)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_record_does_not_see_exchanges(name):
    record, _, model = family(name)
    widths = validate_program(model.program, [tensor.values.shape for tensor in model.tensors]).widths
    units = find_hidden_units(model.program, widths) + find_value_dimensions(model.program, widths)
    scaled = absorb_scales(model, drawn_statistics(model), find_scaled_outputs(model.program))
    exchanged, _ = sort_units(*scaled, units, QuantizationSettings())
    tokens = some_tokens(record.vocabulary).numpy()
    before, after = (
        Interpreter(m.program, [tensor.values for tensor in m.tensors]).logits(tokens) for m in (model, exchanged)
    )
    moved = [a.name for a, b in zip(model.tensors, exchanged.tensors, strict=True) if (a.values != b.values).any()]
    assert len(moved) > record.layers
    np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-4 * np.abs(before).max())

"""Every operation of the format against every analysis that recognizes operations by their class.

An analysis answers "not found" for an operation that it does not know, without a word. So each
operation is decided here: a new one fails this test until somebody has gone through the analyses and
written down which of them know it.
"""

from __future__ import annotations

import ast
import inspect

import pytest

from bytecap.compiler.model import attention_heads, groups, residual_streams, structure
from bytecap.compiler.quantize import sequential
from bytecap.compiler.rewrites import free_units
from bytecap.compiler.statistics import batch_pass
from bytecap.format.program import roles
from bytecap.format.program.operations import OPERATIONS
from bytecap.lab.measure import units
from bytecap.lab.train import factorized_head, program_cost, training, vocabulary

HEAD, HEADS, STREAMS, GROUPS = structure, attention_heads, residual_streams, groups
UNITS, COST = units, program_cost
# By operation the analyses that name it; the others treat it as "something else", which was found right
# for each of them: what moves or mixes the elements of a register ends a search for heads, hidden
# units, residual streams and the output head.
KNOWN_TO = {
    "embed": {HEAD, STREAMS, batch_pass, vocabulary},
    "hash-embed": {HEAD, batch_pass},
    "linear": {
        HEAD, HEADS, STREAMS, GROUPS, sequential, free_units, batch_pass,
        UNITS, COST, factorized_head, training, vocabulary,
    },
    "rms-norm": {HEADS, STREAMS, free_units, vocabulary},
    "layer-norm": {HEAD, HEADS, STREAMS},
    "scale": {HEADS, STREAMS, free_units},
    "mix": {STREAMS},
    "add": {STREAMS, free_units},
    "multiply": {HEADS, free_units},
    "activation": {free_units},
    "rope": {HEADS},
    "attention": {HEADS, free_units, UNITS, COST},
    "exclude": {HEADS, free_units},
    "shift": set(),
    "slice": {HEADS},
    "concat": set(),
    "softcap": {free_units, factorized_head},
    "position-embed": {HEAD, batch_pass},
    "rotate": {HEAD, HEADS},
    "broadcast": {free_units},
    "scale-tiled": {HEADS, STREAMS},
    "affine": {HEADS, STREAMS, free_units},
    "capped-attention": {HEADS, free_units, UNITS, COST},
    "scan": {COST},
    "delta-scan": {COST},
}  # fmt: skip
KNOWN_TO = {operation: analyses | {roles} for operation, analyses in KNOWN_TO.items()}  # it decides each
ANALYSES = sorted(set().union(*KNOWN_TO.values()), key=lambda module: module.__name__)


def test_every_operation_is_decided():
    assert set(KNOWN_TO) == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("analysis", ANALYSES, ids=lambda module: module.__name__.removeprefix("bytecap."))
def test_an_analysis_names_the_operations_that_it_is_said_to_know(analysis):
    by_class = {operation.__name__: operation.name for operation in OPERATIONS}
    tree = ast.parse(inspect.getsource(analysis))
    named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    named |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {by_class[name] for name in named & by_class.keys()} == {
        operation for operation, analyses in KNOWN_TO.items() if analysis in analyses
    }

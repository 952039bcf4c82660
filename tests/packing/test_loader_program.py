"""The shipped loader's reading and running of programs, against the runtime's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import ADDERS, RandomProgram, programs
from record_families import FAMILIES, family, some_tokens

from bytecap.format.program.operations import OPERATIONS as FORMAT_OPERATIONS
from bytecap.format.program.operations import ActivationKind
from bytecap.format.program.program import encode_program
from bytecap.packing.loader.model import Model
from bytecap.packing.loader.operations import ACTIVATIONS, OPERATIONS
from bytecap.packing.loader.program import OPERANDS, read_program
from bytecap.runtime.interpreter import Interpreter


def loaded_model(case: RandomProgram) -> Model:
    (vocabulary, length, boundary), instructions = read_program(encode_program(case.program))
    program = case.program
    assert (vocabulary, length, boundary) == (program.vocabulary_size, program.sequence_length, program.boundary_token)
    return Model(instructions, [torch.from_numpy(tensor) for tensor in case.tensors], boundary)


def check_agreement(case: RandomProgram) -> None:
    expected = Interpreter(case.program, case.tensors).token_losses(case.tokens)
    found = loaded_model(case).losses(torch.from_numpy(case.tokens)).numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@settings(max_examples=60, deadline=None)
@given(programs())
def test_the_loader_computes_what_the_runtime_computes(case):
    check_agreement(case)


@pytest.mark.parametrize("operation", list(ADDERS), ids=lambda operation: operation.name)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_every_operation_agrees(operation, data):
    check_agreement(data.draw(programs(including=operation)))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_models_of_records_agree(name):
    record, _, model = family(name)
    arrays = [np.ascontiguousarray(tensor.values, np.float32) for tensor in model.tensors]
    check_agreement(RandomProgram(model.program, arrays, some_tokens(record.vocabulary).numpy()))


def test_the_loader_knows_every_operation_and_its_operands():
    assert set(OPERATIONS) == set(OPERANDS) == {operation.wire_id for operation in FORMAT_OPERATIONS}
    assert set(ACTIVATIONS) == set(ActivationKind)
    for operation in FORMAT_OPERATIONS:
        names = [name for name in inspect.signature(OPERATIONS[operation.wire_id]).parameters if name != "run"]
        assert len(operation.operands) == len(OPERANDS[operation.wire_id]), operation.name
        assert len(names) == len(operation.operands) or "options" in names, operation.name


def test_a_sequence_longer_than_its_positions_is_refused():
    instructions = [(18, (), (0, 0)), (3, (0,), (1, None))]
    model = Model(instructions, [torch.ones(1, 2), torch.ones(3, 2)], 0)
    assert model.logits(torch.zeros(1, 1, dtype=torch.int64)).shape == (1, 1, 3)
    with pytest.raises(IndexError):
        model.logits(torch.zeros(1, 2, dtype=torch.int64))

"""Registers of waiting passes: what comes of a pass is the same wherever it waits, and what waits is no tensor."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_programs import programs

from bytecap.compiler.model.torch_executor import Forward, TorchExecutor
from bytecap.compiler.quantize.drift import WalkedBatch
from bytecap.compiler.quantize.held_registers import HeldRegisters, RegisterPages


def bits(value: torch.Tensor) -> bytes:
    return value.contiguous().numpy().tobytes()


@given(data=st.data())
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_pass_that_waits_anywhere_has_the_registers_of_one_that_does_not(data):
    """Programs of all operations, both passes of a batch beside those of another one on the same pages."""
    case = data.draw(programs())
    length = len(case.program.instructions)
    stops = sorted(data.draw(st.sets(st.integers(1, length))) | {length})
    executor = TorchExecutor(case.program, dict(enumerate(map(torch.from_numpy, case.tensors))))
    tokens, pages = torch.from_numpy(case.tokens[:, :-1]), RegisterPages()
    batches = [WalkedBatch.at_the_start([executor, executor], part, pages) for part in (tokens, tokens.flip(0))]
    plain = [Forward(executor, part) for part in (tokens, tokens.flip(0))]
    with torch.no_grad(), ThreadPoolExecutor(2) as threads:
        for stop in stops:
            list(threads.map(lambda batch, stop=stop: batch.advance_to(stop), batches))
            for batch, expected in zip(batches, plain, strict=True):
                expected.advance_to(stop)
                for forward in (batch.float_forward, batch.quantized_forward):
                    assert forward.registers.keys() == expected.registers.keys()
                    assert len(forward.registers) == len(expected.registers)
                    assert all(bits(forward.registers[k]) == bits(v) for k, v in expected.registers.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_put_away_is_no_tensor_and_what_is_gone_makes_room_for_the_next(dtype):
    pages = RegisterPages()
    registers = HeldRegisters(pages)
    registers[3] = torch.arange(12, dtype=dtype).view(3, 4)
    values, there = registers[3].clone(), weakref.ref(registers[3])
    assert registers[3] is there()
    registers.put_away()
    gc.collect()
    assert there() is None
    assert torch.equal(registers[3], values) and registers[3].dtype == dtype
    place = registers[3].data_ptr()
    registers[4] = 2 * values
    registers[5] = registers[3].view(4, 3)  # as operations do that only look at what they read in another way
    del registers[3]
    registers.put_away()
    assert [*registers] == [4, 5]
    assert torch.equal(registers[4], 2 * values) and torch.equal(registers[5], values.view(4, 3))
    registers[6] = 3 * values
    registers.put_away()
    assert registers[6].data_ptr() == place and torch.equal(registers[6], 3 * values)
    with pytest.raises(KeyError):
        registers[3]


def test_pages_are_of_the_size_that_is_asked_for():
    pages = RegisterPages()
    first = pages.take(100)
    pages.give_back(first)
    assert pages.take(96) is not first and pages.take(100) is first
    assert len(np.frombuffer(pages.take(4096 * 3 + 8), np.uint8)) == 4096 * 3 + 8


def test_more_pages_than_there_are_addresses_are_refused_as_memory():
    with pytest.raises(MemoryError):
        RegisterPages().take(1 << 60)

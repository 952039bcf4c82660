"""The numba interpreter and the torch executor against the slow twin, and what each promises about
batches, threads and gradients.
"""

from __future__ import annotations

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive_program import naive_logits, naive_losses
from random_programs import ADDERS, RandomProgram, programs

from bytecap.compiler.model import chunked_scan
from bytecap.compiler.model.pass_context import rotation_angles
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.model.torch_operations import EXECUTIONS
from bytecap.errors import BudgetError, DataError, InvalidArtifact
from bytecap.format.container.limits import DEFAULT_LIMITS
from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.operation_shapes import SHAPE_RULES
from bytecap.format.program.program import Program, validate_program
from bytecap.runtime import sequence_plan
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.kernels_exponential import gelu, sigmoid, softplus
from bytecap.runtime.operation_kernels import BINDERS
from bytecap.runtime.rotations import Frequencies, Rotation, rotation_table
from bytecap.runtime.sequence_plan import assign_buffers, find_head_start

TOLERANCE = 1e-4  # of the largest logit's magnitude
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=60)


def torch_executor(program, tensors) -> TorchExecutor:
    return TorchExecutor(program, {index: torch.from_numpy(tensor) for index, tensor in enumerate(tensors)})


def assert_close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max()


def check_agreement(case: RandomProgram) -> None:
    interpreter, executor = Interpreter(case.program, case.tensors), torch_executor(case.program, case.tensors)
    inputs = case.tokens[:, :-1]
    expected = np.stack([naive_logits(case.program, case.tensors, row) for row in inputs])
    assert_close(interpreter.logits(inputs), expected)
    with torch.inference_mode():
        assert_close(executor.forward(torch.from_numpy(inputs)).numpy(), expected)
        torch_losses = executor.losses(torch.from_numpy(case.tokens)).numpy()
    losses = np.array([naive_losses(logits, row[1:]) for logits, row in zip(expected, case.tokens, strict=True)])
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(interpreter.token_losses(case.tokens), losses, atol=2 * TOLERANCE * scale)
    context = inputs.shape[1] // 2
    losses_behind = interpreter.token_losses(case.tokens, needed_from=context)
    np.testing.assert_allclose(losses_behind[:, context:], losses[:, context:], atol=2 * TOLERANCE * scale)
    assert np.isnan(losses_behind[:, :context]).all()
    np.testing.assert_allclose(torch_losses, losses, atol=2 * TOLERANCE * scale)


@pytest.mark.parametrize("operation", list(op.OPERATIONS), ids=lambda operation: operation.name)
@given(data=st.data())
@FEW
def test_executors_agree_on_each_operation(operation, data):
    check_agreement(data.draw(programs(including=operation)))


@given(case=programs())
@MANY
def test_executors_agree_on_random_programs(case):
    check_agreement(case)


@given(data=st.data())
@MANY
def test_logits_are_the_same_some_columns_at_a_time(data):
    """Heads with a bias of any length and everything that may stand behind one, and losses over their ranges."""
    case = data.draw(programs())
    vocabulary_size, instructions, tensors = case.program.vocabulary_size, [*case.program.instructions], [*case.tensors]
    for kind in data.draw(st.lists(st.sampled_from(["scale", "tiled", "cap", "affine", "tanh"]), max_size=3)):
        lengths = [n for n in range(1, vocabulary_size + 1) if vocabulary_size % n == 0]
        tensors.append(np.linspace(0.5, 1.5, data.draw(st.sampled_from(lengths)), dtype=np.float32))
        last, vector = len(instructions) - 1, Row(len(tensors) - 1)
        instructions.append(
            {
                "scale": op.Scale(last, vector),
                "tiled": op.ScaleTiled(last, vector),
                "cap": op.Softcap(last, 2.0, op.SoftcapKind.TANH),
                "affine": op.Affine(last, -1.5, 0.25),
                "tanh": op.Activation(last, op.ActivationKind.TANH),
            }[kind]
        )
    program = replace(case.program, instructions=tuple(instructions))
    assert find_head_start(program) == len(case.program.instructions) - 1
    with patch.object(sequence_plan, "TILE_FLOATS", 1), patch.object(sequence_plan, "LEAST_COLUMNS", 2):
        check_agreement(RandomProgram(program, tensors, case.tokens))


def test_losses_take_no_memory_for_all_logits():
    """64 positions of 131,072 logits are 32 MiB; a range of their columns takes half of that."""
    vocabulary_size, length = 1 << 17, 64
    table = np.random.default_rng(0).standard_normal((vocabulary_size, 2)).astype(np.float32)
    program = Program(
        (op.Embed(0), op.Linear(0, 0), op.Softcap(1, 5.0, op.SoftcapKind.POLYNOMIAL)), vocabulary_size, 4, 0
    )
    interpreter, tokens = Interpreter(program, [table]), np.arange(length + 1)[None]
    interpreter.token_losses(tokens)
    tracemalloc.start()
    with patch.object(sequence_plan, "TILE_FLOATS", 1 << 21):
        interpreter.token_losses(tokens)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 4 * (1 << 21) + (1 << 20) < 4 * length * vocabulary_size


def test_registers_that_no_machine_has_memory_for_are_refused():
    wide = 1 << 20
    instructions = (op.Embed(0), op.Broadcast(0, wide, op.BroadcastKind.TILED), op.Add(1, 1), op.Slice(2, 0, 2))
    interpreter = Interpreter(Program(instructions, 2, 4, 0), [np.eye(2, dtype=np.float32)])
    assert interpreter.logits(np.array([[0, 1]])).tolist() == [[[2, 0], [0, 2]]]
    with pytest.raises(
        BudgetError, match=r"one sequence of 1,048,576 tokens takes 8,.* GiB, .*choose shorter"
    ) as caught:
        interpreter.token_losses(np.zeros((1, (1 << 20) + 1), int))
    assert caught.value.argument == "sequence_length"


def test_programs_without_a_head_at_the_end_have_logits_too():
    tensors = [np.array([[1.0, 2.0], [3.0, -4.0]], np.float32)]
    for last in (op.Shift(0, 1), op.Softcap(0, 2.0, op.SoftcapKind.TANH), op.Add(0, 0)):
        program = Program((op.Embed(0), last), 2, 4, 0)
        assert find_head_start(program) == 2
        check_agreement(RandomProgram(program, tensors, np.array([[0, 1, 1, 0]])))


@pytest.mark.parametrize(("base", "rotary_dims"), [(1e4, 16), (5e5, 64), (1e6, 128), (1e3, 6)])
def test_both_executors_make_the_same_rotations(base, rotary_dims):
    angles = rotation_angles(base, rotary_dims, 2048)
    tables = rotation_table(Rotation(Frequencies(base, rotary_dims)), 0, 2048)
    for found, expected in zip((angles.cos(), angles.sin()), tables, strict=True):
        np.testing.assert_array_max_ulp(found.float().numpy(), expected, 1)


def test_every_operation_is_covered_everywhere():
    registered = set(op.OPERATIONS)
    for covered in (SHAPE_RULES, BINDERS, EXECUTIONS, ADDERS):
        assert set(covered) == registered


def attention_model(window: int, document_reset: bool, heads: int = 4, kv_heads: int = 2, width: int = 32):
    """Two attention layers with rope, exclusion and shift, long enough for several query blocks."""
    random = np.random.default_rng(7)
    tensors = [
        random.standard_normal(shape).astype(np.float32) * 0.2
        for shape in ((50, width), (width // 2, width), (width, width))
    ]
    instructions = [op.Embed(0)]
    for _ in range(2):
        x = len(instructions) - 1
        instructions += [
            op.RmsNorm(x, 1, 1e-6),
            op.Linear(x + 1, 2),
            op.Rope(x + 2, heads, 10000.0, width // heads, op.RopeLayout.HALF_SPLIT),
            op.Linear(x + 1, 1),
            op.Attention(x + 3, x + 4, x + 4, heads, kv_heads, 0.5, window, document_reset),
            op.Exclude(x + 5, x + 4, heads, kv_heads),
            op.Shift(x + 6, 3, document_reset),
            op.Add(x, x + 7),
        ]
    instructions.append(op.Linear(len(instructions) - 1, 0))
    return Program(tuple(instructions), 50, 700, 1), tensors


@pytest.mark.parametrize("document_reset", [False, True])
@pytest.mark.parametrize("window", [0, 1, 37, 5000])
def test_long_sequences_agree(window, document_reset):
    program, tensors = attention_model(window, document_reset)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 700))
    with torch.inference_mode():
        expected = torch_executor(program, tensors).forward(torch.from_numpy(tokens)).numpy()
    assert_close(Interpreter(program, tensors).logits(tokens), expected)


@pytest.mark.parametrize("sinks", [None, Row(3)])
@pytest.mark.parametrize("cap", [0.0, 2.0])
def test_long_sequences_agree_with_caps_and_sinks(cap, sinks):
    program, tensors = attention_model(300, True)
    tensors.append(np.array([-1.0, 0.5, 2.0, 9.0], np.float32))

    def capped(o: op.Operation) -> op.Operation:
        if not isinstance(o, op.Attention):
            return o
        return op.CappedAttention(o.q, o.k, o.v, o.heads, o.kv_heads, o.scale, o.window, True, cap, sinks)

    program = replace(program, instructions=tuple(map(capped, program.instructions)))
    tokens = np.random.default_rng(0).integers(0, 50, (2, 500))
    with torch.inference_mode():
        expected = torch_executor(program, tensors).forward(torch.from_numpy(tokens)).numpy()
    assert_close(Interpreter(program, tensors).logits(tokens), expected)


EACH, DELTA = "rates of each element", "delta rule"


def state_model(heads: int, rule: str = "", groups: int = 2) -> tuple[Program, list[np.ndarray]]:
    """Two layers that carry a state, of heads of 24 // heads elements; slowly decaying, so that positions far back are
    seen.
    """
    random = np.random.default_rng(8)
    shapes = ((50, 24), (heads, 24), (groups * 5, 24), (groups * 5, 24))
    tensors = [random.standard_normal(shape).astype(np.float32) * 0.3 for shape in shapes]
    tensors.append(random.uniform(-5, -1, (heads, 5) if rule == EACH else heads).astype(np.float32))
    instructions: list[op.Operation] = [op.Embed(0)]
    for _ in range(2):
        x = len(instructions) - 1
        instructions += [
            op.RmsNorm(x, 1, 1e-6),
            op.Linear(x + 1, 1),
            op.Activation(x + 2, op.ActivationKind.SOFTPLUS),
            op.Linear(x + 1, 2),
            op.Linear(x + 1, 3),
            op.RmsNorm(x + 4, groups, 1e-6),
            op.Affine(x + 6, 5**-0.5, 0.0),
        ]
        if rule == DELTA:
            instructions.append(op.Activation(x + 2, op.ActivationKind.SIGMOID))
            instructions.append(op.DeltaScan(x + 1, x + 3, x + 8, x + 7, x + 5, heads, groups, 4))
        else:
            instructions.append(op.Scan(x + 1, x + 3, x + 7, x + 5, heads, groups, 4))
        instructions.append(op.Add(x, len(instructions) - 1))
    instructions.append(op.Linear(len(instructions) - 1, 0))
    return Program(tuple(instructions), 50, 150, 1), tensors


@pytest.mark.parametrize(("heads", "rule"), [(4, ""), (4, EACH), (24, EACH), (4, DELTA)])
def test_long_sequences_agree_on_states_and_so_do_gradients(heads, rule):
    """Over several chunks of torch's executor, whose gradients are written out, against those of one chunk."""
    program, tensors = state_model(heads, rule)
    tokens = np.random.default_rng(0).integers(0, 50, (2, 150))
    interpreter = Interpreter(program, tensors)
    assert_close(interpreter.logits(tokens[:1, :30])[0], naive_logits(program, tensors, tokens[0, :30]))
    found = []
    usual = {"CHUNK": chunked_scan.CHUNK, "STEPS": chunked_scan.STEPS}
    for lengths in (usual, dict.fromkeys(usual, 1000)):
        parameters = {i: torch.from_numpy(tensor).double().requires_grad_() for i, tensor in enumerate(tensors)}
        with patch.multiple(chunked_scan, **lengths):
            logits = TorchExecutor(program, parameters).forward(torch.from_numpy(tokens))
            logits.logsumexp(-1).sum().backward()
        found.append([logits.detach(), *(parameter.grad for parameter in parameters.values())])
    assert_close(interpreter.logits(tokens), found[0][0].numpy())
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("rule", ["", EACH, DELTA])
def test_gradients_of_states_are_those_of_finite_differences(rule):
    """Of every operand, over three chunks, with steps of both signs."""
    generator = torch.Generator().manual_seed(3)
    steps = [(2, 5, 4)] * (1 + (rule == DELTA))
    shapes = [(4, 3) if rule == EACH else (4,), (2, 5, 8), *steps, (2, 5, 6), (2, 5, 6)]
    operands = [(torch.randn(shape, generator=generator).double() / 3).requires_grad_() for shape in shapes]
    with patch.multiple(chunked_scan, CHUNK=2, STEPS=2):
        assert torch.autograd.gradcheck(lambda *given: chunked_scan.scanned(*given, heads=4, groups=2), operands)


@pytest.mark.parametrize("rule", ["", EACH, DELTA])
def test_what_a_scan_keeps_for_its_gradients_is_one_state_a_chunk(rule):
    heads, state, length = 4, 3, 8 * chunked_scan.CHUNK
    by_head = [(1, length, heads)] * (2 + (rule == DELTA))
    shapes = [(heads, state) if rule == EACH else (heads,), *by_head, (1, length, state), (1, length, state)]
    operands = [torch.rand(shape).requires_grad_() for shape in shapes]
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        chunked_scan.scanned(*operands, heads=heads, groups=1)
    chunks = length // (chunked_scan.STEPS if rule == EACH else chunked_scan.CHUNK)
    assert sum(kept.values()) <= sum(tensor.nbytes for tensor in operands) + chunks * heads * state * 4


def test_states_that_grow_beyond_all_numbers_give_no_numbers():
    program, tensors = state_model(4)
    steps = next(k for k, o in enumerate(program.instructions) if isinstance(o, op.Activation))
    instructions = list(program.instructions)
    instructions[steps] = op.Affine(steps - 1, -1000.0, 0.0)
    interpreter = Interpreter(replace(program, instructions=tuple(instructions)), tensors)
    assert np.isnan(interpreter.token_losses(np.random.default_rng(0).integers(0, 50, (1, 20)))[0, -1])


def test_states_that_no_machine_has_memory_for_are_refused():
    wide = 1 << 16
    instructions = (
        op.Embed(0),
        op.Broadcast(0, wide, op.BroadcastKind.TILED),
        op.Slice(1, 0, 1),
        op.Scan(1, 2, 1, 1, 1, 1, 1),
        op.Slice(3, 0, 2),
    )
    tensors = [np.eye(2, dtype=np.float32), np.zeros(1, np.float32)]
    interpreter = Interpreter(
        Program(instructions, 2, 4, 0), tensors, replace(DEFAULT_LIMITS, multiply_adds_per_token=1 << 40)
    )
    with (
        patch.object(sequence_plan, "memory_bytes", lambda: 1 << 33),
        pytest.raises(BudgetError, match=r"takes 16\.0 GiB"),
    ):
        interpreter.token_losses(np.zeros((1, 3), int))


def test_a_sequence_does_not_depend_on_its_batch_or_thread():
    program, tensors = attention_model(0, True)
    interpreter = Interpreter(program, tensors)
    tokens = np.random.default_rng(1).integers(0, 50, (6, 129))
    together = interpreter.token_losses(tokens)
    apart = np.concatenate([interpreter.token_losses(row[None]) for row in tokens])
    assert np.array_equal(together, apart)
    barrier = threading.Barrier(3)

    def run(index):
        barrier.wait()
        return interpreter.token_losses(tokens[2 * index : 2 * index + 2])

    with ThreadPoolExecutor(3) as pool:
        assert np.array_equal(together, np.concatenate(list(pool.map(run, range(3)))))


def test_tokens_see_no_future():
    program, tensors = attention_model(0, False)
    interpreter = Interpreter(program, tensors)
    tokens = np.random.default_rng(2).integers(0, 50, (1, 40))
    changed = tokens.copy()
    changed[0, 25:] = (changed[0, 25:] + 1) % 50
    before, after = interpreter.logits(tokens), interpreter.logits(changed)
    np.testing.assert_allclose(before[0, :25], after[0, :25], rtol=1e-5, atol=1e-6)
    assert np.abs(before[0, 25:] - after[0, 25:]).max() > 1e-3


def test_interpreter_refuses_tokens_out_of_range_and_names_the_place():
    program, tensors = attention_model(0, False)
    interpreter = Interpreter(program, tensors)
    for bad in (50, -1):
        with pytest.raises(DataError, match=rf"token id {bad} at position 2 of sequence 1 .*vocabulary size 50"):
            interpreter.logits(np.array([[0, 1, 2], [3, 4, bad]]))
    with pytest.raises(ValueError, match="1 dimensions"):
        interpreter.logits(np.array([1, 2]))


def test_interpreter_refuses_other_dtypes_and_unfitting_tensors():
    program, tensors = attention_model(0, False)
    with pytest.raises(ValueError, match="tensor 0 is float64"):
        Interpreter(program, [tensors[0].astype(np.float64), *tensors[1:]])
    with pytest.raises(ValueError, match="tensor 1 is float32, expected C-contiguous"):
        Interpreter(program, [tensors[0], np.asfortranarray(tensors[1]), tensors[2]])
    with pytest.raises(InvalidArtifact):
        Interpreter(program, tensors[:2])
    with pytest.raises(InvalidArtifact):
        torch_executor(program, tensors[:2])


def test_batches_of_nothing_and_of_one_token():
    program, tensors = attention_model(0, True)
    interpreter = Interpreter(program, tensors)
    assert interpreter.logits(np.zeros((0, 5), int)).shape == (0, 5, 50)
    assert interpreter.token_losses(np.zeros((2, 1), int)).shape == (2, 0)
    assert interpreter.logits(np.zeros((2, 1), int)).shape == (2, 1, 50)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_give_nan_losses_not_numbers(wrong):
    program, tensors = attention_model(0, False)
    tensors[2] = tensors[2].copy()
    tensors[2][3, 3] = wrong
    with np.errstate(invalid="ignore"):
        losses = Interpreter(program, tensors).token_losses(np.random.default_rng(3).integers(0, 50, (1, 9)))
    assert np.isnan(losses[0, -1])


def test_losses_of_extreme_logits():
    tensors = [np.array([[3e4, -3e4, 0.0]], np.float32).repeat(3, axis=0), np.eye(3, dtype=np.float32)]
    program = Program((op.Embed(0), op.Linear(0, 1)), 3, 4, 0)
    losses = Interpreter(program, tensors).token_losses(np.array([[0, 0, 1, 2]]))
    np.testing.assert_allclose(losses, [[0.0, 6e4, 3e4]])


@given(case=programs())
@MANY
def test_live_registers_never_share_a_buffer(case):
    shapes = validate_program(case.program, [tensor.shape for tensor in case.tensors])
    buffers, capacities = assign_buffers(case.program, shapes, len(case.program.instructions))
    for later in range(len(buffers)):
        assert shapes.widths[later] <= capacities[buffers[later]]
        live = [register for register in range(later) if shapes.last_use[register] >= later]
        assert buffers[later] not in {buffers[register] for register in live}


def test_activation_kernels_at_the_ends_of_the_range():
    x = np.array([-np.inf, -1e30, -100, -30, -5, -1e-3, 0, 1e-3, 5, 30, 100, 1e30], np.float32)
    out = np.empty_like(x)
    sigmoid(x, out)
    exact = 1 / (1 + np.exp(-np.clip(x.astype(np.float64), -700, 700)))
    np.testing.assert_allclose(out, exact, rtol=1e-6, atol=1e-37)
    gelu(x[1:], out[1:])
    values = torch.from_numpy(x[1:]).double()
    np.testing.assert_allclose(out[1:], torch.nn.functional.gelu(values).numpy(), rtol=1e-6, atol=1e-9)


def test_softplus_kernel_is_accurate_over_its_whole_range():
    x = np.concatenate((np.linspace(-80, 80, 200_001), [np.inf, -1e30, 1e30])).astype(np.float32)
    out = np.empty_like(x)
    softplus(x, out)
    np.testing.assert_allclose(out, np.logaddexp(0, x.astype(np.float64)), rtol=1e-6, atol=1e-37)
    softplus(np.array([np.nan], np.float32), out[:1])
    assert np.isnan(out[0])


def test_gelu_kernel_is_accurate_over_its_whole_range():
    x = np.linspace(-12, 12, 200_001, dtype=np.float32)
    out = np.empty_like(x)
    gelu(x, out)
    exact = torch.nn.functional.gelu(torch.from_numpy(x).double()).numpy()
    assert (np.abs(out - exact) <= 3e-7 * np.maximum(np.abs(x), 1e-3)).all()


def test_torch_executor_offers_every_register_and_takes_replacements():
    program, tensors = attention_model(0, False)
    executor = torch_executor(program, tensors)
    tokens = torch.randint(0, 50, (2, 11), generator=torch.Generator().manual_seed(0))
    seen = []

    def record(index, value):
        seen.append((index, tuple(value.shape)))
        return value

    plain = executor.forward(tokens, registers=record)
    assert seen == [(k, (2, 11, width)) for k, width in enumerate(executor.shapes.widths)]
    assert torch.equal(plain, executor.forward(tokens))
    replaced = executor.forward(tokens, registers=lambda k, value: torch.zeros_like(value) if k == 8 else value)
    assert not torch.allclose(plain, replaced)


@given(case=programs())
@FEW
def test_torch_gradients_match_finite_differences(case):
    tensors = {index: torch.from_numpy(tensor).double().requires_grad_() for index, tensor in enumerate(case.tensors)}
    executor, tokens = TorchExecutor(case.program, tensors), torch.from_numpy(case.tokens)
    gradients = torch.autograd.grad(executor.losses(tokens).double().sum(), list(tensors.values()), allow_unused=True)
    directions = [torch.randn(t.shape, generator=torch.Generator().manual_seed(5)).double() for t in tensors.values()]
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)

    def shifted(step):
        moved = {index: (t + step * d).detach() for (index, t), d in zip(tensors.items(), directions, strict=True)}
        logits = TorchExecutor(case.program, moved).forward(tokens[:, :-1])
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum"))

    estimates = [(shifted(step) - shifted(-step)) / (2 * step) for step in (1e-4, 1e-5, 1e-6)]
    assert min(abs(estimate - slope) for estimate in estimates) <= 1e-3 * max(1.0, abs(slope))


@given(case=programs())
@FEW
def test_torch_executor_stays_on_its_tensors_device(case):
    """The meta device refuses to mix with any other, as an accelerator would."""
    tensors = {index: torch.from_numpy(tensor).to("meta") for index, tensor in enumerate(case.tensors)}
    losses = TorchExecutor(case.program, tensors).losses(torch.from_numpy(case.tokens).to("meta"))
    assert losses.device.type == "meta"
    assert losses.shape == (case.tokens.shape[0], case.tokens.shape[1] - 1)


def test_torch_gradients_reach_tensors_and_registers():
    program, tensors = attention_model(5, True)
    parameters = {index: torch.from_numpy(tensor).requires_grad_() for index, tensor in enumerate(tensors)}
    kept = {}

    def keep(index, value):
        value.retain_grad()
        kept[index] = value
        return value

    tokens = torch.randint(0, 50, (2, 12), generator=torch.Generator().manual_seed(1))
    TorchExecutor(program, parameters).losses(tokens, registers=keep).mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in parameters.values())
    assert all(value.grad is not None for value in kept.values())


def test_a_vector_reaches_scalars_heads_and_widths_alike():
    tensors = [
        np.ones((2, 4), np.float32),
        np.array([[2.0, 3.0], [5.0, 7.0]], np.float32),
        np.array([11.0], np.float32),
    ]
    program = Program((op.Embed(0), op.Scale(0, Row(1, 1)), op.Scale(1, Row(2)), op.Slice(2, 1, 3)), 2, 4, 0)
    expected = np.array([[[55.0, 77.0]]], np.float32)
    assert np.array_equal(Interpreter(program, tensors).logits(np.array([[0]])), expected)
    assert np.array_equal(torch_executor(program, tensors).forward(torch.tensor([[0]])).numpy(), expected)

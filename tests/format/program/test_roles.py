"""What tensors are for, read off programs made by hand in the shapes that real models have."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from bytecap.format.program import operations as op
from bytecap.format.program.operands import RegisterOperand, Row, RowOperand, TensorOperand
from bytecap.format.program.program import Program
from bytecap.format.program.roles import VECTOR_ROLES, find_map_uses, tensor_uses
from bytecap.format.program.walk import MOST_STEPS

TANH, SILU, SIGMOID = op.ActivationKind.TANH, op.ActivationKind.SILU, op.ActivationKind.SIGMOID


class Writer:
    """Instructions one after another; `add` gives the register that each writes."""

    def __init__(self) -> None:
        self.instructions, self.names = [], []

    def add(self, instruction) -> int:
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def tensor(self, name: str) -> int:
        if name not in self.names:
            self.names.append(name)
        return self.names.index(name)

    def linear(self, register: int, name: str) -> int:
        return self.add(op.Linear(register, self.tensor(name)))

    def roles(self, sources=None) -> dict[str, str]:
        program = Program(tuple(self.instructions), 8, 8, 0)
        uses = tensor_uses(program, self.names, sources)
        return {name: use.role for name, use in zip(self.names, uses, strict=True)}


def attention(q: int, k: int, v: int):
    return op.Attention(q, k, v, 2, 1, 0.5)


def llama(writer: Writer, layers: int = 2, head: str = "head") -> Writer:
    stream = writer.add(op.Embed(writer.tensor("table")))
    for layer in range(layers):
        normed = writer.add(op.RmsNorm(stream, 1, 1e-6, Row(writer.tensor(f"norm{layer}"))))
        q, k, v = (writer.linear(normed, f"{part}{layer}") for part in "qkv")
        turned = writer.add(op.Rope(q, 2, 1e4, 2, op.RopeLayout.HALF_SPLIT))
        out = writer.linear(writer.add(attention(turned, k, v)), f"o{layer}")
        stream = writer.add(op.Add(stream, out))
        gate = writer.add(op.Activation(writer.linear(stream, f"gate{layer}"), SILU))
        product = writer.add(op.Multiply(gate, writer.linear(stream, f"up{layer}")))
        stream = writer.add(op.Add(stream, writer.linear(product, f"down{layer}")))
    writer.add(op.Softcap(writer.linear(stream, head), 30.0, op.SoftcapKind.TANH))
    return writer


def test_a_gated_model():
    roles = llama(Writer()).roles()
    assert {name: role for name, role in roles.items() if name.endswith("1")} == {
        "norm1": "norm gain",
        "q1": "attention q",
        "k1": "attention k",
        "v1": "attention v",
        "o1": "attention o",
        "gate1": "mlp gate",
        "up1": "mlp up",
        "down1": "mlp down",
    }
    assert (roles["table"], roles["head"]) == ("token table", "head")


def test_a_tied_head_has_both_roles():
    assert llama(Writer(), head="table").roles()["table"] == "token table + head"


def test_layers_are_those_of_the_names_or_else_counted():
    writer = llama(Writer())
    program = Program(tuple(writer.instructions), 8, 8, 0)
    counted = dict(zip(writer.names, tensor_uses(program, writer.names), strict=True))
    assert [counted[name].layer for name in ("table", "q0", "down0", "k1", "down1", "norm1")] == [
        None,
        0,
        0,
        1,
        1,
        None,
    ]
    named = tensor_uses(program, [f"blocks.7.{name}" for name in writer.names])
    assert {use.layer for use in named} == {7}


def test_layers_that_run_again_are_counted_once():
    writer = llama(Writer())
    once = writer.instructions[1 : len(writer.instructions) - 2]
    shifted = []
    for instruction in once:  # the same two layers once more, then two of other weights
        moved = {
            name: value + len(once)
            for name, kind, value in instruction.values()
            if isinstance(kind, RegisterOperand) and name in ("x", "y", "q", "k", "v")
        }
        shifted.append(replace(instruction, **moved))
    program = Program((*writer.instructions[:-2], *shifted, op.Linear(2 * len(once), writer.tensor("head"))), 8, 8, 0)
    uses = dict(zip(writer.names, tensor_uses(program, writer.names), strict=True))
    assert [uses[name].layer for name in ("q0", "o0", "q1", "down1")] == [0, 0, 1, 1]
    renamed = [
        replace(instruction, weight=writer.tensor(f"again {instruction.weight}"))
        if isinstance(instruction, op.Linear) and index >= len(shifted) // 2
        else instruction
        for index, instruction in enumerate(shifted)
    ]
    program = Program((*writer.instructions[:-2], *renamed, op.Linear(2 * len(once), writer.tensor("head"))), 8, 8, 0)
    uses = dict(zip(writer.names, tensor_uses(program, writer.names), strict=True))
    assert {use.layer for name, use in uses.items() if name.startswith("again")} == {2}


def test_one_map_of_queries_keys_and_values():
    writer = Writer()
    x = writer.add(op.Embed(writer.tensor("table")))
    fused = writer.linear(x, "qkv")
    parts = [writer.add(op.Slice(fused, start, start + 4)) for start in (0, 4, 8)]
    joined = writer.add(op.Activation(writer.linear(writer.add(attention(*parts)), "o"), TANH))
    writer.linear(joined, "head")
    assert writer.roles() == {"table": "token table", "qkv": "attention q+k+v", "o": "attention o", "head": "head"}


def test_a_map_of_keys_that_a_later_layer_takes_for_values_stays_one_of_keys():
    writer = Writer()
    x = writer.add(op.Embed(writer.tensor("table")))
    key = writer.linear(x, "k")
    first = writer.linear(writer.add(attention(writer.linear(x, "q0"), key, writer.linear(x, "v"))), "o0")
    second = writer.linear(writer.add(attention(writer.linear(x, "q1"), writer.linear(x, "k1"), key)), "o1")
    writer.linear(writer.add(op.Add(first, second)), "head")
    roles = writer.roles()
    assert (roles["k"], roles["k1"], roles["v"]) == ("attention k", "attention k", "attention v")


def test_gates_and_tables_of_values():
    writer = Writer()
    x = writer.add(op.Embed(writer.tensor("table")))
    values = writer.add(op.Embed(writer.tensor("values")))
    q, k, v = (writer.linear(x, part) for part in "qkv")
    mixed = writer.add(op.Add(v, writer.linear(values, "projection")))
    heads = writer.add(attention(q, k, mixed))
    gate = writer.add(op.Activation(writer.linear(x, "gate"), SIGMOID))
    wide = writer.add(op.Broadcast(gate, 4, op.BroadcastKind.SPREAD))
    writer.linear(writer.linear(writer.add(op.Multiply(heads, wide)), "o"), "head")
    assert writer.roles() == {
        "table": "token table",
        "values": "value table",
        "q": "attention q",
        "k": "attention k",
        "v": "attention v",
        "projection": "table projection",
        "gate": "attention gate",
        "o": "attention o",
        "head": "head",
    }


def test_a_factor_has_the_role_of_its_product_and_an_unknown_map_its_name():
    writer = Writer()
    x = writer.add(op.Embed(writer.tensor("table")))
    q = writer.linear(writer.linear(x, "q_a"), "q_b")
    k, v = writer.linear(x, "k"), writer.linear(x, "v")
    out = writer.linear(writer.add(attention(q, k, v)), "o")
    other = writer.linear(writer.add(op.Add(out, x)), "side.3.map")
    writer.linear(writer.add(op.Add(out, other)), "head")
    roles = writer.roles()
    assert (roles["q_a"], roles["q_b"]) == ("attention q", "attention q")
    assert roles["side.3.map"] == "side.*.map"


def test_what_only_aliases_use_has_their_role():
    writer = llama(Writer())
    writer.names.append("source")
    sources = [[] for _ in writer.names]
    sources[writer.names.index("head")] = [writer.names.index("source")]
    assert writer.roles(sources)["source"] == "head"


def test_every_operand_that_names_a_tensor_has_a_role():
    found = {
        (operation, name)
        for operation in op.OPERATIONS
        for name, kind in operation.operands
        if isinstance(kind, RowOperand | TensorOperand)
    }
    assert found - set(VECTOR_ROLES) == {(op.Embed, "table"), (op.Linear, "weight")}


@pytest.mark.parametrize("length", [20_000])
def test_a_program_made_to_be_walked_for_long_is_not(length):
    instructions = [op.Embed(0)] + [op.Affine(i, 1.0, 0.0) for i in range(length)]
    instructions += [op.Linear(length, 1) for _ in range(length)]
    start = time.perf_counter()
    find_map_uses(Program(tuple(instructions), 8, 8, 0))
    assert time.perf_counter() - start < 20
    assert MOST_STEPS < length * length

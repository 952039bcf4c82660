"""Models of the merged records: their programs against an independent forward pass, and their tensors back again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from naive_record import NaiveRecord
from record_families import FAMILIES, checkpoint_of, family, some_tokens
from record_states import Record, random_state

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.frontends.parameter_golf.records import RECORDS
from bytecap.compiler.frontends.parameter_golf.traits import traits_of
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.runtime.interpreter import Interpreter


@pytest.fixture(autouse=True, scope="module")
def one_torch_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_record_computes_what_its_description_says(name):
    record, state, model = family(name)
    tokens = some_tokens(record.vocabulary)
    naive = NaiveRecord(record, state)
    expected = torch.stack([naive(sequence) for sequence in tokens])
    values = [tensor.values for tensor in model.tensors]
    executor = TorchExecutor(model.program, {i: torch.from_numpy(v) for i, v in enumerate(values)})
    torch.testing.assert_close(executor.forward(tokens), expected, rtol=0, atol=1e-4)
    runtime = torch.from_numpy(Interpreter(model.program, values).logits(tokens.numpy()))
    torch.testing.assert_close(runtime, expected, rtol=0, atol=1e-4)


def unread(record: Record) -> set[str]:
    """Tensors that a record's model does not read: an attention left out, a head beside the tied one."""
    first = {"blocks.0.attn_scale", "blocks.0.attn.q_gain"}
    return {"lm_head.weight"} if "ternary" in record.parts else first if not record.first_attention else set()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_tensors_come_back_with_names_banks_and_shapes(name):
    record, state, model = family(name)
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert {name: values.shape for name, values in restored.items()} == {
        name: tuple(values.shape) for name, values in state.items() if name != "lm_head.weight"
    }
    for name, values in restored.items():
        exact = values if record.first_attention else np.where(values == 0, state[name].numpy(), values)
        if name not in unread(record) and "ternary" not in record.parts:
            np.testing.assert_allclose(exact, state[name].numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_document_of_a_model_rebuilds_it(name):
    _, state, model = family(name)
    again = build_model(checkpoint_of(state), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.defaults == () and again.architecture == model.architecture
    restored = restored_tensors(model.program, model.tensors)
    export = Checkpoint({t.name: t.values for t in restored}, {t.name: t.dtype for t in restored}, Path("export.pt"))
    used = dict(model.architecture)
    if "bitnet_group_size" in used:
        used |= {"bitnet_group_size": 0}  # what comes back is ternary already
    exported = build_model(export, used)
    assert exported.program == model.program
    for before, after in zip(model.tensors, exported.tensors, strict=True):
        np.testing.assert_allclose(after.values, before.values, rtol=2e-6, atol=2e-6, err_msg=before.name)


def unbanked(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the records' quantized files have it: the matrices of the banks one by one, under the usual names."""
    names = {"qo_bank": ("attn.c_q", "attn.proj"), "kv_bank": ("attn.c_k", "attn.c_v")}
    names |= {"mlp_up_bank": ("mlp.fc",), "mlp_down_bank": ("mlp.proj",)}
    plain = {name: values for name, values in state.items() if name not in names}
    for bank, parts in names.items():
        layers = len(state[bank]) // len(parts)
        for index, matrix in enumerate(state[bank]):
            plain[f"blocks.{index % layers}.{parts[index // layers]}.weight"] = matrix
    return plain


@pytest.mark.parametrize("name", [name for name, (record, _, _) in FAMILIES.items() if "banks" in record.parts])
def test_banks_may_stand_one_by_one(name):
    record, state, model = family(name)
    plain = build_model(checkpoint_of(unbanked(state)), model.architecture)
    tokens = some_tokens(record.vocabulary).numpy()
    first, second = (Interpreter(m.program, [t.values for t in m.tensors]).logits(tokens) for m in (model, plain))
    np.testing.assert_array_equal(first, second)
    restored = {tensor.name: tensor.values.shape for tensor in restored_tensors(plain.program, plain.tensors)}
    assert restored == {name: tuple(values.shape) for name, values in unbanked(state).items()}


def test_families_cover_the_parts_of_every_record():
    covered = {traits_of(random_state(record, 1, rows)) for record, _, rows in FAMILIES.values()}
    missing = {record.name: record.traits for record in RECORDS.values() if record.traits not in covered}
    assert not missing

"""A table and a head that are one matrix in two types: found by what the types round, and read as one."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from gguf_files import LLAMA, Kind, under_ggufs_names, write_gguf
from naive_llama import Llama

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.rounded_twins import ROUNDING, StoredMatrix, find_twins
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.frontends import build_model

NAIVE = Llama(width=32, hidden=32, heads=4, head=8, vocabulary=64)
TABLE, HEAD = "model.embed_tokens.weight", "lm_head.weight"
BITS = {"Q4_0": 4.5, "Q4_1": 5.0, "Q5_0": 5.5, "Q5_1": 6.0, "Q8_0": 8.5, "BF16": 8, "F16": 11}
ONE_MATRIX = (
    f"{TABLE} (Q5_0) and {HEAD} (Q8_0) are one matrix, read from {HEAD}: they differ by 4.",
    " %, as much as Q5_0 rounds; tie_word_embeddings = false in an --architecture file keeps them apart",
)


def rounded(values, kind):
    return gguf.quants.dequantize(gguf.quants.quantize(values, Kind[kind]), Kind[kind])


def written(path, table, head, kinds):
    """A Llama with this table and head, in types by GGUF's names."""
    state = NAIVE.state(0) | {TABLE: table, HEAD: head}
    of = {name: Kind[kind] for name, kind in kinds.items()}
    return write_gguf(path, "llama", LLAMA, under_ggufs_names(state), of)


@pytest.fixture
def table():
    return np.random.default_rng(3).standard_normal((64, 32)).astype(np.float32)


def test_a_table_and_a_head_that_are_one_matrix_are_read_as_the_finer(tmp_path, table):
    kinds = {"token_embd.weight": "Q5_0", "output.weight": "Q8_0"}
    path = written(tmp_path / "m.gguf", table, table, kinds)
    model = build_model(read_checkpoint(path))
    named = {tensor.name: tensor.values for tensor in model.tensors}
    assert HEAD not in named and np.array_equal(named[TABLE], rounded(table, "Q8_0"))
    assert model.architecture["tie_word_embeddings"] is True
    assert model.configuration["tie_word_embeddings"] is True
    (note,) = (note for note in model.notes if "one matrix" in note)
    assert note.startswith(ONE_MATRIX[0]) and note.endswith(ONE_MATRIX[1])


@pytest.mark.parametrize("kinds", [("Q5_0", "Q8_0"), ("Q8_0", "Q5_0"), ("F16", "F16"), ("Q4_0", "BF16")], ids="-".join)
def test_who_says_that_they_are_two_gets_both_as_they_are_stored(tmp_path, table, kinds):
    path = written(tmp_path / "m.gguf", table, table, {"token_embd.weight": kinds[0], "output.weight": kinds[1]})
    apart = build_model(read_checkpoint(path), {"tie_word_embeddings": False})
    named = {tensor.name: tensor.values for tensor in apart.tensors}
    stored = {TABLE: rounded(table, kinds[0]), HEAD: rounded(table, kinds[1])}
    assert all(np.array_equal(named[name], values) for name, values in stored.items())
    assert not any("one matrix" in note for note in apart.notes)
    together = build_model(read_checkpoint(path))
    assert apart.parameters - together.parameters == table.size
    finer = min(kinds, key=lambda kind: np.abs(rounded(table, kind) - table).max())
    (one,) = (tensor for tensor in together.tensors if tensor.name == TABLE)
    assert np.array_equal(one.values, rounded(table, finer))
    assert one.dtype == {"F16": "float16", "BF16": "bfloat16"}.get(finer, "float32")
    equal = [note for note in together.notes if "they are equal" in note]
    assert bool(equal) == (kinds == ("F16", "F16"))


@pytest.mark.parametrize("change", ["another", "scaled", "a row", "a few tokens' rows"])
def test_a_head_of_its_own_is_read_as_one(tmp_path, table, change):
    head = table.copy()
    rows = {"another": slice(None), "scaled": slice(None), "a row": slice(7, 8), "a few tokens' rows": slice(0, 3)}
    head[rows[change]] *= 1.2 if change == "scaled" else np.random.default_rng(4).standard_normal(32)
    kinds = {"token_embd.weight": "Q5_0", "output.weight": "Q8_0"}
    model = build_model(read_checkpoint(written(tmp_path / "m.gguf", table, head, kinds)))
    assert model.architecture["tie_word_embeddings"] is False and model.parameters > 2 * table.size
    assert not any("one matrix" in note for note in model.notes)


def test_a_head_that_is_left_out_or_renamed_is_no_twin(tmp_path, table):
    path = written(tmp_path / "m.gguf", table, table, {"token_embd.weight": "Q5_0", "output.weight": "Q8_0"})
    without = build_model(read_checkpoint(path, Selection(ignore=(HEAD,))), {"tie_word_embeddings": True})
    assert np.array_equal(next(t.values for t in without.tensors if t.name == TABLE), rounded(table, "Q5_0"))
    assert not any("one matrix" in note for note in without.notes)


@pytest.mark.parametrize("kind", BITS)
def test_what_a_type_rounds_is_within_its_bound_and_four_times_that_is_not(kind):
    """Of numbers as they are in trained tables: rows of different sizes, with heavy tails."""
    random = np.random.default_rng(5)
    values = random.standard_t(5, (512, 256)) * np.exp(random.standard_normal((512, 1)))
    values = values.astype(np.float32)
    whole = StoredMatrix("head", values, "F32", 24)
    twins = find_twins(StoredMatrix("table", rounded(values, kind), kind, BITS[kind]), whole)
    assert twins is not None and twins.finer == "head"
    errors = random.standard_normal(values.shape) * np.linalg.norm(values, axis=1, keepdims=True) / 16
    beyond = (values + 4 * 2.0 ** (ROUNDING - BITS[kind]) * errors).astype(np.float32)
    assert find_twins(StoredMatrix("table", beyond, kind, BITS[kind]), whole) is None


@pytest.mark.parametrize("head", [np.zeros((4, 8)), np.zeros((0, 4)), np.zeros(4), np.full((8, 4), np.nan)])
def test_matrices_that_cannot_be_compared_are_two(head):
    table = StoredMatrix("table", np.ones((8, 4), np.float32), "F16", 11)
    assert find_twins(table, StoredMatrix("head", head.astype(np.float32), "F16", 11)) is None

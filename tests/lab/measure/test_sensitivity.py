"""Sensitivity of units: which weights they are, each sensitivity against a slow twin, stability against
its definition.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
from html_pages import origin_named
from naive_sensitivity import naive_part_loss, naive_quantization_error, naive_ranks
from tiny_models import ARCHITECTURE, bare_model, golf_model, random_sequences

from bytecap.compiler.model.model import ModelTensor
from bytecap.compiler.statistics.calibration import measure_statistics
from bytecap.compiler.statistics.swaps import measure_divergences, predicted_swap_losses
from bytecap.errors import CheckpointError, DataError
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.lab.measure.rank_stability import count_of, rank_correlation, rank_stability, ranks, top_shares
from bytecap.lab.measure.sensitivity import MEASURED, METHODS, SensitivityOptions, data_slices, measure_sensitivity
from bytecap.lab.measure.sensitivity_plot import plot_sensitivity
from bytecap.lab.measure.unit_losses import (
    gradient_losses,
    quantization_error,
    row_errors,
    second_order_losses,
    swapped,
    weight_matrices,
)
from bytecap.lab.measure.units import GRANULARITIES, find_units
from bytecap.progress import silent

MODEL = golf_model(3)
LENGTH, VOCABULARY = ARCHITECTURE["seq_len"], ARCHITECTURE["vocab_size"]
TEXT = random_sequences(VOCABULARY, 64, LENGTH, seed=6).ravel()
HELD_OUT = random_sequences(VOCABULARY, 8, LENGTH, seed=7)
NAMES = [tensor.name for tensor in MODEL.tensors]


@pytest.fixture(scope="module")
def statistics():
    return measure_statistics(MODEL, TEXT.reshape(-1, LENGTH), batch_sequences=4, seed=0, device="cpu", threads=1)


def sensitivity(kind="tensors", by="second-order", **changes):
    how = {"threads": 1, "progress": silent} | {k: changes.pop(k) for k in ("threads", "progress") if k in changes}
    options = SensitivityOptions(
        **{"kind": kind, "by": by, "bits": 4, "slices": 2, "top": 5, "tokens": 512, "seed": 0} | changes
    )
    return measure_sensitivity(MODEL, TEXT, HELD_OUT, options, **how)


def covered(model, kind):
    """How many units hold each weight, by tensor."""
    counts = [np.zeros(w.shape, int) for w in weight_matrices(model)]
    for unit in find_units(model, kind):
        before = sum(int(count.sum()) for count in counts)
        for part in unit.submatrices:
            counts[part.tensor][part.rows, part.columns] += 1
        assert sum(int(count.sum()) for count in counts) - before == unit.weights
    return dict(zip((tensor.name for tensor in model.tensors), counts, strict=True))


@pytest.mark.parametrize("kind", ["tensors", "blocks"])
def test_tensors_and_blocks_hold_every_weight_once(kind):
    assert all((count == 1).all() for count in covered(MODEL, kind).values())


@pytest.mark.parametrize("kind", ["rows", "channels"])
def test_rows_and_channels_hold_every_weight_of_a_matrix_once(kind):
    for name, count in covered(MODEL, kind).items():
        assert (count == name.endswith(".weight")).all()


@pytest.mark.parametrize("heads", [1, 2])
def test_heads_hold_the_projections_of_attention_once(heads):
    """Two query heads share a key-value head, or each has its own."""
    model = golf_model(num_kv_heads=heads)
    for name, count in covered(model, "heads").items():
        assert (count == (".attn." in name and name.endswith(".weight"))).all()
    units = [unit.name for unit in find_units(model, "heads") if unit.name.startswith("blocks.0")]
    shared = ["blocks.0 query head 0", "blocks.0 query head 1", "blocks.0 key-value head 0"]
    assert units == (["blocks.0 head 0", "blocks.0 head 1"] if heads == 2 else shared)
    first = find_units(model, "heads")[0]
    parts = {
        model.tensors[p.tensor].name.removeprefix("blocks.0.attn."): (p.rows, p.columns) for p in first.submatrices
    }
    assert parts["c_q.weight"] == (slice(0, 8), slice(0, 16)) and parts["proj.weight"] == (slice(0, 16), slice(0, 8))


def test_removing_a_head_is_leaving_its_output_out():
    """Found by what the program computes: without the columns that read it, nothing of a query head matters."""
    errors = [quantization_error(w, 0) for w in weight_matrices(MODEL)]
    head = find_units(MODEL, "heads")[1]
    values = swapped(MODEL, head, errors)
    output = NAMES.index("blocks.0.attn.proj.weight")
    alone = {output: values[output]}
    assert sorted(NAMES[i] for i in values) == ["blocks.0.attn.c_q.weight", "blocks.0.attn.proj.weight"]
    whole, part = measure_divergences(MODEL, [values, alone], HELD_OUT, threads=1)
    assert whole == pytest.approx(part, rel=1e-6) and whole > 0


@pytest.mark.parametrize("tied", [True, False])
def test_a_token_is_its_rows_in_both_tables(tied):
    model = golf_model(tie_embeddings=tied)
    units = find_units(model, "tokens")
    tables = ["tok_emb.weight"] if tied else ["tok_emb.weight", "lm_head.weight"]
    assert len(units) == VOCABULARY and units[5].name == "token 5"
    assert [(model.tensors[p.tensor].name, p.rows) for p in units[5].submatrices] == [
        (name, slice(5, 6)) for name in tables
    ]


def fused_model(names=True):
    """Two attentions whose q, k and v are slices of one matrix, behind a norm; nothing in the names tells blocks."""
    random, operations, x = np.random.default_rng(0), [op.Embed(0)], 0
    for tensor in (1, 3):
        first = len(operations)
        operations += [
            op.RmsNorm(x, 1, 1e-6),
            op.Linear(first, tensor),
            op.Slice(first + 1, 0, 4),
            op.Slice(first + 1, 4, 8),
        ]
        operations += [
            op.Slice(first + 1, 8, 12),
            op.Attention(first + 2, first + 3, first + 4, 2, 2, 0.5),
            op.Linear(first + 5, tensor + 1),
        ]
        operations += [op.Add(x, first + 6)]
        x = first + 7
    operations.append(op.Linear(x, 5))
    shapes = [(9, 4), (12, 4), (4, 4), (12, 4), (4, 4), (9, 4)]
    return bare_model(Program(tuple(operations), 9, 8, 1), *(random.standard_normal(shape) for shape in shapes))


def test_heads_and_blocks_are_found_without_names():
    model = fused_model()
    heads = find_units(model, "heads")
    assert [unit.name for unit in heads] == [f"attention {k} head {h}" for k in range(2) for h in range(2)]
    assert [(p.tensor, p.rows, p.columns) for p in heads[3].submatrices] == [
        (3, slice(2, 4), slice(0, 4)),
        (4, slice(0, 4), slice(2, 4)),
        (3, slice(6, 8), slice(0, 4)),
        (3, slice(10, 12), slice(0, 4)),
    ]
    blocks = {unit.name: [p.tensor for p in unit.submatrices] for unit in find_units(model, "blocks")}
    assert blocks == {"outside blocks": [0, 5], "block 0": [1, 2], "block 1": [3, 4]}


def test_a_model_without_attention_has_no_heads():
    model = bare_model(Program((op.Embed(0), op.Linear(0, 1)), 9, 8, 1), np.ones((9, 4)), np.ones((9, 4)))
    with pytest.raises(CheckpointError, match="no heads"):
        find_units(model, "heads")


@pytest.mark.parametrize("bits", [2, 3, 5])
def test_quantization_error_is_that_of_the_nearest_value(bits):
    weights = np.random.default_rng(bits).standard_normal((5, 7))
    np.testing.assert_allclose(quantization_error(weights, bits), naive_quantization_error(weights, bits), atol=1e-12)


def test_removal_and_rows_of_zeros():
    weights = np.array([[1.0, -2.0], [0.0, 0.0]])
    assert (quantization_error(weights, 0) == -weights).all()
    assert (quantization_error(weights, 4)[1] == 0).all()


@pytest.mark.parametrize("kind", GRANULARITIES)
def test_second_order_losses_are_the_sum_over_all_pairs_of_weights(kind, statistics):
    units = find_units(MODEL, kind)
    errors = [quantization_error(w, 3) for w in weight_matrices(MODEL)]
    found = second_order_losses(units, errors, statistics)
    for unit, score in list(zip(units, found, strict=True))[:: max(1, len(units) // 12)]:
        expected = 0.0
        for part in unit.submatrices:
            if part.tensor in statistics.matrices:
                expected += naive_part_loss(part, errors[part.tensor], statistics.matrices[part.tensor])
            else:
                fisher = statistics.vectors[part.tensor].reshape(errors[part.tensor].shape)
                expected += 0.5 * float((fisher * errors[part.tensor] ** 2)[part.rows, part.columns].sum())
        assert score == pytest.approx(expected, rel=1e-6)
    assert found.any()


def test_losses_of_tensors_are_the_predicted_swap_losses(statistics):
    errors = [quantization_error(w, 4) for w in weight_matrices(MODEL)]
    replacements = [(t.values + e.reshape(t.values.shape)) for t, e in zip(MODEL.tensors, errors, strict=True)]
    found = second_order_losses(find_units(MODEL, "tensors"), errors, statistics)
    np.testing.assert_allclose(found, predicted_swap_losses(MODEL, replacements, statistics), rtol=1e-9)


def test_gradient_and_row_error_add_up_from_rows_to_tensors(statistics):
    weights = weight_matrices(MODEL)
    errors = [quantization_error(w, 4) for w in weights]
    for kind in ("rows", "channels"):
        units = find_units(MODEL, kind)
        for i in statistics.matrices:
            own = [k for k, unit in enumerate(units) if unit.submatrices[0].tensor == i]
            measured = statistics.matrices[i]
            saliency = 0.5 * sum(
                measured.row_fisher[r] * measured.hessian[c, c] * weights[i][r, c] ** 2
                for r in range(len(weights[i]))
                for c in range(weights[i].shape[1])
            )
            assert gradient_losses(units, weights, statistics)[own].sum() == pytest.approx(saliency)
            assert row_errors(units, errors)[own].sum() == pytest.approx((errors[i] ** 2).sum())


def test_measured_losses_are_the_divergences_of_the_largest():
    found = sensitivity("rows", MEASURED, top=5, bits=3)
    errors = [quantization_error(w, 3) for w in weight_matrices(MODEL)]
    largest = set(np.argsort(-found.sensitivities["second-order"], kind="stable")[:5].tolist())
    assert (
        set(np.flatnonzero(~np.isnan(found.sensitivities[MEASURED])).tolist()) == largest == set(found.order.tolist())
    )
    for u in largest:
        part = found.units[u].submatrices[0]
        values = MODEL.tensors[part.tensor].values.copy()
        values[part.rows] += errors[part.tensor][part.rows].astype(np.float32)
        for sequences, score in zip(np.split(HELD_OUT, 2), found.slice_sensitivities[:, u], strict=True):
            assert score == pytest.approx(
                measure_divergences(MODEL, [{part.tensor: values}], sequences, threads=1)[0], rel=1e-3
            )
    assert found.held_out_tokens == HELD_OUT.size and found.agreement.keys() == set(METHODS) - {MEASURED}


def test_a_planted_row_is_found_at_every_granularity_that_has_it():
    """A row whose weights are large loses most, so each kind of unit that has a place for it puts that place first."""
    tensors = list(MODEL.tensors)
    place = NAMES.index("blocks.1.attn.c_v.weight")
    values = tensors[place].values.copy()
    values[3] *= 40
    tensors[place] = ModelTensor(tensors[place].name, values, "float32")
    model = replace(MODEL, tensors=tuple(tensors))
    weights = weight_matrices(model)
    for kind, name in {
        "rows": f"{NAMES[place]} row 3",
        "tensors": NAMES[place],
        "heads": "blocks.1 key-value head 0",
        "blocks": "blocks.1",
    }.items():
        units = find_units(model, kind)
        assert units[int(np.argmax(row_errors(units, [quantization_error(w, 4) for w in weights])))].name == name


def test_sensitivities_do_not_depend_on_the_threads():
    one, two = sensitivity("rows", threads=1), sensitivity("rows", threads=3)
    assert (one.slice_sensitivities == two.slice_sensitivities).all() and one.stability == two.stability


def test_slices_share_no_token():
    text = np.arange(1000)
    parts = data_slices(text, 16, 256, 3)
    assert [part.shape for part in parts] == [(6, 16)] * 3
    seen = np.concatenate([part.ravel() for part in parts])
    assert len(np.unique(seen)) == len(seen)
    assert all(a.max() < b.min() for a, b in pairwise(parts))
    assert data_slices(text, 16, 10**9, 2)[0].shape == (31, 16)
    with pytest.raises(DataError, match="63 slices"):
        data_slices(text, 16, 256, 63)


def test_ranks_and_their_correlation():
    from scipy.stats import spearmanr  # a second to import

    random = np.random.default_rng(1)
    for _ in range(20):
        a, b = (random.integers(0, 6, 12).astype(float) for _ in range(2))
        assert (ranks(a) == naive_ranks(a)).all()
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4.0))) and math.isnan(
        rank_correlation(np.ones(1), np.ones(1))
    )


def test_stability_of_three_slices():
    rows = np.array([[5.0, 4, 3, 2, 1], [5.0, 4, 3, 1, 2], [1.0, 2, 3, 4, 5]])
    found = rank_stability(rows)
    assert found.mean_correlation == pytest.approx((0.9 - 1.0 - 0.9) / 3) and found.least_correlation == pytest.approx(
        -1.0
    )
    assert (found.top, found.mean_overlap, found.least_overlap) == (1, pytest.approx(1 / 3), 0.0)


def test_concentration():
    scores, weights = np.array([0.0, 6.0, 1.0] + [0.1] * 27 + [0.3]), np.arange(31.0)
    assert [count_of(share, 31) for share in (0.01, 0.05, 0.1)] == [1, 2, 4]
    total = scores.sum()
    expected = [(0.01, 1, 6 / total, 1 / 465), (0.05, 2, 7 / total, 3 / 465), (0.1, 4, 7.4 / total, 36 / 465)]
    assert np.array(top_shares(scores, weights)) == pytest.approx(np.array(expected))
    assert [share for _, _, share, _ in top_shares(np.zeros(5), np.ones(5))] == [0.0, 0.0, 0.0]


def test_the_plot_is_one_drawing_with_a_bar_a_unit():
    found = sensitivity("rows")
    text = plot_sensitivity(found, 7, origin_named("model.pt"))
    tree = ElementTree.fromstring(text)
    svg = "{http://www.w3.org/2000/svg}"
    bars = [rect.find(f"{svg}title").text for rect in tree.iter(f"{svg}rect") if rect.get("class") == "a"]
    assert [bar.split(":")[0] for bar in bars] == [found.units[u].name for u in found.order[:7]]
    assert len([group for group in tree.iter(f"{svg}g")]) == 2 and tree.tag == f"{svg}svg"
    ranges = [path for path in tree.iter(f"{svg}path") if path.get("class") == "range"]
    assert len(ranges) == 7 and len(found.slice_sensitivities) > 1
    texts = [text.text for text in tree.iter(f"{svg}text")]
    assert "What each of the rows costs alone" in texts[0]
    assert any(text.startswith("model.pt  ·  2026-11-27") for text in texts[1:3])

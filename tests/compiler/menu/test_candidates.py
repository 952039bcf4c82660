"""Kinds of candidates on single matrices: what each is worth there, and that bytes, weights and losses
are those of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from naive_quantization import damped_hessian, floored_fisher, second_order_loss
from tiny_models import bare_model

from bytecap.compiler import row_blocks
from bytecap.compiler.menu.composite import CompositeMatrix
from bytecap.compiler.menu.kinds import KINDS, Unit
from bytecap.compiler.menu.kinds.alias import AliasSetting
from bytecap.compiler.menu.kinds.low_rank import TALL, LowRankSetting, weighted_singular
from bytecap.compiler.menu.menus import offered_kinds
from bytecap.compiler.menu.offers import PLAIN, Offer
from bytecap.compiler.menu.setting import Setting
from bytecap.compiler.quantize.grids import GridQuantizer
from bytecap.compiler.rate_control.artifacts import assemble_model
from bytecap.compiler.recipe import read_recipe
from bytecap.compiler.representation_settings import MenuSettings
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.workers import one_thread_each
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.assembly import part_bytes
from bytecap.format.program.operations import Add, Embed, Linear
from bytecap.format.program.program import Program
from bytecap.format.tensors.terms import reconstruct_tensor

ROWS, COLUMNS = 64, 48
QUANTIZER = GridQuantizer(read_recipe("default").quantization)


@pytest.fixture(autouse=True)
def single_threaded_products():
    with one_thread_each():
        yield


def statistics(seed: int = 0) -> MatrixStatistics:
    random = np.random.default_rng(seed)
    inputs = random.standard_normal((4 * COLUMNS, COLUMNS)) * np.exp2(random.uniform(-1, 1, COLUMNS))
    return MatrixStatistics(inputs.T @ inputs / len(inputs), np.exp2(random.uniform(-2, 2, ROWS)) * 1e-4)


def unit(weights: np.ndarray, price: float, earlier: Mapping[int, np.ndarray] | None = None) -> Unit:
    return Unit(weights.astype(np.float64), statistics(), QUANTIZER, price, 1, earlier or {})


def gaussian(seed: int = 3) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal((ROWS, COLUMNS))


def with_huge(axis: int) -> np.ndarray:
    weights = gaussian()
    weights[(slice(None),) * axis + ([3, 20, 41][: 1 if axis else 3],)] *= 3000
    return weights


def with_outliers() -> np.ndarray:
    weights = gaussian()
    random = np.random.default_rng(4)
    weights.reshape(-1)[random.choice(weights.size, 4, replace=False)] = 1000 * random.standard_normal(4)
    return weights


def of_low_rank() -> np.ndarray:
    random = np.random.default_rng(5)
    return 0.1 * random.standard_normal((ROWS, 3)) @ random.standard_normal((3, COLUMNS))


def ternary() -> np.ndarray:
    random = np.random.default_rng(6)
    return 0.1 * random.integers(-1, 2, (ROWS, COLUMNS)) * np.exp2(random.integers(-2, 3, ROWS))[:, None]


def of_few_rows() -> np.ndarray:
    """Eight rows at many scales, and two rows that are like no other."""
    random = np.random.default_rng(8)
    weights = gaussian()[random.integers(0, 8, ROWS)] * np.exp2(random.integers(-8, 9, ROWS) / 8)[:, None]
    weights[[5, 50]] = 0.2 * random.standard_normal((2, COLUMNS))
    return weights


EARLIER = {0: gaussian(seed=9).astype(np.float32), 1: gaussian().astype(np.float32)}
# kind, the matrix it is made for, byte price, earlier tensors
CASES = {
    "low-rank": (of_low_rank(), 1e-4, {}),
    "rescued-rows": (with_huge(0), 3e-3, {}),
    "protected-columns": (with_huge(1), 3e-3, {}),
    "sparse": (with_outliers(), 1e-3, {}),
    "codebook": (ternary(), 1e-5, {}),
    "alias": (gaussian(), 1e-4, EARLIER),
    "vq-rows": (of_few_rows(), 1e-4, {}),
}


def all_offers(made: Unit) -> list[tuple[Offer, CompositeMatrix]]:
    found = [
        (kind.name, setting, kind.fit(made, setting)) for kind in KINDS.values() for setting in kind.settings(made)
    ]
    found.append((PLAIN, Setting(), made.grid()))
    return [(Offer(name, setting, 0.0, made.bytes_of(m), m.predicted_loss), m) for name, setting, m in found]


def price_of_a_byte(made: Unit) -> float:
    coarse, fine = made.grid(octaves=0.25), made.grid(octaves=-0.25)
    return (coarse.predicted_loss - fine.predicted_loss) / (made.bytes_of(fine) - made.bytes_of(coarse))


def test_every_kind_is_a_case_and_an_option() -> None:
    assert set(CASES) == set(KINDS)
    assert offered_kinds(MenuSettings()) == list(KINDS)
    assert "alias" not in offered_kinds(MenuSettings(alias=False))


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_wins_on_the_matrix_it_is_made_for(kind: str) -> None:
    """At equal predicted loss, by the value that a byte has in the matrix's own grid."""
    made = unit(*CASES[kind])
    value = price_of_a_byte(made)
    cost = {offer: offer.bytes + offer.predicted_loss / value for offer, _ in all_offers(made)}
    assert min(cost, key=cost.get).kind == kind
    assert min(cost.values()) < 0.9 * next(c for offer, c in cost.items() if offer.kind == "grid")


@pytest.mark.parametrize("kind", CASES)
def test_weights_bytes_and_loss_are_those_of_the_parts(kind: str) -> None:
    weights, price, earlier = CASES[kind]
    made = unit(weights, price, earlier)
    settings = QUANTIZER.settings
    hessian = damped_hessian(made.statistics.hessian, settings.damping, settings.input_correlation)
    fisher = floored_fisher(made.statistics.row_fisher, settings.fisher_floor)
    settings = KINDS[kind].settings(made)
    assert settings and len(set(settings)) == len(settings)
    for setting in settings:
        found = KINDS[kind].fit(made, setting)
        assert (found.kind, found.setting) == (kind, setting)
        assert found.weights.dtype == np.float32 and found.weights.shape == weights.shape
        assert found.weights.tobytes() == reconstruct_tensor(found.parts, weights.shape, arrays=earlier).tobytes()
        assert found.bytes == part_bytes(found.parts, weights.shape)
        expected = second_order_loss(found.weights.astype(np.float64) - weights, hessian, fisher)
        assert found.predicted_loss == pytest.approx(expected, rel=1e-6, abs=1e-15)


@pytest.mark.parametrize("kind", CASES)
def test_an_artifact_decodes_to_the_weights(kind: str) -> None:
    weights, price, _ = CASES[kind]
    made = unit(weights, price, EARLIER)
    program = Program((Embed(0), Embed(1), Add(0, 1), Linear(2, 2, None)), ROWS, 4, 0)
    model = bare_model(program, *EARLIER.values(), weights)
    others = {i: unit(w, price).grid() for i, w in EARLIER.items()}
    exact = replace(made, earlier={i: q.weights for i, q in others.items()})
    for setting in KINDS[kind].settings(made):
        found = KINDS[kind].fit(exact, setting)
        artifact = read_artifact(assemble_model(model, {**others, 2: found}, {}))
        assert decode_tensors(artifact)[2].tobytes() == found.weights.tobytes()


def constant_and_huge(at: tuple) -> np.ndarray:
    """Weights of which those in one place are so large that integers take twenty bits, and all the same."""
    weights = gaussian()
    weights[at] = 3000.0
    return weights


@pytest.mark.parametrize(
    ("kind", "at"),
    [
        ("rescued-rows", ([3, 20, 41],)),
        ("protected-columns", (slice(None), [5, 30])),
        (
            "sparse",
            (
                [1, 9, 9, 30, 31, 33, 40, 41, 50, 55, 60, 62, 63, 63, 63],
                [5, 6, 40, 40, 2, 3, 1, 0, 44, 21, 20, 20, 18, 19, 33],
            ),
        ),
    ],
)
def test_raw_values_win_where_they_repeat_and_integers_are_long(kind: str, at: tuple) -> None:
    """Among the settings of one kind, and against the plain grid; where integers are short they are not offered."""
    made = unit(constant_and_huge(at), 1e-4)
    value = price_of_a_byte(made)
    cost = {
        setting: (f := KINDS[kind].fit(made, setting)).bytes + f.predicted_loss / value
        for setting in KINDS[kind].settings(made)
    }
    best = min(cost, key=cost.get)
    assert best.how == "raw" and cost[best] < made.bytes_of(made.grid()) + made.grid().predicted_loss / value
    assert not any(setting.how == "raw" for setting in KINDS[kind].settings(unit(gaussian(), 1e-2)))


def test_nothing_pays_on_noise() -> None:
    made = unit(gaussian(), 1e-4, {0: EARLIER[0]})
    value = price_of_a_byte(made)
    cost = {offer: offer.bytes + offer.predicted_loss / value for offer, _ in all_offers(made)}
    assert min(cost, key=cost.get).kind == "grid"
    assert not KINDS["alias"].settings(made)


def test_rows_beside_factors_are_rescued() -> None:
    """Low rank but for a few rows: a rank that holds them costs more, and so does a grid of everything."""
    weights = of_low_rank()
    weights[::5] = np.random.default_rng(12).standard_normal((13, COLUMNS))
    made = unit(weights, 1e-3)
    value = price_of_a_byte(made)
    cost = {offer: offer.bytes + offer.predicted_loss / value for offer, _ in all_offers(made)}
    best = min(cost, key=cost.get)
    assert (best.kind, best.setting.how, best.setting.rows) == ("low-rank", "rescued", 16)


def test_a_near_duplicate_is_its_source_and_a_grid_of_the_difference() -> None:
    weights = gaussian() + 0.003 * np.random.default_rng(1).standard_normal((ROWS, COLUMNS))
    made = unit(weights, 1e-4, EARLIER)
    found = KINDS["alias"].fit(made, AliasSetting("difference", 1))
    assert KINDS["alias"].settings(made)[:2] == [AliasSetting("alone", 1), AliasSetting("difference", 1)]
    assert (
        made.bytes_of(found) < 0.5 * made.bytes_of(made.grid())
        and found.predicted_loss < 1.2 * made.grid().predicted_loss
    )


@pytest.mark.parametrize(
    "weights",
    [np.zeros((ROWS, COLUMNS)), np.full((ROWS, COLUMNS), 0.25), np.zeros((1, 1)), np.ones((2, 1)), np.eye(3, 5)],
    ids=str,
)
def test_degenerate_matrices_have_candidates_that_can_be_stored(weights: np.ndarray) -> None:
    measured = MatrixStatistics(np.eye(weights.shape[1]), np.full(weights.shape[0], 1e-3))
    made = Unit(weights, measured, QUANTIZER, 1e-3, 1, {0: weights.astype(np.float32)})
    for offer, found in all_offers(made):
        assert offer.bytes > 0 and np.isfinite(found.predicted_loss)


def test_a_tall_matrix_is_decomposed_by_its_second_moment() -> None:
    random = np.random.default_rng(8)
    values = random.standard_normal((TALL * 6, 3)) @ random.standard_normal((3, 6))
    values += 0.1 * random.standard_normal(values.shape)
    measured = MatrixStatistics(np.diag(np.arange(1.0, 7.0)), random.uniform(0.5, 2.0, len(values)))
    made = Unit(values, measured, QUANTIZER, 1e-3, 1, {})
    left, strengths, right = weighted_singular(made, values)
    weighted = np.sqrt(made.row_fisher)[:, None] * (values @ made.factor)
    assert np.allclose(strengths, np.linalg.svd(weighted, compute_uv=False)) and (np.diff(strengths) <= 0).all()
    assert left.dtype == np.float32  # as a table's are kept
    assert np.allclose((left * strengths) @ right, weighted, atol=1e-5)
    assert np.allclose(left.T @ left, np.eye(6), atol=1e-5)


def test_blocks_of_rows_change_nothing_but_last_bits(monkeypatch) -> None:
    """Of a tall matrix, whose numbers are made some rows at a time; and its float32 values are as good as float64."""
    random = np.random.default_rng(9)
    values = (random.standard_normal((TALL * 8, 8)) @ np.diag(np.arange(8.0, 0.0, -1))).astype(np.float32)
    measured = MatrixStatistics(np.diag(np.arange(1.0, 9.0)), random.uniform(0.5, 2.0, len(values)))
    found = {}
    for rows, weights in ((1 << 14, values), (7, values), (7, values.astype(np.float64))):
        monkeypatch.setattr(row_blocks, "BLOCK_ROWS", rows)
        made = Unit(weights, measured, QUANTIZER, 1e-3, 1, {})
        grid, fitted = made.grid(), KINDS["low-rank"].fit(made, LowRankSetting("under", 2))
        assert np.array_equal(made.target, values) and made.target.dtype == np.float64
        losses = grid.predicted_loss, made.loss(grid.weights), float(made.row_losses(grid.weights).sum())
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-3)  # its own has weights before float32
        promised = KINDS["low-rank"].under(made)
        found[rows, weights.dtype] = grid.grid.codes.tobytes(), made.bytes_of(fitted), promised, *losses
        assert fitted.predicted_loss == pytest.approx(made.loss(fitted.weights))
    first, *others = found.values()
    for other in others:
        assert other[:3] == first[:3] and other[3:] == pytest.approx(first[3:], rel=1e-12)

"""Distillation: the loss is the divergence it claims to be, tuning lowers it, and only where it was told to."""

from __future__ import annotations

import time
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_models import golf_model, random_sequences

from bytecap.compiler.model import logit_parts
from bytecap.compiler.model.model import Model
from bytecap.compiler.model.torch_executor import TorchExecutor
from bytecap.compiler.quantize import distillation, teacher
from bytecap.compiler.quantize.distillation import Distiller, first_reader
from bytecap.compiler.quantize.eigenvector_adam import Basis
from bytecap.compiler.quantize.refiner import Refiner, note_of_labels, note_of_short_text, scaled_updates
from bytecap.compiler.scratch_file import ScratchFile
from bytecap.compiler.settings import DistillationSettings
from bytecap.compiler.statistics.calibration import measure_statistics
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics

TRAINING, HELD_OUT = random_sequences(24, 12, 16, seed=3), random_sequences(24, 6, 16, seed=4)


class RecordingDistiller:
    """Remembers what it was asked to tune: (rates, steps)."""

    def __init__(self, judge: Distiller, taken: list) -> None:
        self.model, self.training, self.batch_sequences, self.taken = judge.model, np.zeros((1000, 4)), 1, taken

    def tune(self, tensors, rates, steps) -> None:
        self.taken.append((rates, steps))


@cache
def model() -> Model:
    return golf_model(5)


def distiller(threads: int = 1, seed: int = 0, **options) -> Distiller:
    return Distiller(model(), TRAINING, HELD_OUT, batch_sequences=6, seed=seed, threads=threads, **options)


def damaged(scale: float) -> dict[int, torch.Tensor]:
    """The model's tensors with noise of `scale` root mean squares."""
    random = np.random.default_rng(9)
    tensors = {}
    for i, tensor in enumerate(model().tensors):
        noise = random.normal(size=tensor.values.shape) * np.sqrt(np.mean(tensor.values**2)) * scale
        tensors[i] = torch.from_numpy((tensor.values + noise).astype(np.float32))
    return tensors


def matrices() -> list[int]:
    return [i for i, tensor in enumerate(model().tensors) if tensor.values.ndim == 2 and i > 0]


def rates(size: float) -> dict[int, float]:
    return {i: size * float(np.sqrt(np.mean(model().tensors[i].values ** 2))) for i in matrices()}


def naive_divergence(tensors: dict[int, torch.Tensor], sequences: np.ndarray) -> float:
    """Mean over positions of sum over tokens of p log(p / q), in float64."""
    teacher = {i: torch.from_numpy(t.values) for i, t in enumerate(model().tensors)}
    total = 0.0
    for sequence in sequences:
        p, q = (
            TorchExecutor(model().program, t).forward(torch.from_numpy(sequence)[None])[0].double().softmax(-1)
            for t in (teacher, tensors)
        )
        total += float((p * (p / q).log()).sum())
    return total / sequences.size


def test_the_divergence_is_that_of_the_definition() -> None:
    tensors = damaged(0.1)
    found = distiller().divergence(tensors)
    assert found == pytest.approx(naive_divergence(tensors, HELD_OUT), rel=1e-4)
    assert found > 1e-4
    assert abs(distiller().divergence(damaged(0.0))) < 1e-6


def test_tuning_some_tensors_mends_what_all_of_them_broke() -> None:
    tensors = damaged(0.1)
    before, judge = dict(tensors), distiller()
    loss = judge.divergence(tensors)
    assert judge.tune(tensors, rates(0.01), 20)
    assert judge.divergence(tensors) < 0.9 * loss
    for i, tensor in before.items():
        assert torch.equal(tensors[i], tensor) == (i not in matrices())


def test_products_in_bfloat16_give_nearly_the_same_gradients_and_judgement() -> None:
    tensors = damaged(0.1)
    exact, rounded = distiller(), distiller(half=True)
    assert rounded.divergence(tensors) == pytest.approx(exact.divergence(tensors), rel=0.02)
    found, expected = (judge._gradients(tensors, matrices()) for judge in (rounded, exact))
    for i in matrices():
        assert 0 < float((found[i] - expected[i]).norm()) < 0.1 * float(expected[i].norm())
    assert rounded.tune(tensors, rates(0.01), 10)


@pytest.mark.parametrize("threads", [1, 3])
def test_parts_of_a_batch_give_its_gradients_however_many_may_wait(threads: int, monkeypatch) -> None:
    whole, tensors = distiller()._gradients(damaged(0.1), matrices()), damaged(0.1)
    monkeypatch.setattr(distillation, "PART_TOKENS", HELD_OUT.shape[1])  # every sequence by itself
    many = distiller(threads)._gradients(tensors, matrices())
    monkeypatch.setattr(distillation, "HELD_BYTES", 0)
    few = distiller(threads)._gradients(tensors, matrices())
    for i in matrices():
        torch.testing.assert_close(many[i], whole[i], rtol=1e-4, atol=1e-7)
        assert torch.equal(few[i], many[i])


@pytest.mark.parametrize("positions", [1, 7])
@pytest.mark.parametrize(("half", "labels"), [(False, 0.0), (True, 0.0), (True, 0.3)])
def test_logits_a_few_positions_at_a_time_give_the_same(half: bool, labels: float, positions: int, monkeypatch) -> None:
    whole, tensors = distiller(half=half, labels=labels), damaged(0.1)
    gradients, loss = whole._gradients(tensors, matrices()), whole._judge(tensors, whole._begun(tensors, 0), labels)
    monkeypatch.setattr(logit_parts, "LOGIT_FLOATS", positions * model().program.vocabulary_size)
    monkeypatch.setattr(logit_parts, "LEAST_POSITIONS", 1)
    parts = distiller(half=half, labels=labels)
    found = parts._gradients(tensors, matrices())
    for i in matrices():  # products of other sizes may round their factors elsewhere
        torch.testing.assert_close(found[i], gradients[i], rtol=0.02 if half else 1e-4, atol=1e-4 if half else 1e-7)
    assert parts._judge(tensors, parts._begun(tensors, 0), labels) == pytest.approx(loss, rel=1e-3 if half else 1e-5)


@pytest.mark.parametrize(("half", "most"), [(False, 1 << 20), (True, 1 << 20), (True, 3 * 4 * 16 * 32)])
def test_a_teacher_that_is_put_aside_says_what_it_said(half: bool, most: int, monkeypatch) -> None:
    """Three passes over the text with and without, to the bit; with room for all of it and for a part."""
    monkeypatch.setattr(teacher, "KEPT_BYTES", most)
    passes, advance = [], teacher.advance_to
    monkeypatch.setattr(teacher, "advance_to", lambda *given: passes.append(1) or advance(*given))
    results = []
    with ScratchFile() as scratch:
        for where in (None, scratch):
            tensors = damaged(0.1)
            tuned = distiller(half=half, scratch=where)
            tuned.expect(6)
            assert tuned.tune(tensors, rates(0.003), 6)
            results.append((tensors, len(passes)))
            passes.clear()
    (plain, asked), (kept, fewer) = results
    assert all(torch.equal(plain[i], kept[i]) for i in plain)
    assert asked == 6 and (fewer == 2 if most == 1 << 20 else 2 < fewer <= 6)


def test_what_does_not_come_again_is_not_put_aside() -> None:
    for updates, expected in ((2, 0), (3, 6), (4, 12), (9, 12)):
        with ScratchFile() as scratch:
            judge = distiller(scratch=scratch)
            judge.expect(updates)
            judge.tune(damaged(0.1), rates(0.003), updates)
            assert len(judge._teacher._kept) == expected


def test_what_was_asked_ahead_is_what_would_have_been_asked() -> None:
    results = []
    for ahead in (False, True):
        tensors, judge = damaged(0.1), distiller(threads=2)
        judge.expect(3)
        while ahead and len(judge._teacher._begun) < 3:
            with judge.looking_ahead():
                time.sleep(0.001)
        assert judge.tune(tensors, rates(0.003), 3)
        assert not judge._teacher._begun
        results.append(tensors)
    with judge.looking_ahead():  # nothing is expected any more
        assert not judge._teacher._begun
    assert all(torch.equal(results[0][i], results[1][i]) for i in results[0])


def test_judging_from_where_a_tuning_begins_is_judging() -> None:
    late, judge, tensors = matrices()[-3:], distiller(), damaged(0.1)
    first = first_reader(model().program, late)
    assert len(model().program.instructions) // 2 < first and first_reader(model().program, [10**6]) == 0
    begun = judge._begun(tensors, first)
    moved = {**tensors, **{i: 1.1 * tensors[i] for i in late}}
    assert judge._judge(moved, begun, 0.0) == judge.divergence(moved) != judge.divergence(tensors)


def test_a_tuning_that_does_not_help_is_undone() -> None:
    tensors = damaged(0.02)
    before = {i: t.clone() for i, t in tensors.items()}
    assert not distiller().tune(tensors, rates(3.0), 3)
    assert all(torch.equal(tensors[i], before[i]) for i in tensors)


@pytest.mark.parametrize(("wanted", "steps"), [({}, 5), (None, 0)])
def test_nothing_to_tune_changes_nothing(wanted: dict | None, steps: int) -> None:
    tensors = damaged(0.1)
    before = dict(tensors)
    assert not distiller().tune(tensors, rates(0.01) if wanted is None else wanted, steps)
    assert all(tensors[i] is before[i] for i in before)


@pytest.mark.parametrize("half", [False, True])
def test_the_result_does_not_depend_on_the_threads_but_on_the_seed(half: bool) -> None:
    results = []
    for threads, seed in ((1, 0), (3, 0), (1, 1)):
        tensors = damaged(0.1)
        distiller(threads, seed, half=half).tune(tensors, rates(0.01), 5)
        results.append(tensors)
    assert all(torch.equal(results[0][i], results[1][i]) for i in results[0])
    assert not all(torch.equal(results[0][i], results[2][i]) for i in matrices())


def test_the_first_step_moves_every_weight_by_its_rate_against_the_gradient() -> None:
    """Adam's first direction is the sign of the gradient."""
    tensors = damaged(0.1)
    before = {i: tensors[i].clone().requires_grad_() for i in tensors}
    judge = distiller()
    batch = TRAINING[np.random.default_rng(0).permutation(len(TRAINING))[:6]]
    teacher = {i: torch.from_numpy(t.values) for i, t in enumerate(model().tensors)}
    p, q = (
        TorchExecutor(model().program, t).forward(torch.from_numpy(batch)).log_softmax(-1) for t in (teacher, before)
    )
    gradients = torch.autograd.grad((p.exp() * (p - q)).sum(), [before[i] for i in matrices()])
    step = rates(1e-4)
    assert judge.tune(tensors, step, 1)
    for i, gradient in zip(matrices(), gradients, strict=True):
        clear = gradient.abs() > 1e-4 * gradient.abs().max()
        moved = (tensors[i] - before[i].detach())[clear]
        torch.testing.assert_close(moved, -step[i] * gradient[clear].sign(), rtol=0.05, atol=2e-8)


def test_a_basis_diagonalizes_both_moments() -> None:
    random = np.random.default_rng(1)
    gradients, inputs = random.standard_normal((40, 5)), random.standard_normal((40, 7))
    both, moment = (gradients.T @ gradients).astype(np.float32), inputs.T @ inputs
    basis = Basis.of(MatrixStatistics(moment, both.diagonal().astype(np.float64), both))
    for vectors, side in ((basis.outputs, both), (basis.inputs, moment)):
        turned = vectors.double().numpy().T @ side @ vectors.double().numpy()
        np.testing.assert_allclose(turned, np.diag(np.diag(turned)), atol=1e-4 * turned.max())
    matrix = torch.from_numpy(random.standard_normal((5, 7))).float()
    torch.testing.assert_close(basis.rotate_back(basis.rotate(matrix)), matrix)
    flat = np.outer(vectors_of(both)[:, 1], vectors_of(moment)[:, 2]).astype(np.float32)
    turned = basis.rotate(torch.from_numpy(flat)).abs()
    assert turned[1, 2] == pytest.approx(1, abs=1e-4) and turned.sum() == pytest.approx(1, abs=1e-3)


def vectors_of(side: np.ndarray) -> np.ndarray:
    return np.linalg.eigh(side.astype(np.float64))[1]


def test_the_first_step_in_a_basis_moves_every_direction_by_its_rate() -> None:
    """A rotation keeps lengths: the step has the length of one that moves every weight by the rate, in
    other directions.
    """
    statistics = measure_statistics(model(), TRAINING, batch_sequences=4, seed=0, device="cpu", threads=1)
    bases = {i: Basis.of(statistics.matrices[i]) for i in matrices() if i in statistics.matrices}
    tensors, step = damaged(0.1), rates(1e-4)
    before = dict(tensors)
    assert bases and distiller(bases=bases).tune(tensors, step, 1)
    for i, basis in bases.items():
        moved = tensors[i] - before[i]
        share = basis.rotate(moved).abs() / step[i]
        assert share.median() == pytest.approx(1, rel=0.05)
        assert float((moved.abs() / step[i] - 1).abs().mean()) > 0.2


def test_steps_are_shared_among_the_groups_and_small_shares_saved_up() -> None:
    def error(index: int) -> float:
        return 0.1 * float(np.sqrt(np.mean(model().tensors[index].values.astype(np.float64) ** 2)))

    for steps, groups, expected in ((40, 4, [10, 10, 10, 10]), (30, 6, [10, 10, 10]), (7, 3, []), (33, 2, [16, 17])):
        judge, taken = distiller(), []
        settings = DistillationSettings(steps=steps, step_size=0.5)
        refine = Refiner(RecordingDistiller(judge, taken), settings, error, groups)
        for _ in range(groups):
            refine({}, matrices())
        assert [n for _, n in taken] == expected
        for rates_used, _ in taken:
            assert rates_used[3] == pytest.approx(0.5 * error(3), rel=1e-3)


@pytest.mark.parametrize(
    ("weights", "sequences", "steps"), [(1000, 10_000, 320), (16 << 22, 10_000, 80), (1000, 800, 50), (1000, 5, 0)]
)
def test_large_models_and_short_texts_take_fewer_steps(weights: int, sequences: int, steps: int) -> None:
    known = SimpleNamespace(model=SimpleNamespace(parameters=weights), training=range(sequences), batch_sequences=16)
    assert scaled_updates(320, known, 1.0) == steps
    assert scaled_updates(320, known, 0.0) == 0
    assert scaled_updates(320, known, 2.0) == min(2 * sequences // 16, 80 if weights > 1 << 22 else 320)


def test_a_text_that_bounds_distillation_is_said() -> None:
    settings = DistillationSettings(steps=10, batch_tokens=100, passes=2)
    (said,) = note_of_short_text(settings, model(), 450)
    assert said.startswith("distillation makes 9 of 10 updates wanted: 2 passes over this text")
    assert note_of_short_text(settings, model(), 500) == []
    assert note_of_short_text(DistillationSettings(enabled=False), model(), 1) == []


def test_learning_the_texts_own_tokens_is_said() -> None:
    (said,) = note_of_labels(DistillationSettings(labels=0.3))
    assert "(labels = 0.3): the artifact is trained on this text" in said
    assert note_of_labels(DistillationSettings()) == []
    assert note_of_labels(DistillationSettings(labels=0.3, enabled=False)) == []


@pytest.mark.parametrize("half", [False, True])
def test_with_labels_the_text_itself_is_learned(half: bool) -> None:
    """Of text that always says the same, a student of a teacher that does not know it."""
    text = np.tile(np.arange(16) % 4, (24, 1)).astype(np.int64)
    tensors = {i: torch.from_numpy(t.values.copy()) for i, t in enumerate(model().tensors)}
    judge = Distiller(model(), text, text, 6, 0, 1, half=half, labels=0.5)
    begun = judge._begun(tensors, 0)
    loss = judge._judge(tensors, begun, 1.0)
    assert abs(loss) < 1e-3 and judge.tune(tensors, rates(0.01), 20)
    assert judge._judge(tensors, judge._begun(tensors, 0), 1.0) < -0.1 and judge.divergence(tensors) > 0


def test_every_pass_takes_every_sequence_once_in_an_order_of_its_own() -> None:
    judge = distiller()
    first, second = (np.concatenate([judge._next_batch(), judge._next_batch()]) for _ in range(2))
    assert not np.array_equal(first, second)
    for taken in (first, second):
        assert sorted(taken) == list(range(len(TRAINING)))
    other = distiller()
    other.restore({"taken": 12, "moments": {}})
    assert np.array_equal(np.concatenate([other._next_batch(), other._next_batch()]), second)


def test_what_is_kept_for_tensors_that_are_no_longer_tuned_is_let_go() -> None:
    judge, tensors = distiller(), {i: torch.from_numpy(t.values.copy()) for i, t in enumerate(model().tensors)}
    both = matrices()[:2]
    judge.tune(tensors, dict.fromkeys(both, 1e-3), 1)
    assert set(judge.state()["moments"]) == {str(i) for i in both}
    judge.tune(tensors, {both[1]: 1e-3}, 1)
    assert set(judge.state()["moments"]) == {str(both[1])} and set(judge.bases) <= {both[1]}

"""Kinds for groups of matrices: what they share is stored once, they win on groups made for them, and
all members take them or none does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from reference import reference_decoder
from tiny_models import CALM, bare_model, golf_model, random_sequences

from bytecap.compiler.job import CompileJob
from bytecap.compiler.menu import menus
from bytecap.compiler.menu.group_choices import choose_groups
from bytecap.compiler.menu.kinds import KINDS, SHARED_KINDS, Shared, Unit
from bytecap.compiler.menu.offers import GroupOffer, Offer
from bytecap.compiler.menu.representations import ChosenRepresentations
from bytecap.compiler.menu.setting import Selection, Setting
from bytecap.compiler.menu.units import Units
from bytecap.compiler.model.groups import Group, find_groups
from bytecap.compiler.quantize.grids import GridQuantizer, PlainGrids
from bytecap.compiler.rate_control.artifacts import assemble_model, finish_draft
from bytecap.compiler.rate_control.quick_trials import QuickTrials
from bytecap.compiler.rate_control.sequential_walk import SequentialWalk
from bytecap.compiler.recipe import read_recipe
from bytecap.compiler.representation_settings import MenuSettings
from bytecap.compiler.statistics.convergence import calibrate
from bytecap.compiler.statistics.matrix_statistics import MatrixStatistics
from bytecap.compiler.workers import one_thread_each
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.program.operations import Add, Embed, Linear
from bytecap.format.program.program import Program
from bytecap.progress import silent_stage

ROWS, COLUMNS = 32, 64
QUANTIZER = GridQuantizer(read_recipe("default").quantization)


@pytest.fixture(autouse=True)
def single_threaded_products():
    with one_thread_each():
        yield


def unit(weights: np.ndarray, price: float, seed: int = 0) -> Unit:
    random, (rows, columns) = np.random.default_rng(seed), weights.shape
    inputs = random.standard_normal((4 * columns, columns))
    statistics = MatrixStatistics(inputs.T @ inputs / len(inputs), np.exp2(random.uniform(-1, 1, rows)) * 1e-4)
    return Unit(weights.astype(np.float64), statistics, QUANTIZER, price, 1, {})


def with_huge_channels() -> list[np.ndarray]:
    """Three matrices of few rows in which the same channels stand out, in each of them others most."""
    random = np.random.default_rng(2)
    found = 0.1 * random.standard_normal((3, 4, 512))
    found[:, :, random.choice(512, 20, replace=False)] *= 2000 * np.exp2(random.uniform(0, 1, (3, 1, 20)))
    return list(found)


# kind, the family and matrices it is made for, byte price
CASES = {"shared-columns": ("input", with_huge_channels(), 1e-3)}
LEAST_SHARE = {"shared-columns": 0.005}  # of the members' own best offers that sharing saves
SHARED = {"shared-columns": lambda term: term.members.named}  # (tensor, term) whose set a term names


def allocate(kind: str, others: bool = True, matrices: list[np.ndarray] | None = None):
    """What menus choose for the group of a case; `others`: whether single matrices are offered anything but grids."""
    family, made, price = CASES[kind]
    units = {i: lambda w=w, i=i: unit(w, price, i) for i, w in enumerate(matrices or made, 1)}
    switches = {} if others else dict.fromkeys((name.replace("-", "_") for name in KINDS), False)
    groups = [Group(family, tuple(units))]
    return units, menus.allocate(MenuSettings(**switches), units, set(), groups, threads=1, progress=silent_stage)


@pytest.fixture(scope="module")
def allocations() -> Mapping:
    with one_thread_each():
        return {kind: allocate(kind) for kind in CASES}


def test_every_kind_is_a_case_and_an_option() -> None:
    assert set(CASES) == set(SHARED_KINDS) == set(menus.offered_shared_kinds(MenuSettings()))
    assert menus.offered_shared_kinds(MenuSettings(shared_columns=False)) == []


@pytest.mark.parametrize("kind", CASES)
def test_each_kind_wins_on_the_group_it_is_made_for(kind: str, allocations: Mapping) -> None:
    """Against every offer that its members have alone."""
    units, allocation = allocations[kind]
    assert {offer.kind for offer in allocation.chosen.values()} == {kind} and set(allocation.chosen) == set(units)
    alone = sum(min(offer.cost(allocation.nats_per_byte) for offer in menu) for menu in allocation.menus.values())
    assert (
        sum(offer.cost(allocation.nats_per_byte) for offer in allocation.chosen.values())
        < (1 - LEAST_SHARE[kind]) * alone
    )
    assert [len(bundle) for bundle in allocation.largest(3)] == [3]


@pytest.mark.parametrize("kind", CASES)
def test_an_artifact_of_the_group_decodes_to_the_weights(kind: str, allocations: Mapping) -> None:
    """By the package and by the plain decoder; bytes are those of the trial encodes, the owner paying
    for what is shared.
    """
    units, allocation = allocations[kind]
    program = Program(
        (Embed(0), Linear(0, 1, None), Linear(0, 2, None), Linear(0, 3, None), Add(1, 2), Add(3, 4)),
        units[1]().shape[0],
        4,
        0,
    )
    table = unit(np.zeros(units[1]().shape), 1e-3)
    model = bare_model(program, table.target, *(make().target for make in units.values()))
    fitted = {i: offer.fit(units[i]()) for i, offer in allocation.chosen.items()}
    assert [(found.kind, found.setting, found.bytes) for found in fitted.values()] == [
        (kind, o.setting, o.bytes) for o in allocation.chosen.values()
    ]
    data = assemble_model(model, {0: table.grid(), **fitted}, {})
    arrays = decode_tensors(read_artifact(data))
    assert all(arrays[i].tobytes() == found.weights.tobytes() for i, found in fitted.items())
    plainly = reference_decoder.decode_tensors(reference_decoder.read_sections(data))[1]
    assert plainly == [array.ravel().tolist() for array in arrays]
    terms = [entry.terms[-1] for entry in read_artifact(data).directory[1:]]
    assert SHARED[kind](terms[0]) is None and {SHARED[kind](term) for term in terms[1:]} == {
        (1, SHARED_KINDS[kind].term)
    }


@pytest.mark.parametrize("kind", CASES)
def test_what_is_shared_stays_when_targets_change(kind: str, allocations: Mapping) -> None:
    """As in a walk: another target, the same book or set; the loss is that of the decoded weights
    against the new target.
    """
    units, allocation = allocations[kind]
    offer = allocation.chosen[2]
    moved = replace(
        units[2](),
        values=units[2]().target + 0.01 * np.random.default_rng(0).standard_normal(units[2]().shape),
        prepared=None,
    )
    found = offer.fit(moved)
    assert found.weights.tobytes() != offer.fit(units[2]()).weights.tobytes()
    assert found.predicted_loss == pytest.approx(moved.loss(found.weights))


def test_a_group_survives_the_walk() -> None:
    """In whole artifacts: the first member stores the set, the others name it, and values follow the
    targets of the walk.
    """
    model = golf_model(6, vocab_size=40, model_dim=48)
    text = random_sequences(40, 48, 16, seed=6)
    recipe = read_recipe("everything")
    statistics = calibrate(model, text.ravel(), recipe.calibration, progress=silent_stage, **CALM)
    job = CompileJob(model, statistics, text.ravel(), text[:4], recipe, {}, **CALM)
    places = next(g.members for g in find_groups(model, job.walked) if g.family == "input")
    chosen = np.sort(np.random.default_rng(5).choice(48, 20, replace=False))  # more than a name of the set takes
    setting = Selection("apart", len(chosen))
    term = SHARED_KINDS["shared-columns"].term
    choices = {
        i: Offer("shared-columns", setting, 0.0, 0, 0.0, Shared(chosen, places[0], i == places[0], term))
        for i in places
    }
    plain = PlainGrids(model, statistics, GridQuantizer(recipe.quantization), 1)
    trials = QuickTrials(job, ChosenRepresentations(plain, Units(job), choices))
    quick = trials.at(1.2e-3)
    walk = SequentialWalk(job, trials.representations, trials.plan(quick), quick.size, 1 / 8).run(
        silent_stage, distilled=False
    )
    walked = finish_draft(job, walk.at(walk.last_price))
    for trial in (quick, walked):
        artifact = read_artifact(trial.data)
        arrays = decode_tensors(artifact)
        named = [SHARED["shared-columns"](artifact.directory[i].terms[term]) for i in places]
        assert named == [None, *[(places[0], term)] * (len(places) - 1)]
        for i in places:
            assert trial.quantized[i].parts[term].members.tolist() == chosen.tolist()
            assert arrays[i].tobytes() == trial.quantized[i].weights.tobytes()
    assert any((quick.quantized[i].weights != walked.quantized[i].weights).any() for i in places)
    assert walk.smallest().size < walked.size


def test_on_noise_no_group_is_chosen() -> None:
    noise = [0.1 * np.random.default_rng(seed).standard_normal((ROWS, COLUMNS)) for seed in range(3)]
    for kind in CASES:
        _, allocation = allocate(kind, others=False, matrices=noise)
        assert allocation.groups and not allocation.chosen


def test_groups_that_overlap_are_chosen_one_at_a_time() -> None:
    menus = {i: [Offer("grid", Setting(), 0.0, 100, 0.0)] for i in range(4)}
    shared = Shared(np.arange(1), 0, True)

    def group(members: tuple[int, ...], n_bytes: int) -> GroupOffer:
        setting = Selection("apart", n_bytes)
        offers = {i: Offer("shared-columns", setting, 0.0, n_bytes, 0.0, shared) for i in members}
        return GroupOffer("shared-columns", "input", setting, offers)

    offered = [group((0, 1), 80), group((0, 1, 2), 60), group((2, 3), 50), group((1, 3), 99)]
    assert {i: o.bytes for i, o in choose_groups(offered, menus, 1.0, 0.0).items()} == {0: 60, 1: 60, 2: 60}
    assert {i: o.bytes for i, o in choose_groups([*offered[::2], offered[3]], menus, 1.0, 0.0).items()} == {
        0: 80,
        1: 80,
        2: 50,
        3: 50,
    }
    assert choose_groups(offered[:1], menus, 1.0, 0.21) == {}
    menus[0].append(Offer("sparse", Selection("raw", 1), 0.0, 20, 0.0))  # alone, that member is cheaper
    assert choose_groups(offered[:1], menus, 1.0, 0.0) == {}


def test_groups_are_found_in_the_program() -> None:
    model = golf_model()
    names = {t.name: i for i, t in enumerate(model.tensors)}
    found = find_groups(model, [i for i, t in enumerate(model.tensors) if t.values.ndim == 2])
    by_family = {family: {g.members for g in found if g.family == family} for family in ("input", "stream")}

    def at(layer: int, *ends: str) -> tuple[int, ...]:
        return tuple(sorted(names[f"blocks.{layer}.{end}.weight"] for end in ends))

    qkv = ("attn.c_q", "attn.c_k", "attn.c_v")
    assert by_family["input"] == {at(0, *qkv), at(1, *qkv)}
    assert by_family["stream"] == {tuple(sorted(at(0, *qkv, "mlp.fc") + at(1, *qkv, "mlp.fc")))}

"""Jobs of tiny models that are calibrated, for tests of what menus choose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import CALM, golf_model, random_sequences

from bytecap.compiler.job import CompileJob
from bytecap.compiler.menu.standard import StandardChoices, choose_standard
from bytecap.compiler.model.model import Model, ModelTensor
from bytecap.compiler.quantize.grids import GridQuantizer, PlainGrids
from bytecap.compiler.recipe import parse_recipe
from bytecap.compiler.statistics.convergence import calibrate
from bytecap.compiler.workers import one_thread_each
from bytecap.progress import silent_stage

ARCHITECTURE = SMALL | {"vocab_size": 96, "model_dim": 32}
PRICE = 3e-3
OFF = {"enabled": False}


def model_with_table(near_copies: int) -> Model:
    """A model so many rows of whose table are near copies of a few others."""
    model, random = golf_model(3, **ARCHITECTURE), np.random.default_rng(4)
    table = model.tensors[0].values.copy()
    if near_copies:
        noise = random.standard_normal((near_copies, table.shape[1])) * 1e-3 * table.std()
        table[-near_copies:] = table[random.integers(8, size=near_copies)] + noise
    first = ModelTensor(model.tensors[0].name, np.ascontiguousarray(table, np.float32), model.tensors[0].dtype)
    return replace(model, tensors=(first, *model.tensors[1:]))


def job_of(model: Model, **tables: dict[str, object]) -> CompileJob:
    """Calibrated on little text, four of its sequences held out; tables : of the recipe, by their names in it with
    underscores. Whatever is not named is without distillation, tables and factors.
    """
    text = random_sequences(ARCHITECTURE["vocab_size"], 40, ARCHITECTURE["seq_len"], seed=6)
    little = {"calibrate": {"tokens": 512}, "correct-drift": {"tokens": 256}, "distil": OFF}
    named = {name.replace("_", "-"): options for name, options in tables.items()}
    recipe = parse_recipe("x", {**little, "fit-tables": OFF, "offer-factors": OFF, **named})
    with one_thread_each():
        statistics = calibrate(model, text[4:].ravel(), recipe.calibration, progress=silent_stage, **CALM)
    return CompileJob(model, statistics, text[4:].ravel(), text[:4], recipe, {}, **CALM)


def grids_of(job: CompileJob) -> PlainGrids:
    return PlainGrids(job.model, job.statistics, GridQuantizer(job.recipe.quantization), 1)


def chosen(job: CompileJob) -> StandardChoices:
    """What every compile offers, at PRICE."""
    with one_thread_each():
        outcome = choose_standard(job, grids_of(job), PRICE)
    assert outcome is not None
    return outcome

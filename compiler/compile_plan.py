"""What a compile says before it starts: what was read, how it will be done, and what that may take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..progress import Plan
from .forecast import SAMPLED_TRIALS, TRIALS, device_note, kernel_note
from .model.model import Model
from .options import CompileOptions
from .outlook import cap_note
from .peak_memory import memory_note
from .read_job import ReadJob


def plan_compile(path: Path | str, found: ReadJob, options: CompileOptions, cap: int | None) -> Plan:
    """The plan of a compile of what was read; cap : None for several."""
    model, recipe, forecast, tokens = found.job.model, found.job.recipe, found.forecast, len(found.job.text)
    wanted = min(recipe.calibration.tokens, tokens)
    facts = {
        "read": f"{path}, {model.parameters:,} weights in {len(model.tensors)} tensors{_named(model)}",
        "architecture": _architecture(model),
        "calibration": f"{options.calibration}, {tokens:,} tokens, at most {wanted:,} of them for the statistics",
        "effort": f"{options.effort} of 9, recipe {recipe.name}",
    }
    said = {"cap": None if cap is None else cap_note(model, cap), "device": device_note(options.device)}
    said |= {"kernels": kernel_note(forecast), "threads": found.fewer_threads}
    said |= {"memory": memory_note(forecast.peak_bytes, forecast.threads)}
    facts |= {title: note for title, note in said.items() if note is not None}
    steps = {"find the byte price": SAMPLED_TRIALS if recipe.row_sample.enabled else TRIALS}
    steps["land on the cap"] = SAMPLED_TRIALS
    memory = forecast.peak_bytes, forecast.peak_factor
    return Plan(facts, forecast.seconds, forecast.low, forecast.high, *memory, steps)


def _named(model: Model) -> str:
    return f", set {model.weights!r}" if model.weights else ""


def _architecture(model: Model) -> str:
    """The numbers of a kind that models are told apart by, who told them, and what was assumed."""
    sources = ", ".join(dict.fromkeys(model.told.values())) or "nobody"
    assumed = ", ".join(f"{name} {value}" for name, value in model.assumed.items())
    sizes = _sizes(model.architecture)
    return f"{sizes}; told by {sources}" + (f"; assumed: {assumed}" if assumed else "")


def _sizes(architecture: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in architecture.items() if isinstance(value, int))

"""The experiments that put the project's founding theses to the test, one file a thesis, in one registry."""

from . import byte_allocation, head_bottleneck, head_to_depth, row_rescue, vq_head  # noqa: F401 - registers the experiments
from .findings import Chart, Estimate, Findings, Observation, Table, verdict_of
from .registry import EXPERIMENTS, Experiment, Inputs, register_experiment

__all__ = [
    "EXPERIMENTS", "Chart", "Estimate", "Experiment", "Findings", "Inputs", "Observation", "Table", "register_experiment", "verdict_of",
]  # fmt: skip

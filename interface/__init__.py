"""The Python API: one function a command, the same functions that the command line calls.

Strategy: paths in and records out, no printing. Each function lives with its kind: `compiling` and `fitting` (several
checkpoints or caps), `artifacts` (what reads an artifact), `checking` (other people's tables and scorers), `judging`
(submission folders), `extending` (packages of others), `evaluating`, `measurements` (what measures a checkpoint) and
`laboratory`. What a function needs is imported when it is called, so that evaluating, inspecting and verifying an
artifact, and exporting it to safetensors, work where torch is not installed. All deliberate errors are subclasses of
`bytecap.errors.BytecapError` (file_errors.py). `progress`, where taken, is called as `progress(stage, done, total)`;
True draws bars.

To add a function: write it in the module of its kind, name it here and in `bytecap.__init__`.
"""

from __future__ import annotations

from .artifacts import decode_tensors, inspect, read_artifact, verify, write_artifact
from .checking import check_byte_table, check_scorer
from .comparing import Difference, diff
from .compiling import compile
from .evaluating import EvaluatedText, Evaluation, evaluate
from .exporting import Export, export
from .extending import Extension, plugins
from .fitting import fit
from .forecasting import forecast
from .generating import Generation, LoadedModel, load
from .judging import verify_folder, verify_folders
from .laboratory import experiments, run_experiment
from .measurements import curve, describe, diagnose, score, sensitivity
from .packing import pack

__all__ = [
    "Difference",
    "EvaluatedText",
    "Evaluation",
    "Export",
    "Extension",
    "Generation",
    "LoadedModel",
    "check_byte_table",
    "check_scorer",
    "compile",
    "curve",
    "decode_tensors",
    "describe",
    "diagnose",
    "diff",
    "evaluate",
    "experiments",
    "export",
    "fit",
    "forecast",
    "inspect",
    "load",
    "pack",
    "plugins",
    "read_artifact",
    "run_experiment",
    "score",
    "sensitivity",
    "verify",
    "verify_folder",
    "verify_folders",
    "write_artifact",
]

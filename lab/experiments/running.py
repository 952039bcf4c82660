"""Running one experiment by name, with everything that its report must say: settings, digests, the command, the verdict.

Strategy: the record turns into one document of JSON values (`document_of`), and both the page and the command line show that
document and nothing else.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...errors import DataError
from ...files.digests import file_sha256
from ...files.shell_commands import shell_command
from ...version import VERSION
from .findings import Findings
from .inputs import Inputs
from .registry import EXPERIMENTS, Experiment

FILES = ("checkpoint", "architecture", "calibration", "evaluation", "tokenizer", "training")
NUMBERS = ("minutes", "tokens", "seed", "device", "threads", "folder")


@dataclass(frozen=True, slots=True)
class ExperimentRun:
    """An experiment, what it was run on, and what it found; seconds of this run, kept parts not measured again."""

    experiment: Experiment
    inputs: Inputs
    findings: Findings
    seconds: float

    @property
    def verdict(self) -> str:
        return self.findings.verdict


def run_experiment(name: str, inputs: Inputs) -> ExperimentRun:
    """Run the experiment of this name. DataError when there is none, when an input is missing, or when one is at fault."""
    experiment = next((each for each in EXPERIMENTS if each.name == name), None)
    if experiment is None:
        raise DataError(f"there is no experiment {name!r}; there are {', '.join(each.name for each in EXPERIMENTS)}")
    began = time.perf_counter()
    findings = experiment.run(inputs)
    return ExperimentRun(experiment, inputs, findings, time.perf_counter() - began)


def document_of(run: ExperimentRun) -> dict[str, Any]:
    """Everything about a run as JSON values."""
    findings = run.findings
    return {
        "experiment": run.experiment.name,
        "verdict": findings.verdict,
        "thesis": run.experiment.thesis,
        "supports": list(run.experiment.supports),
        "falsifies": list(run.experiment.falsifies),
        "observations": [asdict(o) for o in findings.observations],
        "tables": [{"title": t.title, "columns": list(t.columns), "rows": [list(r) for r in t.rows], "note": t.note} for t in findings.tables],
        "charts": [
            {"title": c.title, "labels": list(c.labels), "logarithmic": c.logarithmic,
             "series": [{"name": name, "points": [list(p) for p in points]} for name, points in c.series.items()]}
            for c in findings.charts
        ],
        "settings": dict(findings.settings),
        "reproduce": command_line(run.experiment.name, run.inputs),
        "files": {name: file_sha256(path) for name in FILES if (path := getattr(run.inputs, name)) is not None},
        "version": VERSION,
        "seconds": run.seconds,
    }  # fmt: skip


def command_line(name: str, inputs: Inputs) -> str:
    """The `bytecap lab run` command of these inputs; options at their defaults are left out."""
    defaults = {field.name: field.default for field in fields(Inputs)}
    known = {option: getattr(inputs, option) for option in (*FILES, *NUMBERS)}
    options = [(option, value) for option, value in known.items() if value != defaults[option]]
    own = [f"{key}={json.dumps(value)}" for key, value in (inputs.options or {}).items()]
    return shell_command(["bytecap", "lab", "run", name], [*options, ("option", own)])

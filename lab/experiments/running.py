"""Running one experiment by name, with everything that its report must say.

Strategy: the record turns into one document of JSON values (`document_of`), and both the page and the command
line show that document and nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ...display import ShownByFacts, rows_table
from ...errors import DataError
from ...files.digests import file_sha256
from ...files.nearest_name import known_names
from ...files.shell_commands import shell_command
from ...report.dates import date_today
from ...version import VERSION
from .findings import FALSIFIES, SUPPORTS, UNDECIDED, Chart, Findings, Table
from .inputs import Inputs
from .registry import EXPERIMENTS, Experiment

FILES = ("checkpoint", "architecture", "calibration", "evaluation", "tokenizer", "training")
NUMBERS = ("weights", "ignore", "rename", "minutes", "tokens", "seed", "device", "threads", "folder")


@dataclass(frozen=True, slots=True, repr=False)
class ExperimentRun(ShownByFacts):
    """An experiment, what it was run on, and what it found; seconds of this run, kept parts not measured again."""

    experiment: Experiment
    inputs: Inputs
    findings: Findings
    seconds: float

    @property
    def verdict(self) -> str:
        return self.findings.verdict

    def shown_facts(self) -> Mapping[str, str]:
        """The verdict, the thesis, and how many observations speak for it."""
        outcomes = [each.outcome for each in self.findings.observations if each.decisive]
        counts = ", ".join(f"{outcomes.count(each)} {each}" for each in (SUPPORTS, FALSIFIES, UNDECIDED))
        return {"": self.experiment.name, "verdict": f"{self.verdict} ({counts})", "thesis": self.experiment.thesis}

    def _repr_html_(self) -> str:
        rows = [(each.outcome, each.question, each.answer) for each in self.findings.observations]
        table = rows_table("observations", ("outcome", "question", "answer"), rows)
        return super(ExperimentRun, self)._repr_html_() + table


def run_experiment(name: str, inputs: Inputs) -> ExperimentRun:
    """Run the experiment of this name.

    DataError when there is none, when an input is missing, or when one is at fault.
    """
    if name not in EXPERIMENTS:
        raise DataError(f"there is no experiment {name!r}; {known_names(name, EXPERIMENTS)}")
    began = time.perf_counter()
    findings = EXPERIMENTS[name].run(inputs)
    return ExperimentRun(EXPERIMENTS[name], inputs, findings, time.perf_counter() - began)


def document_of(run: ExperimentRun) -> dict[str, Any]:
    """Everything about a run as JSON values."""
    experiment, findings, inputs = run.experiment, run.findings, run.inputs
    return {
        "experiment": experiment.name,
        "verdict": findings.verdict,
        "thesis": experiment.thesis,
        "supports": list(experiment.supports),
        "falsifies": list(experiment.falsifies),
        "observations": [asdict(observation) for observation in findings.observations],
        "tables": [_table_document(table) for table in findings.tables],
        "charts": [_chart_document(chart) for chart in findings.charts],
        "settings": dict(findings.settings),
        "reproduce": command_line(experiment.name, inputs),
        "files": {
            name: file_sha256(path) if Path(path).exists() else str(path)  # a preset, or the word bytes
            for name in FILES
            if (path := getattr(inputs, name)) is not None
        },
        "inputs": {name: str(path) for name in FILES if (path := getattr(inputs, name)) is not None},
        "date": date_today(),
        "version": VERSION,
        "seconds": run.seconds,
    }


def _table_document(table: Table) -> dict[str, Any]:
    rows = [list(row) for row in table.rows]
    intervals = [list(columns) for columns in table.intervals]
    whole = {"title": table.title, "columns": list(table.columns), "rows": rows, "note": table.note}
    return whole | {"intervals": intervals}


def _chart_document(chart: Chart) -> dict[str, Any]:
    """`intervals` and `names` are those of the points, null and "" where one has none."""
    series = [
        {
            "name": name,
            "points": [[point.x, point.y] for point in line],
            "intervals": [None if point.low is None else [point.low, point.high] for point in line],
            "names": [point.name for point in line],
        }
        for name, line in chart.series.items()
    ]
    kinds = {"logarithmic": chart.logarithmic, "joined": chart.joined, "note": chart.note}
    return {"title": chart.title, "labels": list(chart.labels), **kinds, "series": series}


def command_line(name: str, inputs: Inputs) -> str:
    """The `bytecap lab run` command of these inputs; options at their defaults are left out."""
    defaults = {field.name: field.default for field in fields(Inputs)}
    known = {option: getattr(inputs, option) for option in (*FILES, *NUMBERS)}
    options = [(option, value) for option, value in known.items() if value != defaults[option]]
    own = [f"{key}={json.dumps(value)}" for key, value in (inputs.options or {}).items()]
    return shell_command(["bytecap", "lab", "run", name], [*options, ("option", own)])

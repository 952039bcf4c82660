"""How every public result shows itself: briefly as text, as a small well-formed table in a notebook."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser

import numpy as np
import pytest
from small_job import CAP

import bytecap
from bytecap.compiler.fitted import Fit, FittedArtifact
from bytecap.compiler.result import CompileResult
from bytecap.display import LONGEST_FACT, ShownByFacts, facts_table, rows_table
from bytecap.files.ledger import build_ledger
from bytecap.format.artifact import decode_tensors
from bytecap.lab.experiments.findings import SUPPORTS, Findings, Observation
from bytecap.lab.experiments.inputs import Inputs
from bytecap.lab.experiments.running import ExperimentRun
from bytecap.lab.measure.byte_returns import Base, ReturnPoint
from bytecap.lab.measure.curves import ByteReturns, CurveInputs

LONGEST_LINE, LONGEST_TABLE, LONGEST_PART = 1_000, 20_000, 4_000


class Tags(HTMLParser):
    """Counts tags that are open, and refuses what would reach outside of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag, attrs):
        assert tag not in {"script", "link", "img", "iframe"}
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def assert_table(html: str) -> None:
    tags = Tags()
    tags.feed(html)
    assert tags.open == [] and {"table", "tr"} <= tags.seen


@pytest.fixture(scope="module")
def results(small_job, tmp_path_factory) -> dict[str, object]:
    """A result of every public function by its name; those that take long are made by hand."""
    folder = tmp_path_factory.mktemp("results")
    job, data = small_job, {"data": small_job.data, "tokenizer": small_job.tokenizer}
    compiled, artifact = small_job.compiled.document, small_job.artifact.read_bytes()
    model = bytecap.load(job.artifact, tokenizer=job.tokenizer)
    known = {"architecture": job.architecture, "tokens": 128}
    fitted = FittedArtifact("seed.pt", CAP, "seed.bcap", "0" * 64, predicted_loss=0.1)
    experiment = bytecap.experiments()[0]
    findings = Findings([Observation("is it so?", "yes <b>", SUPPORTS)])
    inputs = Inputs(job.checkpoint, job.calibration, job.data, folder)
    point = ReturnPoint("rows", 100, 2, 1100, 100, {}, 0.1, 0.01, 0.001)
    returns = ByteReturns(
        CurveInputs(job.checkpoint, job.calibration), Base(1000, 1e-4, 1.0, 0.1, None, None), (point,)
    )
    return {
        "compile": CompileResult(artifact, build_ledger(artifact, [], CAP), compiled["report"], compiled["provenance"]),
        "fit": Fit((fitted, dataclasses.replace(fitted, measured_loss=0.2, held_out_tokens=64))),
        "evaluate": bytecap.evaluate(
            job.artifact, **data, max_tokens=96, against=job.checkpoint, architecture=job.architecture
        ),
        "load": model,
        "generate": model.generate("a", tokens=3),
        "inspect": bytecap.inspect(job.artifact),
        "diff": bytecap.diff(job.artifact, job.artifact, **data, max_tokens=96),
        "verify": bytecap.verify(job.artifact, cap="18KB"),
        "verify_folder": bytecap.verify_folder(folder),
        "check_byte_table": bytecap.check_byte_table(job.tokenizer),
        "export": bytecap.export(job.artifact, folder / "x.safetensors"),
        "pack": bytecap.pack(job.artifact, folder / "packed"),
        "sensitivity": bytecap.sensitivity(job.checkpoint, calibration=job.calibration, slices=1, **known),
        "curve": returns,
        "describe": bytecap.describe(job.checkpoint),
        "diagnose": bytecap.diagnose(job.checkpoint, data=job.calibration, **known),
        "run_experiment": ExperimentRun(experiment, inputs, findings, 1.0),
        "read_artifact": bytecap.read_artifact(artifact),
    }


def parts(value: object) -> list[object]:
    """All records inside of a result, at any depth."""
    inside: list[object] = []
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = [getattr(value, field.name) for field in dataclasses.fields(value)]
    elif isinstance(value, list | tuple):
        inside = list(value)
    found = [value] if dataclasses.is_dataclass(value) else []
    return found + [record for each in inside for record in parts(each)]


def test_every_result_has_a_short_line_and_a_table(results):
    for name, result in results.items():
        line = repr(result)
        assert len(line) <= LONGEST_LINE and "\n" not in line, name
        assert line.startswith(f"{type(result).__name__}("), name
        table = result._repr_html_()
        assert len(table) <= LONGEST_TABLE, name
        assert_table(table)


def test_no_record_inside_of_a_result_is_long(results):
    records = [(name, part) for name, result in results.items() for part in parts(result)]
    lengths = {(name, type(part).__name__): len(repr(part)) for name, part in records}
    assert {key: length for key, length in lengths.items() if length > LONGEST_PART} == {}
    assert ("read_artifact", "Section") in lengths


def test_what_is_not_measured_is_not_shown_as_if_it_were(results):
    report = results["compile"].report
    unmeasured = dataclasses.replace(results["compile"], report=report | {"measured_loss": None, "held_out_tokens": 0})
    assert "measured on" in repr(results["compile"]) and "predicted" not in repr(results["compile"])
    assert "predicted and not measured" in repr(unmeasured)
    table = results["fit"]._repr_html_()
    assert "0.1 predicted, not measured" in table and "0.2 on 64 held-out tokens" in table


def test_assumptions_are_shown(results):
    assert "assumed rope_base" in repr(results["describe"])
    assert "bits per byte" in repr(results["evaluate"]) and "mBPB" in repr(results["evaluate"])


def test_texts_cannot_become_tags(results):
    assert "yes &lt;b&gt;" in results["run_experiment"]._repr_html_()
    assert_table(facts_table("<i>", {"<b>": "</td>"}))
    assert_table(rows_table("<i>", ["<b>"], [["</td>"]]))


def test_long_facts_are_cut_in_the_line_and_whole_in_the_table():
    class Long(ShownByFacts):
        def shown_facts(self):
            return {"fact": "x" * 300}

    assert repr(Long()) == f"Long(fact {'x' * (LONGEST_FACT - 1)}…)"
    assert "x" * 300 in Long()._repr_html_()


def test_tensors_are_arrays_by_name(results, small_job):
    artifact = results["read_artifact"]
    arrays = artifact.tensors
    assert list(arrays) == [entry.name for entry in artifact.directory]
    again, in_order = bytecap.decode_tensors(artifact), decode_tensors(artifact)
    assert list(again) == list(arrays)
    assert all(np.array_equal(arrays[name], other) for name, other in zip(again, in_order, strict=True))

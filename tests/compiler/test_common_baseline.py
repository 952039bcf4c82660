"""--reproducible: what is pinned, what is refused, and the same bytes whatever the environment says of instructions.

Environment settings stand for other processors: they make the libraries take the kernels that they take there. What
they cannot show is another C library, and a processor that rounds otherwise, of which none is known.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from command_line import process_arguments
from source_tree import ROOT
from tiny_models import ARCHITECTURE as SMALL
from tiny_models import golf_model, random_sequences

import bytecap
from bytecap.compiler import common_baseline
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.common_baseline import CLEARED, PINNED, _missing_features, pin_instructions
from bytecap.compiler.instruction_sets import fingerprint, instruction_sets, provenance_of_instructions
from bytecap.errors import CompileError
from bytecap.format.artifact import read_artifact
from bytecap.runtime.shards import write_shard

ARCHITECTURE = SMALL | {"vocab_size": 40, "model_dim": 32}
RECIPE = "[calibrate]\ntokens = 768\n\n[correct-drift]\ntokens = 256\n\n[distil]\nbatch-tokens = 64\nsteps = 8\n"
PLAIN = {name: None for name in (*PINNED, *CLEARED)}  # not set
OTHER = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "AUTO",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3",
    "NUMBA_DISABLE_INTEL_SVML": "0",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Prescott",
    "OMP_NUM_THREADS": "3",
}
CAN = platform.machine().lower() in ("x86_64", "amd64") and not _missing_features(Path("/proc/cpuinfo"))
FINGERPRINT = "from bytecap.compiler.instruction_sets import fingerprint; print(fingerprint())"


@dataclass(frozen=True)
class Run:
    """A process that was started, and the artifact that it writes."""

    process: subprocess.Popen[str]
    artifact: Path

    def document(self) -> dict:
        out, err = self.process.communicate()
        assert self.process.returncode == 0, err
        return json.loads(out)


def started(words: list[str], settings: dict[str, str | None]) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment |= {name: value for name, value in settings.items() if value is not None}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    model = golf_model(6, **ARCHITECTURE)
    names, arrays = [t.name for t in model.tensors], [t.values for t in model.tensors]
    export_checkpoint(names, arrays, ["float32"] * len(names), folder / "model.pt")
    write_shard(folder / "calibration.bin", random_sequences(40, 48, ARCHITECTURE["seq_len"], seed=6).ravel())
    (folder / "architecture.json").write_text(json.dumps(ARCHITECTURE))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def compiling(job: Path, name: str, settings: dict[str, str | None], *options: str) -> Run:
    inputs = {"--calibration": "calibration.bin", "--architecture": "architecture.json", "--recipe": "recipe.toml"}
    given = [word for option, file in inputs.items() for word in (option, str(job / file))]
    words = process_arguments("compile", job / "model.pt", "-o", job / name, "--cap", 8_000, *given, "--json", *options)
    return Run(started(words, settings), job / name)


def test_there_is_something_to_pin():
    """Without --reproducible the other settings give other sums; else the test below would show nothing."""
    other = started([sys.executable, "-c", FINGERPRINT], PLAIN | OTHER)
    assert other.communicate()[0].strip() not in ("", fingerprint())


def test_the_same_bytes_whatever_the_settings(job):
    runs = [
        compiling(job, "one.bcap", PLAIN, "--reproducible", "--threads", "1"),
        compiling(job, "other.bcap", PLAIN | OTHER, "--reproducible", "--threads", "2"),
    ]
    if not CAN:
        assert {run.process.wait() for run in runs} == {6}
        return
    documents = [run.document() for run in runs]
    assert runs[0].artifact.read_bytes() == runs[1].artifact.read_bytes()
    for document in documents:
        assert document["provenance"]["reproducible"] == "x86-64-v3" and "instructions" not in document["provenance"]
        found = document["report"]["instructions"]
        assert found["reproducible"] and found["libraries"]["torch"] == "AVX2"
    assert len({document["report"]["instructions"]["fingerprint"] for document in documents}) == 1
    assert read_artifact(runs[0].artifact.read_bytes()).provenance == documents[0]["provenance"]


def test_a_process_that_has_loaded_the_libraries_is_told_the_ways_out(job):
    with pytest.raises(CompileError) as refused:
        bytecap.compile(job / "model.pt", cap=8_000, calibration=job / "calibration.bin", reproducible=True)
    if CAN:
        said = str(refused.value)
        assert "the instructions of numpy and torch and numba were chosen when they were loaded" in said
        assert "`bytecap compile --reproducible`" in said and "ATEN_CPU_CAPABILITY=avx2 MKL_CBWR=COMPATIBLE" in said
    assert not common_baseline._pinned


def test_a_process_that_was_started_with_the_settings_may_have_loaded_them(monkeypatch, tmp_path):
    started_with = tmp_path / "environ"
    started_with.write_bytes(b"\0".join(f"{name}={value}".encode() for name, value in PINNED.items()) + b"\0")
    monkeypatch.setattr(common_baseline, "INITIAL", started_with)
    monkeypatch.setattr(common_baseline, "_check_machine", lambda: None)
    monkeypatch.setattr(common_baseline, "_pinned", [])
    for name, value in {**PINNED, **dict.fromkeys(CLEARED, "1")}.items():
        monkeypatch.setenv(name, value)
    pin_instructions()
    assert all(os.environ[name] == value for name, value in PINNED.items())
    assert not any(name in os.environ for name in CLEARED)
    monkeypatch.setattr(common_baseline, "_pinned", [])
    started_with.write_bytes(started_with.read_bytes() + b"MKL_ENABLE_INSTRUCTIONS=SSE4_2\0")
    with pytest.raises(CompileError, match="loaded"):
        pin_instructions()


@pytest.mark.parametrize(
    ("machine", "flags", "tunables", "message"),
    [
        ("arm64", None, "", "this processor is arm64"),
        ("x86_64", "fpu sse2 avx", "", "this processor lacks avx2 and fma"),
        ("x86_64", "avx2 fma", "glibc.cpu.hwcaps=-FMA", "GLIBC_TUNABLES changes the instructions"),
    ],
)
def test_a_machine_that_cannot_is_refused(monkeypatch, tmp_path, machine, flags, tunables, message):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"processor : 0\nflags\t\t: {flags}\n")
    missing = _missing_features(cpuinfo)
    monkeypatch.setattr(common_baseline, "_missing_features", lambda path: missing)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setenv("GLIBC_TUNABLES", tunables)
    with pytest.raises(CompileError, match=message):
        pin_instructions()


def test_a_graphics_processor_is_refused(monkeypatch):
    monkeypatch.setattr(common_baseline, "_pinned", [True])
    with pytest.raises(CompileError, match="the sums of 'cuda' have no fixed order"):
        provenance_of_instructions(True, "cuda")


def test_libraries_that_did_not_take_the_settings_are_refused(monkeypatch):
    monkeypatch.setattr("bytecap.compiler.instruction_sets.EXPECTED", {"torch": "VSX"})
    monkeypatch.setattr(common_baseline, "_pinned", [True])
    used = instruction_sets()["torch"]
    with pytest.raises(CompileError, match=f"not possible here: torch uses {used}"):
        provenance_of_instructions(True)


def test_a_plain_compile_names_what_the_libraries_used():
    found = provenance_of_instructions(False)
    assert found == {"instructions": instruction_sets()} and set(instruction_sets()) == {
        "blas",
        "numba",
        "numpy",
        "torch",
    }
    assert all(value and value != "unknown" for value in instruction_sets().values())


def test_the_fingerprint_is_that_of_this_process_and_not_of_its_threads():
    import torch

    before = torch.get_num_threads()
    found = set()
    for threads in (1, 3):
        torch.set_num_threads(threads)
        found.add(fingerprint())
    torch.set_num_threads(before)
    assert len(found) == 1


def test_no_kernel_of_a_compile_may_be_reordered():
    """So numba needs no pin: LLVM keeps the order of a sum unless `fastmath` lets it go."""
    paths = [*(ROOT / "compiler").rglob("*.py"), *(ROOT / "format").rglob("*.py")]
    assert [path for path in paths if re.search(r"\b(fastmath|parallel)=", path.read_text(encoding="utf-8"))] == []

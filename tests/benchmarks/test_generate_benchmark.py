"""The files that run.c and bytecap are given, and what is read of run.c's answer; run.c itself is not built here."""

from __future__ import annotations

import struct
import subprocess
from types import SimpleNamespace

import numpy as np

import bytecap
from benchmarks import generate

SMALL = generate.Shapes(16, 24, 2, 4, 2, 40, 12)


def test_random_models_load_as_llama2c_files(tmp_path):
    path = tmp_path / "random.bin"
    path.write_bytes(generate.random_model(SMALL))
    model = bytecap.load(path)
    assert (model.program.vocabulary_size, model.program.sequence_length) == (40, 12)
    assert np.ptp(model.logits([1, 2, 3])) > 0.1
    assert generate.rate_of_bytecap(model, 6, seed=1) > 0


def test_the_pieces_are_the_numbers():
    data = generate.pieces_file(3)
    assert data == struct.pack("<i", 2) + b"".join(struct.pack("<fi", 0, 2) + b"%d " % number for number in range(3))


def test_the_rate_is_what_run_c_says(monkeypatch, tmp_path):
    asked = []

    def run(command, **options):
        asked.append([str(part) for part in command])
        return SimpleNamespace(stderr=b"achieved tok/s: 45.25\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert generate.rate_of_run_c(tmp_path / "run", tmp_path / "m.bin", tmp_path / "p.bin", 9, 2) == 45.25
    assert asked[0][2:] == ["-z", str(tmp_path / "p.bin"), "-t", "1.0", "-p", "1.0", "-n", "9", "-s", "2"]

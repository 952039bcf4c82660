"""A look ahead: what little text predicts is what much text predicts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import bytecap_command
from golden_logits import golden_logits
from tiny_models import ARCHITECTURE, golf_model, random_sequences
from tiny_tokenizers import model_bytes, words

from bytecap.compiler import forecast as forecasts
from bytecap.compiler import inputs, outlook, peak_memory, read_job
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.model import chunked_scan
from bytecap.compiler.outlook import Outlook
from bytecap.compiler.quantize.grids import PlainGrids
from bytecap.compiler.recipe import read_recipe
from bytecap.format.program.operations import Attention, Linear
from bytecap.interface import forecast
from bytecap.runtime.shards import write_shard

WIDTH = 96
SHAPES = ARCHITECTURE | {"model_dim": WIDTH, "num_heads": 4, "num_kv_heads": 2}


def _write_model(folder: Path, sizes: dict[str, object]) -> list[str]:
    """A model of these sizes, and its architecture beside it; the names of its tensors."""
    tensors = golf_model(3, **sizes).tensors
    names = [tensor.name for tensor in tensors]
    export_checkpoint(names, [t.values for t in tensors], ["float32"] * len(names), folder / "model.pt")
    (folder / "architecture.json").write_text(json.dumps(sizes))
    return names


def test_a_few_tokens_predict_what_many_do(tmp_path, monkeypatch):
    """As many tokens as a matrix has inputs span no more than these; errors elsewhere seem to cost nothing.

    Of four texts together, since the gradients that are drawn for so few tokens change a prediction by a factor of two.
    """
    _write_model(tmp_path, SHAPES)

    def look(seed: int, tokens: int) -> Outlook:
        monkeypatch.setattr(outlook, "LEAST_TOKENS", tokens)
        monkeypatch.setattr(outlook, "MOST_TOKENS", tokens)
        sequences = random_sequences(SHAPES["vocab_size"], 256, SHAPES["seq_len"], seed=seed)
        write_shard(tmp_path / "text.bin", sequences.astype(np.uint16).reshape(-1), force=True)
        inputs = {"architecture": tmp_path / "architecture.json", "calibration": tmp_path / "text.bin"}
        found = forecast(tmp_path / "model.pt", cap=40_000, effort=1, threads=1, **inputs)
        assert found.tokens == tokens
        return found

    few, many = [look(seed, WIDTH) for seed in range(4)], look(0, 32 * WIDTH)
    predicted = np.exp(np.mean(np.log([each.predicted_loss for each in few])))
    assert 0.6 * many.predicted_loss < predicted < 4 * many.predicted_loss
    assert few[0].largest_useful == pytest.approx(many.largest_useful, rel=0.1)


def test_matrices_of_a_few_layers_stand_for_those_of_all(tmp_path, monkeypatch):
    """Five layers, of which three are looked at: the first, the last and the middle one."""
    sizes = SHAPES | {"num_layers": 5}
    names = _write_model(tmp_path, sizes)
    tokens = random_sequences(sizes["vocab_size"], 128, sizes["seq_len"], seed=3)
    write_shard(tmp_path / "text.bin", tokens.astype(np.uint16).reshape(-1))
    prepared: list[set[int]] = []
    rows_of = PlainGrids.prepared_rows

    def counting(self, index, chosen):
        prepared[-1].add(index)
        return rows_of(self, index, chosen)

    monkeypatch.setattr(PlainGrids, "prepared_rows", counting)

    def look(layers: int) -> Outlook:
        prepared.append(set())
        monkeypatch.setattr(outlook, "LAYERS", layers)
        inputs = {"architecture": tmp_path / "architecture.json", "calibration": tmp_path / "text.bin"}
        return forecast(tmp_path / "model.pt", cap=60_000, effort=1, threads=1, **inputs)

    few, all_ = look(3), look(5)
    layers = [
        sorted({int(names[i].split(".")[1]) for i in found if names[i].startswith("blocks.")}) for found in prepared
    ]
    assert layers == [[0, 2, 4], [*range(5)]]
    assert few.predicted_loss == pytest.approx(all_.predicted_loss, rel=0.4)
    assert few.largest_useful == pytest.approx(all_.largest_useful, rel=0.05)
    assert few.smallest == all_.smallest


def test_a_long_text_is_looked_at_in_its_beginning(tmp_path, monkeypatch):
    """And what it says of time is what the whole text would."""
    _write_model(tmp_path, ARCHITECTURE | {"vocab_size": 420})
    (tmp_path / "tokenizer.model").write_bytes(model_bytes())
    (tmp_path / "text.txt").write_text("\0".join(" ".join(words(seed, 400)) for seed in range(40)))
    paths = {"architecture": "architecture.json", "calibration": "text.txt", "tokenizer": "tokenizer.model"}
    stages = []
    monkeypatch.setattr(forecasts, "flops_of_core", lambda: 2e10)
    monkeypatch.setattr(forecasts, "searched_weights", lambda states: 5e5)
    monkeypatch.setattr(outlook, "MOST_TOKENS", 1024)

    def look() -> Outlook:
        given = {name: tmp_path / path for name, path in paths.items()}
        return forecast(tmp_path / "model.pt", cap=8_000, progress=lambda *stage: stages.append(stage), **given)

    whole = look()
    monkeypatch.setattr(inputs, "GLANCE_TOKENS", 16 * 1024)
    found = look()
    assert [note for note in found.notes if "tokens, by its first 16,384" in note] and whole.tokens == found.tokens
    assert found.forecast.total == pytest.approx(whole.forecast.total, rel=0.1)
    assert found.predicted_loss == pytest.approx(whole.predicted_loss, rel=0.2)
    assert found.reading == whole.reading and set(found.reading.told.values()) == {"architecture", "shapes"}
    told = {"measure a little text", "sample the rows", "find the byte price", "tokenize text.txt (bytes)"}
    assert {stage for stage, _, _ in stages} == told


def test_more_memory_than_the_machine_has_is_said_before_the_work(small_job, tmp_path, monkeypatch):
    arguments = small_job.compile_arguments(tmp_path / "out.bcap")
    monkeypatch.setattr(peak_memory, "memory_bytes", lambda: 100_000_000)
    monkeypatch.setattr(read_job, "usable_cores", lambda: 8)
    fewer = "1 of 8 threads work, as memory allows; --threads 8 takes all"
    warning = r"about 0\.\d GB are needed and this machine lets a process have 0\.1: the compile may be killed; "
    notes = bytecap_command(*arguments, "--dry-run", "--json").document["outlook"]["notes"]
    (note,) = [each for each in notes if "GB" in each]
    assert re.fullmatch(f"{warning}a lower --effort takes less", note) and fewer in notes
    said = bytecap_command(*arguments, "-v").stderr
    assert re.search(f"memory: {warning}", said) and f"threads: {fewer}" in said
    named = bytecap_command(*arguments, "--dry-run", "--threads", "2").stdout
    assert "--threads 1 and a lower --effort take less" in named and fewer not in named
    for there in (None, 1 << 40):
        monkeypatch.setattr(peak_memory, "memory_bytes", lambda there=there: there)
        found = bytecap_command(*arguments, "--dry-run").stdout
        assert "lets a process have" not in found and "threads work" not in found


def test_no_more_threads_work_than_fit_into_memory(monkeypatch):
    """Each has activations of its own; who names threads gets them."""
    model, recipe = golf_model(3, **ARCHITECTURE), read_recipe("default")
    needed = {n: forecasts.forecast_compile(model, recipe, 4096, 256, n).peak_bytes for n in (1, 3, 8)}
    for there, threads in ((None, 8), (needed[8], 8), (needed[3], 3), (needed[1], 1), (needed[1] - 1, 1)):
        monkeypatch.setattr(peak_memory, "memory_bytes", lambda there=there: there)
        assert peak_memory.threads_that_fit(model, recipe, 4096, 8) == threads


def test_the_probabilities_that_attention_keeps_are_counted(monkeypatch):
    """Half a float for each head, query and key, of which a query sees half, where bfloat16 is multiplied."""
    program = golden_logits("llama").model().program
    heads = sum(op.heads for op in program.instructions if isinstance(op, Attention))
    assert heads and program.sequence_length <= peak_memory.LONGEST
    for half, kept in ((True, heads * program.sequence_length / 4), (False, 0)):
        monkeypatch.setattr(peak_memory, "has_half_products", lambda half=half: half)
        assert peak_memory._kept_probabilities(program) == kept
    monkeypatch.setattr(peak_memory, "has_half_products", lambda: True)
    monkeypatch.setattr(peak_memory, "LONGEST", program.sequence_length - 1)
    assert peak_memory._kept_probabilities(program) == 0


def test_what_is_done_to_states_counts_in_a_pass():
    """A decay between any two positions of a chunk, or one for each element of a state; for each of two layers."""
    found = {}
    for name in ("mamba", "mamba2", "qwen3-5"):
        model = golden_logits(name).model()
        weights = {op.weight for op in model.program.instructions if isinstance(op, Linear)}
        maps = sum(2 * model.tensors[weight].values.size for weight in weights)
        found[name] = forecasts._Counts.of(model, 65_536).forward - maps
    chunk, cost = chunked_scan.CHUNK, forecasts.SCAN_FLOPS
    assert found == {
        "mamba": 2 * cost * 48 * 4,
        "mamba2": 2 * (cost * 6 * chunk + 2 * 48 * (chunk + 2 * 4)),
        "qwen3-5": 2 * (cost * 4 * chunk + 2 * 48 * (1.5 * chunk + 3 * 8)),
    }


def test_a_head_of_its_own_costs_its_rows_and_not_their_cube(monkeypatch):
    """No second moments of a head's outputs are taken, and its rows do not make up for each other: a row costs about
    what one of a table does, however many there are.
    """
    monkeypatch.setattr(forecasts, "flops_of_core", lambda: 2e10)
    monkeypatch.setattr(forecasts, "searched_weights", lambda states: 5e5)
    monkeypatch.setattr(forecasts, "uncompiled_seconds", lambda states: 0.0)
    recipe, seconds, counts = read_recipe("default", 1), {}, {}
    for tied in (True, False):
        model = golf_model(3, **ARCHITECTURE | {"vocab_size": 1 << 17, "tie_embeddings": tied})
        counts[tied] = forecasts._Counts.of(model, 1 << 20)
        seconds[tied] = forecasts.forecast_compile(model, recipe, 1 << 20, 0, 1).total
    assert (1 << 17) * ARCHITECTURE["model_dim"] == counts[False].head == counts[False].independent
    assert counts[True].head == counts[True].independent == 0 and counts[True].last == counts[False].last
    assert counts[False].cubes == counts[True].cubes + ARCHITECTURE["model_dim"] ** 3
    assert seconds[True] < seconds[False] < 1.5 * seconds[True]


def test_kernels_that_numba_has_yet_to_compile_are_forecast_and_said(small_job, tmp_path, monkeypatch):
    """Before a compile; behind a dry run they are compiled."""
    arguments = small_job.compile_arguments(tmp_path / "out.bcap")
    monkeypatch.setattr(forecasts, "flops_of_core", lambda: 2e10)
    monkeypatch.setattr(forecasts, "searched_weights", lambda states: 5e5)
    found = {}
    for seconds in (0.0, 12.3):
        monkeypatch.setattr(forecasts, "uncompiled_seconds", lambda states, seconds=seconds: seconds)
        outcome = bytecap_command(*arguments, "-v", "--force", "--json")
        found[seconds] = outcome.document["report"]["forecast"]
        note = "kernels: numba compiles them on the way, about 12 s of the forecast, and keeps them"
        assert (note in outcome.stderr) == (seconds > 0)
        dry = bytecap_command(*arguments, "--force", "--dry-run", "--json").document["outlook"]["forecast"]
        assert dry["kernel_seconds"] == 0
        assert dry["seconds"] == pytest.approx(found[0.0]["seconds"])
    assert found[12.3]["kernel_seconds"] == 12.3
    assert sum(found[12.3]["seconds"].values()) == pytest.approx(sum(found[0.0]["seconds"].values()) + 12.3)


KERNELS = "from bytecap.compiler.machine_speed import uncompiled_seconds; print(uncompiled_seconds(8))"


def test_the_first_search_of_a_trellis_tells_whether_kernels_are_kept(tmp_path):
    run, environment = [sys.executable, "-P", "-c", KERNELS], {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (subprocess.run(run, capture_output=True, check=True, env=environment).stdout for _ in range(2))
    assert float(first) > 0
    assert float(second) == 0

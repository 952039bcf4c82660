"""`bytecap inspect`: every table adds up to the file, every view of it names real things, bad files get one line."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from command_line import bytecap_command
from source_tree import ROOT

from bytecap.cli.inspect_report import TABLES, summary_view
from bytecap.format.artifact import decode_contents, decode_tensors, read_artifact
from bytecap.format.container.container import read_container, section_name
from bytecap.format.inspection import inspect_artifact
from bytecap.runtime.verification import verify_artifact


@pytest.fixture(scope="module")
def artifact(small_job):
    return read_artifact(small_job.artifact.read_bytes())


def tables(text: str) -> list[list[list[str]]]:
    """Blocks of lines between empty lines, split at runs of two spaces."""
    return [
        [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in block.splitlines()]
        for block in text.split("\n\n")
    ]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def test_every_byte_is_counted_once(small_job):
    data = small_job.artifact.read_bytes()
    found = inspect_artifact(data)
    assert found.bytes == len(data)
    assert sum(row.bytes for row in (*found.tensors, *found.shared)) == len(data)
    assert found.header_bytes + sum(row.stored_bytes for row in found.sections) == len(data)
    ends = [found.header_bytes, *(row.offset + row.stored_bytes for row in found.sections)]
    assert [row.offset for row in found.sections] == ends[:-1] and ends[-1] == len(data)


def test_compile_inspect_and_verify_count_the_same_bytes(small_job):
    data = small_job.artifact.read_bytes()
    ledger = small_job.compiled.document["ledger"]
    found = inspect_artifact(data)
    sections = {row["name"]: row["bytes"] for row in ledger["rows"] if row["kind"] == "section"}
    assert sections == {row.name: row.stored_bytes for row in found.sections}
    assert next(row["bytes"] for row in ledger["rows"] if row["kind"] == "header") == found.header_bytes
    size = next(check for check in verify_artifact(data) if check.name == "ledger")
    assert size.values["artifact_bytes"] == found.bytes == ledger["artifact_bytes"]


def test_the_verdict_comes_first(small_job, artifact):
    data = small_job.artifact.read_bytes()
    found = inspect_artifact(data)
    outcome = bytecap_command("inspect", small_job.artifact)
    assert (outcome.code, outcome.stderr) == (0, "")
    lines = outcome.stdout.splitlines()
    bits = f"{8 * len(data) / found.weights:.3f}"
    assert lines[0] == f"{small_job.artifact}: artifact of format 1.0, {len(data):,} bytes, {bits} bits a weight"
    assert lines[2] == f"sha256      {hashlib.sha256(data).hexdigest()}"
    assert lines[3].startswith(f"decodes     all of its {len(artifact.directory)} tensors, to the digest")
    assert lines[4].startswith("computes    a transformer of 2 layers and width 32, 2 heads over 1")
    assert f"{found.weights:,} weights, 420 tokens, context 32" in outcome.stdout
    assert all(len(line) <= 80 for line in lines[1:10])


def test_the_printed_tables_add_up_to_the_file(small_job):
    data = small_job.artifact.read_bytes()
    found = tables(bytecap_command("inspect", small_job.artifact, "--by", "all").stdout)
    printed = {table[0][0].strip(): table for table in found if table and table[-1][0] == "total"}
    assert list(printed) == ["section", "role", "layer", "tensor"]
    for table in printed.values():
        place = table[0].index(next(cell for cell in table[0] if cell.strip() == "bytes")) - len(table[0])
        assert len(table) > 3 and place < 0
    sections = printed["section"]
    assert sum(number(row[-2]) for row in sections[1:-1]) == number(sections[-1][-2]) == len(data)
    for title in ("role", "layer", "tensor"):
        sizes = [number(re.search(r"([\d,]+) +[\d.]+ %", "  ".join(row))[1]) for row in printed[title][1:]]
        assert sum(sizes[:-1]) == sizes[-1] == len(data)
    document = bytecap_command("inspect", small_job.artifact, "--json").document
    assert (document["schema"], document["command"]) == (4, "inspect")
    for rows in ("tensors", "roles", "layers"):
        assert sum(row["bytes"] for row in (*document[rows], *document["shared"])) == document["bytes"] == len(data)


def test_the_usual_text_is_short_and_the_same_each_time(small_job):
    texts = {bytecap_command("inspect", small_job.artifact).stdout for _ in range(2)}
    assert len(texts) == 1
    (text,) = texts
    assert len(text.splitlines()) < 60
    assert [line.split()[0] for line in text.splitlines() if line.split()[-1:] == ["raw"]] == ["role", "layer"]
    assert text.splitlines()[-1].endswith("--by tensor")
    only = bytecap_command("inspect", small_job.artifact, "--by", "tensor").stdout
    assert "blocks.0.attn.c_q.weight" in only and "offset" not in only


def test_roles_come_from_the_program(small_job):
    rows = {row["name"]: row for row in bytecap_command("inspect", small_job.artifact, "--json").document["tensors"]}
    expected = {"c_q": "attention q", "c_k": "attention k", "c_v": "attention v"}
    for part, role in expected.items():
        row = rows[f"blocks.1.attn.{part}.weight"]
        assert (row["role"], row["layer"]) == (role, 1)
    assert rows["tok_emb.weight"]["role"] == "token table + head"
    assert all(0 < row["entropy_bits"] < row["raw_bits"] for row in rows.values() if row["elements"] > 100)


def test_a_narrow_terminal_drops_columns_and_breaks_no_name(small_job, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    view = summary_view(small_job.artifact, small_job.artifact.read_bytes(), TABLES, "size", False)
    view.show()
    narrow = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()[1:]
    assert max(map(len, narrow)) <= 80
    assert sum("blocks.1.attn.proj.weight" in line for line in narrow) == 1
    header = next(line for line in narrow if line.startswith("tensor "))
    assert "bytes" in header and "terms" not in header
    replace(view, wide=True).show()
    wide = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert "terms" in next(line for line in wide if line.startswith("tensor "))


def test_pages_and_drawings_are_written_once(small_job, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1764230400")
    html, plot, graph = tmp_path / "page.html", tmp_path / "plot.svg", tmp_path / "graph.svg"
    outcome = bytecap_command("inspect", small_job.artifact, "--html", html, "--plot", plot)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.splitlines()[-2:] == [f"wrote       {html}", f"wrote       {plot}"]
    assert bytecap_command("inspect", small_job.artifact, "--program", "--plot", graph).code == 0
    texts = [path.read_text("utf-8") for path in (html, plot, graph)]
    assert texts[0].startswith("<!doctype html>") and "attention q" in texts[1] and "attention heads 2" in texts[2]
    again = bytecap_command("inspect", small_job.artifact, "--html", html)
    assert again.code == 9 and "--force" in again.stderr
    assert bytecap_command("inspect", small_job.artifact, "--html", html, "--force").code == 0
    assert html.read_text("utf-8") == texts[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plot", "a.gif"], "name it .svg or .png"),
        (["--plot", "a.svg", "--hex"], "leave out the other view"),
        (["--plot", "a.svg", "--html", "a.svg"], "name two"),
    ],
)
def test_drawings_that_cannot_be(small_job, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    outcome = bytecap_command("inspect", small_job.artifact, *arguments)
    assert outcome.code in (2, 9) and message in " ".join(outcome.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_png_without_its_package_is_refused_with_the_extra(small_job, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    outcome = bytecap_command("inspect", small_job.artifact, "--plot", tmp_path / "a.png")
    assert outcome.code != 0 and "pip install 'bytecap[plot]'" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_exceptions_are_told(tmp_path):
    path = ROOT / "spec" / "vectors" / "good-term-subset-same-and-difference.bcap"
    outcome = bytecap_command("inspect", path)
    table = next(block for block in tables(outcome.stdout) if block[0][0] == "exception of")
    assert [row[:3] for row in table[1:]] == [
        ["table", "subset", "2 rows"],
        ["table", "subset", "2 rows"],
        ["table", "subset", "1 row"],
    ]
    rows = bytecap_command("inspect", path, "--json").document["exceptions"]
    assert [row["bytes"] for row in rows] == [65, 64, 36]


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("size", lambda row: (-row["bytes"], row["name"])),
        ("name", lambda row: row["name"]),
        ("bits", lambda row: (-row["bits_per_weight"], row["name"])),
    ],
)
def test_order_of_the_tensors(small_job, sort, key):
    rows = bytecap_command("inspect", small_job.artifact, "--sort", sort, "--json").document["tensors"]
    assert rows == sorted(rows, key=key)


def test_the_rows_are_the_directory(small_job, artifact):
    rows = {row["name"]: row for row in bytecap_command("inspect", small_job.artifact, "--json").document["tensors"]}
    assert set(rows) == {entry.name for entry in artifact.directory}
    for entry in artifact.directory:
        assert tuple(rows[entry.name]["shape"]) == entry.shape
        assert rows[entry.name]["bits_per_weight"] == pytest.approx(8 * rows[entry.name]["bytes"] / entry.elements)


def test_one_tensor_looked_at_closely(small_job, artifact):
    index, entry = max(enumerate(artifact.directory), key=lambda item: item[1].elements)
    detail = bytecap_command("inspect", small_job.artifact, "--tensor", entry.name, "--json").document["tensor"]
    values = decode_tensors(artifact)[index]
    grids = [grid for (owner, _), grid in decode_contents(artifact).grids.items() if owner == index]
    assert (detail["minimum"], detail["maximum"]) == (values.min(), values.max())
    assert detail["root_mean_square"] == pytest.approx(np.sqrt((values.astype(float) ** 2).mean()))
    assert len(detail["grids"]) == len(grids) == 1
    codes = grids[0].codes.ravel().tolist()
    assert detail["grids"][0]["histogram"] == [[code, codes.count(code)] for code in sorted(set(codes))]
    shares = np.array([count / len(codes) for _, count in detail["grids"][0]["histogram"]])
    assert detail["grids"][0]["entropy_bits"] == pytest.approx(-(shares * np.log2(shares)).sum())


def test_every_tensor_can_be_shown_as_text(small_job, artifact):
    for entry in artifact.directory:
        outcome = bytecap_command("inspect", small_job.artifact, "--tensor", entry.name)
        assert (outcome.code, outcome.stderr) == (0, "")
        assert entry.name in outcome.stdout and "histogram" in outcome.stdout


def test_the_terms_of_a_tensor_are_shown_with_their_bytes():
    outcome = bytecap_command(
        "inspect", ROOT / "spec" / "vectors" / "good-term-subset-same-and-difference.bcap", "--tensor", "table"
    )
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.split("\n\n")[1].splitlines()[1:] == [
        "term  terms                                      bytes  bytes of the set",
        "   1  subset (2 rows by bitmap, raw float32)        64                 1",
        "   2  subset (2 rows by same, raw float32)          64                 0",
        "   3  subset (1 row by difference, raw float32)     32                 4",
    ]


def test_the_map_covers_every_byte(small_job):
    data = small_job.artifact.read_bytes()
    regions = bytecap_command("inspect", small_job.artifact, "--hex", "--json").document["regions"]
    place = 0
    for region in regions:
        assert region["offset"] == place and region["length"] > 0 and region["name"]
        place += region["length"]
    assert place == len(data)
    decoded = {f"section {section_name(section.id)}": section.decoded for section in read_container(data)}
    shown = [
        row
        for region in regions
        for row in [(region, data, ""), *((each, decoded[region["name"]], "+") for each in region["nested"])]
    ]
    lines = bytecap_command("inspect", small_job.artifact, "--hex").stdout.splitlines()
    assert len(lines) == len(shown)
    for line, (region, content, mark) in zip(lines, shown, strict=True):
        piece = line[10:].split("  ")[0].removesuffix(" ..")
        assert line.startswith(mark) and int(line[:8], 16) == region["offset"]
        assert bytes.fromhex(piece) == content[region["offset"] : region["offset"] + min(region["length"], 16)]


def test_a_tensor_that_is_not_there(small_job):
    outcome = bytecap_command("inspect", small_job.artifact, "--tensor", "nonsense")
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "holds no tensor 'nonsense'" in outcome.stderr


DAMAGE = {
    "empty": (lambda data: b"", {3, 4}),
    "text": (lambda data: b"hello, this is not an artifact at all\n" * 3, {3}),
    "truncated": (lambda data: data[:-7], {4}),
    "only the magic": (lambda data: data[:8], {4}),
    "trailing byte": (lambda data: data + b"\0", {4}),
    "flipped bit": (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], {4}),
    "newer version": (lambda data: data[:8] + bytes([data[8] + 1]) + data[9:], {3}),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("command", ["inspect", "export", "eval"])
def test_a_damaged_file_gets_one_line_with_file_place_and_rule(small_job, tmp_path, damage, command):
    change, codes = DAMAGE[damage]
    path = tmp_path / "bad.bcap"
    path.write_bytes(change(small_job.artifact.read_bytes()))
    more = {"export": ["-o", tmp_path / "out.safetensors"], "eval": small_job.score_arguments()}.get(command, [])
    outcome = bytecap_command(command, path, *more)
    if command != "export" and damage in ("empty", "text"):  # these take checkpoints, too: what has no magic is one
        codes = {8}
    else:
        assert outcome.stderr.startswith((f"bytecap: error: {path}:0x", f"bytecap: error: {path}: "))
        assert outcome.stderr.rstrip().endswith("]") and "[R-" in outcome.stderr
    assert outcome.code in codes
    assert (outcome.stdout, outcome.stderr.count("\n")) == ("", 1)
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_is_shown_as_it_is_stored(small_job, tmp_path):
    outcome = bytecap_command("inspect", small_job.checkpoint)
    assert (outcome.code, outcome.stderr) == (0, "")
    size = small_job.checkpoint.stat().st_size
    assert outcome.stdout.startswith(f"{small_job.checkpoint}: checkpoint (torch), {size:,} bytes, ")
    found = {block[0][0]: block for block in tables(outcome.stdout) if block and block[-1][0] == "total"}
    assert list(found) == ["role", "layer"]
    document = bytecap_command("inspect", small_job.checkpoint, "--json").document
    rows = {row["name"]: row for row in document["tensors"]}
    assert rows["blocks.0.attn.c_q.weight"]["role"] == "attention q" and rows["tok_emb.weight"]["dtype"] == "float32"
    for groups in (document["roles"], document["layers"]):
        assert sum(row["bytes"] for row in groups) == sum(row["bytes"] for row in document["tensors"])
    page, plot = tmp_path / "page.html", tmp_path / "plot.svg"
    assert bytecap_command("inspect", small_job.checkpoint, "--html", page, "--plot", plot).code == 0
    assert "attention q" in page.read_text("utf-8") and "attention q" in plot.read_text("utf-8")
    only = bytecap_command("inspect", small_job.checkpoint, "--by", "tensor").stdout
    assert only.count("blocks.1.mlp.fc.weight") == 1


@pytest.mark.parametrize("option", [["--hex"], ["--program"], ["--tensor", "a"]])
def test_views_of_artifacts_alone(small_job, option):
    outcome = bytecap_command("inspect", small_job.checkpoint, *option)
    assert outcome.code == 2 and "are of artifacts; this is none" in " ".join(outcome.stderr.split())


def test_what_is_neither_is_named(small_job):
    outcome = bytecap_command("inspect", small_job.tokenizer)
    assert (outcome.code, outcome.stdout) == (8, "")
    assert "neither an artifact nor a checkpoint: it is a sentencepiece tokenizer" in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_names_that_no_utf8_holds_stay_escaped_in_json(tmp_path):
    header = b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    path = tmp_path / "m.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    outcome = bytecap_command("inspect", path, "--json")
    assert outcome.code == 0
    outcome.stdout.encode()
    assert "\\ud800" in outcome.stdout
    assert json.loads(outcome.stdout)["tensors"][0]["name"] == "\ud800"


def test_numbers_of_a_checkpoint_that_are_shared_or_not_there_are_not_counted(tmp_path):
    table, page = torch.arange(8.0).reshape(4, 2), tmp_path / "page.html"
    torch.save({"tok.weight": table, "head.weight": table, "none": torch.zeros(0, 3)}, tmp_path / "tied.pt")
    lines = bytecap_command("inspect", tmp_path / "tied.pt", "--html", page).stdout.splitlines()
    bits = 8 * (tmp_path / "tied.pt").stat().st_size / 8
    assert lines[0].endswith(f"bytes, {bits:.3f} bits a weight")
    assert "holds       8 numbers in 3 tensors, 32 bytes" in lines and f"{bits:.3f}" in page.read_text()
    tensors = bytecap_command("inspect", tmp_path / "tied.pt", "--json").document["tensors"]
    found = {tensor["name"]: (tensor["elements"], tensor["bytes"], tensor["shares"]) for tensor in tensors}
    assert found == {"tok.weight": (8, 32, None), "head.weight": (8, 0, "tok.weight"), "none": (0, 0, None)}
    torch.save({"none": torch.zeros(0, 3)}, tmp_path / "empty.pt")
    outcome = bytecap_command("inspect", tmp_path / "empty.pt", "--html", page, "--force")
    assert outcome.code == 0 and "holds       0 numbers in 1 tensors, 0 bytes" in outcome.stdout

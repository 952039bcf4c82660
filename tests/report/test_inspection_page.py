"""`bytecap inspect --html`: a page that stands by itself, sums that add up, and names that stay text."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from html_pages import origin_named, parsed_page

from bytecap.errors import ArtifactError
from bytecap.format.assembly import assemble_artifact
from bytecap.format.inspection import inspect_artifact
from bytecap.format.program.operations import Embed, Linear
from bytecap.format.program.program import Program
from bytecap.format.tensor_detail import inspect_tensor
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import GridInStream, RawValues
from bytecap.report.byte_tree import artifact_tree, role_name
from bytecap.report.explorer import MOST_BARS, Histogram, _bars
from bytecap.report.inspection_page import MOST_REGIONS, artifact_page

HOSTILE = ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&amp;b <b>'"]


def hostile_artifact() -> bytes:
    """Two tensors with names that would be markup if they were let."""
    random = np.random.default_rng(0)
    table = random.normal(size=(9, 4)).astype(np.float32)
    head = GridValues(random.integers(-300, 300, (9, 4)).astype(np.int32), None, None, 0.5, 0)
    tensors = [
        TensorSource(HOSTILE[0], (9, 4), "float32", (RawValues(table, "float32"),)),
        TensorSource(HOSTILE[1], (9, 4), "float32", (GridInStream(head, 1),)),
    ]
    return assemble_artifact(Program((Embed(0), Linear(0, 1)), 9, 8, 0), tensors, {"note": HOSTILE[2]})


def page_data(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def assert_sums(node) -> None:
    _, size, children, _ = node
    if children:
        assert sum(child[1] for child in children) == size
        assert [child[1] for child in children] == sorted((child[1] for child in children), reverse=True)
        for child in children:
            assert_sums(child)


def leaves(node):
    if not node[2]:
        yield node
    for child in node[2] or ():
        yield from leaves(child)


@pytest.fixture(scope="module")
def artifact(small_job) -> bytes:
    return small_job.artifact.read_bytes()


@pytest.fixture(scope="module")
def page(artifact) -> str:
    return artifact_page(origin_named("model.bcap"), artifact)


def test_the_page_is_well_formed_and_stands_by_itself(page):
    balance = parsed_page(page)
    assert page.startswith("<!doctype html>\n<html") and balance.tags.count("h1") == 1
    assert balance.tags.count("script") == 2
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttp|innerHTML|document\.write|eval\(", page)
    assert not {"link", "img", "iframe", "object", "embed"} & set(balance.tags)
    assert not [name for _, name, _ in balance.attributes if name in ("src", "href") or name.startswith("on")]
    assert not re.search(r"\b(nan|inf|None)\b", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL))
    ids = [value for _, name, value in balance.attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_what_the_script_looks_for_is_there(page):
    ids = {value for _, name, value in parsed_page(page).attributes if name == "id"}
    script = page[page.rindex("<script>") :]
    assert set(re.findall(r'\bat\("(\w+)"\)', script)) <= ids
    assert 'getElementById("data")' in script and "data" in ids


def test_every_node_of_the_trees_is_the_sum_of_its_parts(page, artifact):
    data, found = page_data(page), inspect_artifact(artifact)
    assert list(data["trees"]) == ["role", "layer"]
    for tree in data["trees"].values():
        assert_sums(tree)
        assert tree[1] == data["bytes"] == len(artifact)
        sizes: dict[int, int] = {}
        for _, size, _, tensor in leaves(tree):
            if tensor is not None:
                sizes[tensor] = sizes.get(tensor, 0) + size
        assert sizes == {k: row.bytes for k, row in enumerate(found.tensors) if row.bytes}
        sections = {child[0]: child[1] for child in tree[2]}
        assert sections.items() <= {(row.name, row.stored_bytes) for row in found.sections} | {
            ("header and section table", found.header_bytes)
        }


def test_the_tables_add_up_to_the_file(page, artifact):
    tables = {table[0][0]: table for table in parsed_page(page).tables}
    for title in ("role", "layer", "section"):
        rows = tables[title]
        column = rows[0].index("bytes")
        amounts = [int(row[column].replace(",", "")) for row in rows[1:]]
        assert sum(amounts[:-1]) == amounts[-1] == len(artifact)
    found = inspect_artifact(artifact)
    tensors = tables["tensor"]
    amounts = [int(row[tensors[0].index("bytes")].replace(",", "")) for row in tensors[1:]]
    assert sum(amounts) + sum(row.bytes for row in found.shared) == len(artifact)
    cells = sum(int(text.replace(",", "")) for text in re.findall(r"<i>([\d,]+)</i>", page))
    assert cells == sum(row.bytes for row in found.tensors)


def test_histograms_are_those_of_the_tensors(page, artifact):
    data, found = page_data(page), inspect_artifact(artifact)
    for row, shown in zip(found.tensors, data["tensors"], strict=True):
        detail = inspect_tensor(artifact, row.name)
        assert [list(zip(h["codes"], h["counts"], strict=True)) for h in shown["histograms"]] == [
            list(map(tuple, grid.histogram)) for grid in detail.grids
        ]
    assert data["tensors"][data["largest"]]["name"] == max(found.tensors, key=lambda row: row.bytes).name


def test_many_codes_are_put_together():
    counts = [(code, abs(code) + 1) for code in range(-500, 501)]
    shown = _bars(Histogram("title", counts))
    assert len(shown["codes"]) == len(shown["counts"]) <= MOST_BARS
    assert sum(shown["counts"]) == sum(count for _, count in counts)
    assert shown["codes"][0] == -500 and "3 codes a bar" in shown["title"]


def test_names_stay_text():
    page = artifact_page(origin_named("<i>file</i>.bcap"), hostile_artifact())
    balance = parsed_page(page)
    assert balance.tags.count("script") == 2 and not {"img", "b "} & set(balance.tags)
    names = [row[0] for table in balance.tables if table[0][0] == "tensor" for row in table[1:]]
    assert sorted(names) == sorted(HOSTILE[:2])
    data = page_data(page)
    assert [tensor["name"] for tensor in data["tensors"]] == HOSTILE[:2]
    raw = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert not re.search("[<>&]", raw)
    assert "<i>file" not in page


def test_raw_and_coded_bytes_stand_in_their_sections():
    data = hostile_artifact()
    tree = artifact_tree(inspect_artifact(data), role_name)
    sections = {section.name: section for section in tree.children}
    assert [leaf.name for group in sections["raw"].children for leaf in group.children] == [HOSTILE[0]]
    assert [group.name for group in sections["codes"].children if group.children] == ["head"]


def test_a_large_map_of_bytes_is_left_to_the_terminal(artifact, monkeypatch):
    assert MOST_REGIONS > 100
    monkeypatch.setattr("bytecap.report.inspection_page.MOST_REGIONS", 10)
    page = artifact_page(origin_named("model.bcap"), artifact)
    assert "bytecap inspect --hex lists them" in page and "CRC-32" not in page


def test_damage_is_an_artifact_error(artifact):
    with pytest.raises(ArtifactError):
        artifact_page(origin_named("model.bcap"), artifact[:-1])

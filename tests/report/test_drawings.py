"""`bytecap inspect --plot`: SVG that stands by itself, PNG of the same drawing in plain colours, and refusals."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from html_pages import origin_named
from tiny_artifacts import tiny_artifact

from bytecap.errors import ArtifactError, OutputError
from bytecap.report.drawing_files import check_drawing, drawing_bytes, with_plain_colours
from bytecap.report.drawings import plot_artifact, plot_program

NAMESPACE = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=[plot_artifact, plot_program])
def drawing(request) -> str:
    return request.param(origin_named("<model>.bcap"), tiny_artifact())


def test_a_drawing_is_one_document(drawing):
    svg = ElementTree.fromstring(drawing)
    assert svg.tag == f"{NAMESPACE}svg" and "<model>.bcap" in svg.find(f"{NAMESPACE}title").text
    assert "url(" not in drawing and "href" not in drawing
    assert len(list(svg.iter(f"{NAMESPACE}text"))) > 3


def test_plain_colours_leave_no_variables(drawing):
    plain = with_plain_colours(drawing)
    ElementTree.fromstring(plain)
    assert "var(" not in plain and "@media" not in plain and ":root" not in plain
    assert "#2463b4" in plain and "#6ca6ee" not in plain


def test_a_png_is_drawn_by_resvg(drawing, tmp_path, monkeypatch):
    calls = []
    fake = SimpleNamespace(svg_to_bytes=lambda **options: calls.append(options) or b"\x89PNG")
    monkeypatch.setitem(sys.modules, "resvg_py", fake)
    check_drawing(tmp_path / "a.png")
    assert drawing_bytes(drawing, tmp_path / "a.png") == b"\x89PNG"
    assert calls[0]["svg_string"] == with_plain_colours(drawing)
    assert drawing_bytes(drawing, tmp_path / "a.svg") == drawing.encode()


def test_refusals(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(OutputError, match=r"name it \.svg or \.png"):
        check_drawing(tmp_path / "a.jpg")
    with pytest.raises(ModuleNotFoundError):
        check_drawing(tmp_path / "a.png")
    with pytest.raises(ArtifactError):
        plot_artifact(origin_named("a.bcap"), tiny_artifact()[:-1])

"""The drawing of a program: repeated blocks are found and drawn once, boxes do not touch, lines lead downwards."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from random_programs import programs
from tiny_models import golf_model

from bytecap.format.program.operations import Add, Affine, Embed, Linear, RmsNorm
from bytecap.format.program.program import Program, validate_program
from bytecap.report.program_graph import BOX, HEIGHT, program_graph
from bytecap.report.repeats import Run, find_runs


def repeated(blocks: int, width: int = 4) -> tuple[Program, list[tuple[int, ...]]]:
    """A stream into which `blocks` equal blocks write, and a head."""
    instructions, shapes = [Embed(0)], [(8, width)]
    for _ in range(blocks):
        stream = len(instructions) - 1
        shapes += [(width, width), (width, width)]
        instructions += [RmsNorm(stream, 1, 1e-6), Linear(stream + 1, len(shapes) - 2)]
        instructions += [Linear(stream + 2, len(shapes) - 1), Add(stream, stream + 3)]
    shapes.append((8, width))
    instructions.append(Linear(len(instructions) - 1, len(shapes) - 1))
    return Program(tuple(instructions), 8, 8, 0), shapes


def runs_of(program, shapes):
    return find_runs(program, validate_program(program, shapes).widths)


@pytest.mark.parametrize("blocks", [2, 5, 30])
def test_repeated_blocks_are_one_run(blocks):
    program, shapes = repeated(blocks)
    assert runs_of(program, shapes) == [Run(0, 1, 1), Run(1, 4, blocks), Run(1 + 4 * blocks, 1, 1)]


def test_blocks_that_differ_are_not_repeated():
    program, shapes = repeated(2)
    changed = list(program.instructions)
    changed[5] = RmsNorm(4, 1, 1e-3)
    assert runs_of(Program(tuple(changed), 8, 8, 0), shapes) == [Run(0, 10, 1)]
    changed[5] = program.instructions[5]
    changed[4] = Add(2, 3)  # the first block writes into its own product, the second into the stream
    assert runs_of(Program(tuple(changed), 8, 8, 0), shapes) == [Run(0, 10, 1)]


def test_runs_cover_the_program():
    model = golf_model()
    shapes = [tensor.values.shape for tensor in model.tensors]
    runs = runs_of(model.program, shapes)
    assert [run.start for run in runs] == [0, *(run.stop for run in runs[:-1])]
    assert runs[-1].stop == len(model.program.instructions)


def drawn(program, shapes, names):
    graph = program_graph(program, validate_program(program, shapes).widths, names, "a <title>")
    return ElementTree.fromstring(re.fullmatch("<figure>(.*)</figure>", graph.__html__(), re.DOTALL)[1])


def assert_readable(svg, boxes: int) -> None:
    width, height = (float(size) for size in svg.get("viewBox").split()[2:])
    nodes = [node for node in svg.iter("rect") if node.get("class", "").startswith("node")]
    assert len(nodes) == boxes
    places = [(float(node.get("x")), float(node.get("y"))) for node in nodes]
    for k, (x, y) in enumerate(places):
        assert 0 <= x and x + BOX <= width and 0 <= y and y + HEIGHT <= height
        for other_x, other_y in places[k + 1 :]:
            assert abs(other_x - x) >= BOX or abs(other_y - y) >= HEIGHT
    for path in svg.iter("path"):
        numbers = [float(number) for number in re.findall(r"[\d.]+", path.get("d"))]
        assert numbers[1] < numbers[-1]


def test_boxes_do_not_touch_and_lines_lead_down():
    program, shapes = repeated(6)
    svg = drawn(program, shapes, [f"tensor {k}" for k in range(len(shapes))])
    assert_readable(svg, boxes=6)
    assert next(text.text for text in svg.iter("text") if text.get("class") == "strong") == "6 times"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs())
def test_any_program_is_drawn(case):
    shapes = [tensor.shape for tensor in case.tensors]
    runs = runs_of(case.program, shapes)
    svg = drawn(case.program, shapes, ["<script>"] * len(shapes))
    assert_readable(svg, sum(run.period for run in runs))


def test_too_many_boxes_are_not_drawn():
    instructions = [Embed(0)] + [Affine(k, 1.0 + k, 0.0) for k in range(700)] + [Linear(700, 0)]
    program = Program(tuple(instructions), 8, 8, 0)
    assert program_graph(program, validate_program(program, [(8, 4)]).widths, ["table"], "title") is None

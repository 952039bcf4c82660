"""Rules about signatures and layout: how many parameters a function may have, and what is laid out by hand."""

from __future__ import annotations

import ast
import re

from source_tree import LAYERS, ROOT, nodes, python_files, source_lines

MOST_PARAMETERS = 10
PRODUCT = ("", *LAYERS)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# Functions whose options are what their callers choose from: each option is keyword-only and stands by itself.
PUBLIC_OPTIONS = {
    "interface/compiling.py:compile": "the options of `bytecap compile`",
    "interface/forecasting.py:forecast": "the options of `bytecap compile --dry-run`",
    "interface/fitting.py:fit": "the options of `bytecap fit`",
    "interface/evaluating.py:evaluate": "the options of `bytecap eval`",
    "runtime/scoring.py:score": "windows, what they count, and who runs them",
    "interface/artifacts.py:verify": "the options of `bytecap verify`",
    "interface/packing.py:pack": "the options of `bytecap pack`",
    "interface/judging.py:verify_folders": "the options of `bytecap verify`",
    "interface/measurements.py:sensitivity": "the options of `bytecap sensitivity`",
    "interface/measurements.py:diagnose": "the options of `bytecap diagnose`",
    "interface/measurements.py:curve": "the options of `bytecap curve`",
    "interface/laboratory.py:run_experiment": "the options of `bytecap lab run`",
    "compiler/pipeline.py:compile_checkpoint": "what `bytecap.compile` hands on",
    "compiler/statistics/calibration.py:measure_statistics": "what compiles, dry runs and measurements ask for",
}
# Files that hold a table whose columns a reader compares down the page.
TABLES = {
    "format/tensors/grid.py",
    "spec/reference_decoder.py",
    "tests/compiler/model/test_operations_in_analyses.py",
    "tests/vectors/program_vectors.py",
}
FORMATTER_OFF = re.compile(r"# fmt: (skip|off)$")


def numba_kernel(function: ast.AST) -> bool:
    return any(ast.unparse(decorator).startswith("kernel(") for decorator in function.decorator_list)


def parameters(function: ast.AST) -> tuple[list[str], list[str]]:
    """Names by position or keyword without the instance, and names by keyword only."""
    by_position = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    return [name for name in by_position if name not in ("self", "cls")], [a.arg for a in function.args.kwonlyargs]


def long_signatures(kernels: bool) -> dict[str, ast.AST]:
    """Functions of more than MOST_PARAMETERS parameters as "file:name"."""
    return {
        f"{path.relative_to(ROOT)}:{node.name}": node
        for path in python_files(*PRODUCT)
        for node in nodes(path)
        if isinstance(node, FUNCTIONS) and numba_kernel(node) == kernels
        if sum(map(len, parameters(node))) > MOST_PARAMETERS
    }


def test_functions_have_few_parameters():
    found = long_signatures(kernels=False)
    assert sorted(set(found) - set(PUBLIC_OPTIONS)) == []
    assert sorted(set(PUBLIC_OPTIONS) - set(found)) == []  # no exception that nothing needs


def test_many_options_are_all_by_keyword():
    by_position = {name: parameters(node)[0] for name, node in long_signatures(kernels=False).items()}
    assert {name: names for name, names in by_position.items() if len(names) > 2} == {}


def test_kernels_of_many_parameters_document_each():
    undocumented = {}
    for name, node in long_signatures(kernels=True).items():
        by_position, by_keyword = parameters(node)
        said = set(re.findall(r"\w+", ast.get_docstring(node) or ""))
        undocumented[name] = [each for each in (*by_position, *by_keyword) if each not in said]
    assert {name: missing for name, missing in undocumented.items() if missing} == {}


def test_only_tables_are_laid_out_by_hand():
    found = {
        str(path.relative_to(ROOT))
        for path in python_files(*PRODUCT, "tests", "benchmarks", "spec")
        if any(FORMATTER_OFF.search(line) for line in source_lines(path))
    }
    assert found == TABLES

"""Rules about the code that a reader relies on, read from the source: sizes, docstrings, and what must not occur."""

from __future__ import annotations

import ast
import re

import pytest
from source_tree import LAYERS, ROOT, nodes, parsed, place, python_files, source_lines

MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 400
PRODUCT = ("", *LAYERS)
LEFTOVERS = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|placeholder|stub)\b")
WAYS_NOT_TO_TEST = {"skip", "skipif", "skipUnless", "xfail", "importorskip"}


def calls(path):
    for node in nodes(path):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func), {keyword.arg: keyword.value for keyword in node.keywords}


def test_functions_are_short():
    long = [
        f"{place(path, node)} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in python_files(*PRODUCT)
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_files_are_short():
    lengths = {path: len(source_lines(path)) for path in python_files(*PRODUCT)}
    assert [
        f"{path.relative_to(ROOT)}: {lines} lines" for path, lines in lengths.items() if lines > MAX_FILE_LINES
    ] == []


def test_every_module_says_what_it_is():
    files = python_files(*PRODUCT, "tests", "benchmarks", "spec")
    assert [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(parsed(path))] == []


def test_files_that_the_source_names_exist():
    """In docstrings and comments, by their path from the root; llama.cpp's and others' files begin elsewhere."""
    named = re.compile(rf"(?<![\w/])(?:{'|'.join(LAYERS)}|spec)/[\w/]+\.(?:py|md|toml|json)\b")
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in python_files(*PRODUCT)
        for name in named.findall("\n".join(source_lines(path)))
        if "NAME" not in name and not (ROOT / name).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("layer", ["format", "runtime", "submissions"])
def test_input_is_never_checked_with_assert(layer):
    """`python -O` removes asserts: a check of untrusted bytes must not be one."""
    found = [place(path, node) for path in python_files(layer) for node in nodes(path) if isinstance(node, ast.Assert)]
    assert found == []


def test_kernels_that_decide_decoded_bits_keep_exact_arithmetic():
    wrong = [
        f"{place(path, node)} {option}"
        for path in python_files("format")
        for node, _, options in calls(path)
        for option in options.keys() & {"fastmath", "parallel"}
    ]
    assert wrong == []


def test_kernels_assign_no_vector_to_a_slice():
    """Numba compiles the message of an error for it, for seconds; `copy_into` does the same. A number may be."""
    found = [
        place(path, node)
        for path in python_files("format", "runtime", "packing", "compiler")
        for function in nodes(path)
        if isinstance(function, ast.FunctionDef)
        and any(ast.unparse(decorator).startswith("kernel(") for decorator in function.decorator_list)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(takes_slice(target) for target in node.targets)
        and (takes_slice(node.value) or ast.unparse(node.value) in {each.arg for each in function.args.args})
    ]
    assert found == []


def takes_slice(node):
    return isinstance(node, ast.Subscript) and any(isinstance(part, ast.Slice) for part in ast.walk(node.slice))


def test_nothing_unpickles():
    """No pickle module anywhere, and `torch.load` only in the compiler and only with weights_only=True."""
    wrong = []
    for path in python_files(*PRODUCT):
        names = {alias.name for node in nodes(path) if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module for node in nodes(path) if isinstance(node, ast.ImportFrom) and node.level == 0}
        wrong += [
            f"{path.relative_to(ROOT)} imports {name}"
            for name in names & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
        ]
        for node, function, options in calls(path):
            if function == "torch.load":
                weights_only = options.get("weights_only")
                safe = isinstance(weights_only, ast.Constant) and weights_only.value is True
                if not safe or path.relative_to(ROOT).parts[0] != "compiler":
                    wrong.append(f"{place(path, node)} torch.load")
            if function in {"np.load", "numpy.load"} and "allow_pickle" in options:
                wrong.append(f"{place(path, node)} allow_pickle")
    assert wrong == []


def test_no_bare_except():
    found = [
        place(path, node)
        for path in python_files(*PRODUCT)
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert found == []


def test_nothing_is_left_for_later():
    found = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in python_files(*PRODUCT)
        for number, line in enumerate(source_lines(path), 1)
        if LEFTOVERS.search(line)
    ]
    assert found == []


def test_every_test_runs():
    """No skipped and no expected-to-fail test: pytest's and unittest's ways to make one are looked for."""
    found = [
        place(path, node)
        for path in python_files("tests")
        for node in nodes(path)
        if isinstance(node, ast.Attribute)
        and node.attr in WAYS_NOT_TO_TEST
        and ast.unparse(node).startswith(("pytest.", "unittest."))
    ]
    assert found == []


def test_no_test_module_imports_another():
    """What tests share stands in tests/support, tests/vectors or tests/fuzz under a name that says what it is."""
    found = [
        f"{place(path, node)} imports {name}"
        for path in python_files("tests")
        for node in nodes(path)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
        if name.split(".")[-1].startswith("test_")
    ]
    assert found == []

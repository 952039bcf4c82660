"""Who may import whom, read from the source: the layers of the design, relative imports inside, named
packages outside.
"""

from __future__ import annotations

import ast
import re
import sys

import pytest
from import_graph import find_circle, import_graph
from source_tree import LAYERS, ROOT, nodes, place, python_files

GROUND = {"display", "errors", "one_heap", "processes", "progress", "version"}  # modules of the root for every layer
ALLOWED_LAYERS = {
    "format": {*GROUND, "format"},
    "files": {*GROUND, "format", "files"},
    "runtime": {*GROUND, "format", "files", "runtime"},
    "packing": {*GROUND, "format", "files", "runtime", "packing"},
    "compiler": {*GROUND, "format", "files", "runtime", "compiler"},
    "submissions": {*GROUND, "format", "files", "runtime", "compiler", "submissions"},
    "report": {*GROUND, "format", "files", "runtime", "compiler", "report"},
    "lab": {*GROUND, "format", "files", "runtime", "compiler", "report", "lab"},
    "interface": {*LAYERS, *GROUND} - {"cli", "integrations"},
    "cli": {*LAYERS, *GROUND} - {"integrations"},
    "integrations": {*GROUND, "interface", "integrations"},
    "": {*LAYERS, *GROUND},
}
FORMAT_PACKAGES = {"brotli", "construct", "llvmlite", "numba", "numpy", "zstandard"}
RUNTIME_PACKAGES = {"numba", "numpy", "sentencepiece", "threadpoolctl", "tiktoken", "tokenizers", "zstandard"}
COMPILER_PACKAGES = FORMAT_PACKAGES | RUNTIME_PACKAGES | {"gguf", "safetensors", "torch"}
ALLOWED_PACKAGES = {
    "files": {"brotli", "tree_sitter", "tree_sitter_python", "zstandard"},
    "report": {"resvg_py"},
    "submissions": {"brotli", "joblib", "numpy", "tree_sitter", "tree_sitter_python", "zstandard"},
    "format": FORMAT_PACKAGES,
    "runtime": RUNTIME_PACKAGES,
    "packing": {"numba", "numpy", "torch"},
    "compiler": COMPILER_PACKAGES,
    "lab": COMPILER_PACKAGES | {"distributed", "joblib"},
    "interface": {"numpy", "rich"},
    "cli": {"click", "rich", "numpy"},
    "integrations": {"transformers"},
    "": set(),
}


def relative_target(path, node: ast.ImportFrom) -> set[str]:
    """The layers or root modules that `from ..x.y import z` in `path` reaches: one dot is the file's own folder."""
    folder = list(path.parent.relative_to(ROOT).parts)
    above = node.level - 1
    names = [*folder[: len(folder) - above], *(node.module.split(".") if node.module else [])]
    return {names[0]} if names else {alias.name for alias in node.names}


def imports_of(path):
    """Yield (node, own layer names, outside package names) of every import, function bodies included."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield node, set(), {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node, set(), {node.module.split(".")[0]}
        elif isinstance(node, ast.ImportFrom):
            yield node, relative_target(path, node), set()


@pytest.mark.parametrize("layer", ALLOWED_LAYERS)
def test_a_layer_imports_only_the_layers_below_it(layer):
    wrong = [
        f"{place(path, node)} imports {name}"
        for path in python_files(layer)
        for node, own, _ in imports_of(path)
        for name in own - ALLOWED_LAYERS[layer]
    ]
    assert wrong == []


def test_the_table_of_layers_has_them_in_the_order_in_which_they_import():
    """docs/layout.md says that a folder imports only those above it."""
    table = re.findall(r"^\| `(\w+)/` \|", (ROOT / "docs" / "layout.md").read_text(encoding="utf-8"), re.MULTILINE)
    rows = table[: len(LAYERS)]
    assert set(rows) == set(LAYERS)
    assert [
        (layer, other)
        for place, layer in enumerate(rows)
        for other in ALLOWED_LAYERS[layer] & {*rows[place + 1 :]}
        if imports_layer(layer, other)
    ] == []


def imports_layer(layer, other):
    """Whether a file of one layer imports another."""
    return any(other in own for path in python_files(layer) for _, own, _ in imports_of(path))


@pytest.mark.parametrize("layer", ALLOWED_PACKAGES)
def test_a_layer_imports_only_its_packages(layer):
    allowed = ALLOWED_PACKAGES[layer] | set(sys.stdlib_module_names)
    wrong = [
        f"{place(path, node)} imports {name}"
        for path in python_files(layer)
        for node, _, outside in imports_of(path)
        for name in outside - allowed
    ]
    assert wrong == []


def test_code_imports_itself_relatively():
    """`import format` or `import bytecap.format` would load a second copy of the module when run from the checkout."""
    own = {"bytecap", *LAYERS, *GROUND}
    wrong = [
        f"{place(path, node)} imports {name}"
        for path in python_files("", *LAYERS)
        for node, _, outside in imports_of(path)
        for name in outside & own
    ]
    assert wrong == []


def test_relative_targets_are_resolved():
    """The resolution itself: what the other tests would miss if it were wrong."""
    table = {
        ("format/container/container.py", "from .cursor import x"): {"format"},
        ("format/container/container.py", "from ...runtime.kernels import x"): {"runtime"},
        ("format/codecs/grid.py", "from ..limits import x"): {"format"},
        ("format/codecs/grid.py", "from ...compiler import x"): {"compiler"},
        ("cli/main.py", "from .. import interface"): {"interface"},
        ("__init__.py", "from .errors import x"): {"errors"},
        ("__init__.py", "from . import compiler, lab"): {"compiler", "lab"},
    }
    for (name, text), expected in table.items():
        assert relative_target(ROOT / name, ast.parse(text).body[0]) == expected, (name, text)


# Rooms of a layer, from the ground up: a room imports the rooms before it and nothing else of its layer.
ROOMS = {
    "format": (
        "registry",
        "plug_ins",
        "parallel",
        "kernels",
        "entropy",
        "container",
        "identity",
        "codecs",
        "program",
        "tensors",
        "artifact",
        "assembly",
        "byte_account",
        "inspection",
        "tensor_detail",
        "artifact_map",
        "comparison",
    ),
    "compiler": (
        "common_baseline",
        "allocator",
        "workers",
        "wide_products",
        "tile_products",
        "instruction_sets",
        "profiles",
        "scratch_file",
        "row_blocks",
        "settings",
        "representation_settings",
        "effort",
        "recipe",
        "checkpoints",
        "options",
        "model",
        "extremes",
        "resume",
        "frontends",
        "readings",
        "exports",
        "statistics",
        "job",
        "storable",
        "quantize",
        "machine_speed",
        "rewrites",
        "rate_control",
        "menu",
        "land_compile",
        "explanation",
        "inputs",
        "refusals",
        "final_score",
        "peak_memory",
        "forecast",
        "read_job",
        "outlook",
        "compile_plan",
        "result",
        "pipeline",
        "fitted",
        "fit",
    ),
    "lab": ("train", "measure", "demo", "experiments"),
}


def room_of(module: str) -> str:
    """The folder or single file of its layer that a module stands in."""
    return module.split("/")[1]


@pytest.mark.parametrize("layer", ROOMS)
def test_a_room_imports_only_the_rooms_before_it(layer):
    order = ROOMS[layer]
    graph = {module: found for module, found in import_graph(layer).items() if module != layer}
    assert {room_of(module) for module in graph} == set(order), "every room of the layer has its place in the order"
    wrong = [
        f"{module} imports {target}"
        for module, found in sorted(graph.items())
        for target in sorted(found)
        if order.index(room_of(target)) > order.index(room_of(module))
    ]
    assert wrong == []


def test_no_modules_import_each_other_in_a_circle():
    """Inside functions and for types only neither."""
    graph = import_graph("", *LAYERS)
    assert len(graph) > 200
    assert find_circle(graph) == []


def test_a_circle_is_found():
    """The search itself: what the test above would miss if it were wrong."""
    graph = {"a": frozenset({"b", "d"}), "b": frozenset({"c"}), "c": frozenset({"d", "b"}), "d": frozenset()}
    assert find_circle(graph) == ["b", "c", "b"]
    assert find_circle({**graph, "c": frozenset({"d"})}) == []
    assert find_circle({"a": frozenset({"a"})}) == ["a", "a"]


def test_only_blobs_of_a_submission_reach_the_compiler_and_only_inside_a_function():
    """The rest of a judgement needs no torch."""
    users = {
        module: target
        for module, found in import_graph("submissions", "compiler").items()
        for target in found
        if module.startswith("submissions") and target.startswith("compiler")
    }
    assert [module for module in users if not module.startswith("submissions/blob")] == []


def test_only_the_landing_imports_the_menu_and_only_inside_a_function():
    """Of the compiler: the lab measures with it. Whether a compile loads it is asked in test_complete_tables.py."""
    graph = import_graph("compiler")
    users = {module for module, found in graph.items() for target in found if target.startswith("compiler/menu")}
    assert {module for module in users if not module.startswith("compiler/menu")} == {"compiler/land_compile"}


def test_a_loader_needs_nothing_but_numpy_and_torch_and_its_neighbours():
    """What stands in packing/loader/ is packed into a submission, which runs where bytecap is not."""
    modules = {path.stem for path in python_files("packing/loader")}
    allowed = {"numba", "numpy", "torch"} | set(sys.stdlib_module_names)
    wrong = [
        f"{place(path, node)} imports {name}"
        for path in python_files("packing/loader")
        for node, _, outside in imports_of(path)
        for name in outside - allowed
    ]
    wrong += [
        f"{place(path, node)} imports {'.' * node.level}{node.module}"
        for path in python_files("packing/loader")
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.level and (node.level > 1 or node.module not in modules)
    ]
    assert wrong == []

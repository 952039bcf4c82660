"""Tables are complete whichever module is imported first, and a default compile leaves the menu alone.

Strategy: a fresh process imports one module of the package before anything else and says what the
tables hold; the answer may not depend on the module. Of every layer it is the module that reaches the
most others, since what an import could change it changes on the way. The processes are forks of one
that has loaded the packages of others only, so that a fresh start stays cheap.
"""

from __future__ import annotations

import json
import subprocess
import sys

from import_graph import import_graph, modules
from small_job import CAP
from source_tree import LAYERS

from bytecap.compiler.recipe import NAMED_RECIPES, read_recipe
from bytecap.format.tensors.terms import TERMS

# An integration needs the package that it is named after, which the plain suite does not have.
NEEDS_A_PEER = {"integrations/transformers"}


def reached(module: str) -> set[str]:
    """Every module that importing one imports in turn."""
    graph = import_graph("", *LAYERS)
    found, waiting = set(), [module]
    while waiting:
        new = graph.get(waiting.pop(), frozenset()) - found
        found |= new
        waiting += new
    return found


def farthest_of_each_layer() -> list[str]:
    """By their import names, the modules that are imported first."""
    names = sorted(name for name in modules("", *LAYERS) if name != "." and name not in NEEDS_A_PEER)
    layers = {name.partition("/")[0]: name for name in sorted(names, key=lambda name: len(reached(name)))}
    return [f"bytecap.{name.replace('/', '.')}" for name in sorted(layers.values())]


IN_FORKS = """
import importlib, json, os, sys
import brotli, click, construct, numba, numpy, rich, safetensors, sentencepiece, threadpoolctl, torch, zstandard

def answer(module):
    importlib.import_module(module)
    from bytecap.compiler.recipe import NAMED_RECIPES, read_recipe
    from bytecap.format.tensors.terms import TERMS
    recipes = {name: [read_recipe(name).to_toml(), read_recipe(name).digest] for name in NAMED_RECIPES}
    return [recipes, [kind.name for kind in TERMS]]

assert not any(name.split(".")[0] == "bytecap" for name in sys.modules)
for module in sys.argv[1:]:
    reader, writer = os.pipe()
    if not (child := os.fork()):
        with os.fdopen(writer, "w") as out:
            json.dump(answer(module), out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        print(json.dumps([module, told.read()]))
    os.waitpid(child, 0)
"""


def test_every_layer_may_be_imported_first() -> None:
    """In a fresh process for each, recipes and the table of the kinds of terms are the same."""
    recipes = {name: [read_recipe(name).to_toml(), read_recipe(name).digest] for name in NAMED_RECIPES}
    expected = [recipes, [kind.name for kind in TERMS]]
    first = farthest_of_each_layer()
    run = subprocess.run([sys.executable, "-c", IN_FORKS, *first], capture_output=True, text=True, check=False)
    told = dict(json.loads(line) for line in run.stdout.splitlines())
    assert set(told) == set(first), run.stderr
    wrong = [module for module, answer in told.items() if not answer or json.loads(answer) != expected]
    assert wrong == [], run.stderr


COMPILE = """
import sys
import bytecap

checkpoint, calibration, architecture, cap, *recipes = sys.argv[1:]
for recipe in recipes:
    bytecap.compile(checkpoint, cap=cap, calibration=calibration, architecture=architecture, recipe=recipe)
    print(any(name.startswith("bytecap.compiler.menu") for name in sys.modules))
"""


def test_only_a_recipe_that_asks_for_the_menu_imports_it(small_job, tmp_path) -> None:
    """Whole compiles in a fresh process, the one without it first; some kinds are offered by default."""
    little, least = tmp_path / "little.toml", tmp_path / "least.toml"
    little.write_text("[calibrate]\ntokens = 64\n[correct-drift]\nenabled = false\n[distil]\nenabled = false\n")
    least.write_text(little.read_text() + "[fit-tables]\nenabled = false\n[offer-factors]\nenabled = false\n")
    files = [str(path) for path in (small_job.checkpoint, small_job.calibration, small_job.architecture)]
    command = [sys.executable, "-c", COMPILE, *files, str(CAP), str(least), str(little)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["False", "True"], run.stderr

"""Frontends of other people: added from Python, and found in installed packages, whole or broken."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from golden_logits import checkpoint_of, golden_logits
from source_tree import ROOT
from stand_in_packages import stand_in_package

from bytecap.compiler.frontends import (
    FRONTENDS,
    add_frontend,
    build_model,
    known_frontends,
    remove_frontend,
    restored_tensors,
)
from bytecap.compiler.frontends.gpt import Gpt
from bytecap.compiler.frontends.third_party import installed_frontends
from bytecap.errors import BytecapWarning, CheckpointError

DOCUMENTED = re.search(
    r"```toml\n(?P<table>\[project\.entry-points[^`]*)```", (ROOT / "docs/adding/architecture.md").read_text("utf-8")
)
WHOLE = (
    "from bytecap.compiler.frontends.gpt import Gpt\n\n\n"
    "class Renamed(Gpt):\n    name, model_types = 'mine', ('my-gpt',)\n"
)


class Renamed(Gpt):
    name = "mine"
    model_types = ("my-gpt",)


@pytest.fixture
def added() -> Iterator[Renamed]:
    frontend = Renamed()
    add_frontend(frontend)
    yield frontend
    remove_frontend("mine")


def test_an_added_frontend_is_used_for_its_model_type(added):
    golden = golden_logits("gpt2")
    assert known_frontends()["mine"] is added and "mine" not in FRONTENDS
    by_name = build_model(checkpoint_of(golden.state(), golden.config), {"frontend": "mine"})
    assert by_name.program == golden.model().program
    with pytest.raises(CheckpointError, match="nothing tells num_attention_heads"):  # and not "which no frontend knows"
        build_model(checkpoint_of(golden.state(), {"model_type": "my-gpt"}))


def test_what_is_added_can_be_taken_away(added):
    remove_frontend("mine")
    assert "mine" not in known_frontends()
    add_frontend(added)


def test_an_added_frontend_may_take_a_type_that_no_instruction_of_ours_computes():
    golden = golden_logits("gpt2")
    checkpoint = checkpoint_of(golden.state(), {"model_type": "rwkv"})
    with pytest.raises(CheckpointError, match="carry a state from token to token"):
        build_model(checkpoint)
    add_frontend(type("Recurrent", (Renamed,), {"model_types": ("rwkv",)})())
    try:
        with pytest.raises(CheckpointError, match="nothing tells num_attention_heads"):
            build_model(checkpoint)
    finally:
        remove_frontend("mine")


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"name": "llama"}, "there is a frontend 'llama' already"),
        ({"name": "mine"}, "there is a frontend 'mine' already"),
        ({"name": "other", "model_types": ("my-gpt",)}, "the frontend 'mine' has the model type 'my-gpt' already"),
        ({"name": "other", "model_types": ("opt",)}, "the frontend 'gpt' has the model type 'opt' already"),
        ({"name": 3}, "its name must be a string"),
    ],
)
def test_a_frontend_that_takes_anothers_place_is_refused(added, parts, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        add_frontend(type("Other", (Renamed,), parts)())


def test_something_else_is_refused():
    with pytest.raises(ValueError, match="it lacks name, model_types, recognize, build, restore of a frontend"):
        add_frontend(object())


class Failing(Renamed):
    def recognize(self, names):
        raise RuntimeError("no tensor is called that")


def test_one_that_fails_to_recognize_names_keeps_nobody_from_work():
    golden = golden_logits("gpt2")
    add_frontend(Failing())
    try:
        with pytest.warns(
            BytecapWarning, match=r"'mine' fails to recognize names .* \(RuntimeError: no tensor is called"
        ):
            model = golden.model()
    finally:
        remove_frontend("mine")
    assert model.architecture["frontend"] == "gpt"


def changed(**tensor):
    """A frontend whose model has its first tensor changed."""

    def build(self, checkpoint, architecture):
        model = Gpt().build(checkpoint, architecture)
        first = replace(model.tensors[0], **{name: change(model.tensors[0]) for name, change in tensor.items()})
        return replace(model, tensors=(first, *model.tensors[1:]))

    return build


def raising(self, *arguments):
    raise KeyError("layer 7")


NONSENSE = {
    "KeyError: 'layer 7'": raising,
    "what it gives is NoneType, not a Model": lambda self, *arguments: None,
    "are no float32 array": changed(values=lambda tensor: tensor.values.astype(np.float64)),
    "are not C-contiguous": changed(values=lambda tensor: np.asfortranarray(tensor.values)),
    "is there twice, is not finite, or has a type": changed(values=lambda tensor: tensor.values * np.float32("nan")),
    "or has a type not of float32, float16, bfloat16": changed(dtype=lambda tensor: "int7"),
    "InvalidArtifact: ": changed(values=lambda tensor: np.ascontiguousarray(tensor.values[:-1])),
}


@pytest.mark.parametrize("message", NONSENSE)
def test_one_that_fails_to_build_or_gives_nonsense_is_named(message):
    golden = golden_logits("gpt2")
    add_frontend(type("Failing", (Renamed,), {"build": NONSENSE[message]})())
    try:
        with pytest.raises(CheckpointError, match=rf"the frontend 'mine' fails to build the model \(.*{message}"):
            build_model(checkpoint_of(golden.state(), golden.config), {"frontend": "mine"})
    finally:
        remove_frontend("mine")


def test_one_that_fails_to_restore_is_named():
    model = golden_logits("gpt2").model()
    add_frontend(type("Failing", (Renamed,), {"restore": raising, "recognize": lambda self, names: 10**6})())
    try:
        with pytest.raises(CheckpointError, match=r"'mine' fails to restore the checkpoint's tensors .*layer 7"):
            restored_tensors(model.program, model.tensors)
    finally:
        remove_frontend("mine")


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    installed_frontends.cache_clear()
    yield tmp_path
    installed_frontends.cache_clear()


def test_a_package_offers_a_frontend(site):
    stand_in_package(site, "my-package", "my_module", WHOLE, "[bytecap.frontends]\nmine = my_module:Renamed\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert known_frontends()["mine"].model_types == ("my-gpt",)
    golden = golden_logits("gpt2")
    model = build_model(checkpoint_of(golden.state(), golden.config), {"frontend": "mine"})
    assert np.isfinite(model.tensors[0].values).all()


BROKEN = [
    ("raise OSError('no licence')\n", "it cannot be loaded (OSError: no licence)"),
    ("Renamed = 3\n", "it lacks name, model_types, recognize, build, restore of a frontend"),
    (WHOLE.replace("'mine'", "'llama'"), "there is a frontend 'llama' already"),
    ("", "it cannot be loaded (AttributeError: module 'broken_{}' has no attribute 'Renamed')"),
]


@pytest.mark.parametrize(("source", "reason"), BROKEN)
def test_a_broken_one_is_left_out_with_one_sentence_that_names_the_package(site, source, reason):
    module = f"broken_{BROKEN.index((source, reason))}"
    stand_in_package(site, "their-package", module, source, f"[bytecap.frontends]\nmine = {module}:Renamed\n")
    stand_in_package(site, "zebra", f"{module}_zebra", WHOLE, f"[bytecap.frontends]\nmine = {module}_zebra:Renamed\n")
    with pytest.warns(BytecapWarning) as said:
        assert known_frontends().keys() == {*FRONTENDS, "mine"}
    (one,) = said
    assert str(one.message) == (
        f"the package their-package offers the frontend 'mine', which is left out: {reason.format(module[-1])}"
    )


def test_the_documented_package_works_from_the_command_line(tmp_path):
    """The entry point of docs/adding/architecture.md, with the frontend of examples/own_frontend.py."""
    assert DOCUMENTED is not None
    lines = DOCUMENTED["table"].replace('[project.entry-points."bytecap.frontends"]', "[bytecap.frontends]")
    for name in ("own_frontend.py", "small_data.py"):
        shutil.copy(ROOT / "examples" / name, tmp_path / name)
    source = (tmp_path / "own_frontend.py").read_text()
    stand_in_package(tmp_path, "small-llama", "own_frontend", source, lines.replace('"', ""))
    stand_in_package(
        tmp_path, "broken", "broken", "raise OSError('no licence')\n", "[bytecap.frontends]\nb = broken:B\n"
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from own_frontend import *;"
        "from bytecap.cli.main import run; folder = Path(sys.argv[1]);"
        "files = write_data(folder); write_checkpoint(folder / 'llama.safetensors');"
        "(folder / 'a.json').write_text('{\"num_attention_heads\": 4}');"
        "sys.exit(run(['eval', str(folder / 'llama.safetensors'), '--data', str(files['validation']), '--tokenizer',"
        "str(files['tokenizer']), '--architecture', str(folder / 'a.json')]))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "bits per byte" in done.stdout
    said = [line for line in done.stderr.splitlines() if "package" in line]
    assert said == [
        "bytecap: warning: the package broken offers the frontend 'b', which is left out: it cannot be loaded "
        "(OSError: no licence)"
    ]

"""What people write: recipes (TOML) and architecture files (TOML or JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from byte_mutations import changed_bytes, mutated
from fixtures import fixtures
from fuzz_frame import Answer, Mutator, Seed, Target
from golden_files import GOLDEN
from golden_logits import checkpoint_of, golden_logits
from json_mutations import changed_json, odd_json_value
from record_families import FAMILIES, random_state
from text_mutations import another_encoding, changed_lines, changed_toml, odd_characters
from tiny_models import ARCHITECTURE, golf_model
from weights_targets import raise_unnamed, use_model

from bytecap.compiler.checkpoints.checkpoint import Checkpoint
from bytecap.compiler.checkpoints.export import export_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.compiler.recipe import NAMED_RECIPES, parse_recipe, read_recipe
from bytecap.errors import CheckpointError, CompileError

TOML: tuple[Mutator, ...] = (changed_toml, changed_toml, changed_toml, changed_lines, odd_characters, changed_bytes)
JSON: tuple[Mutator, ...] = (odd_json_value, odd_json_value, changed_json, odd_characters, another_encoding)
RECORDS = ("gates of two sigmoids", "powers of relu", "MLP gates", "a factorized table")


def _read_recipe(path: Path) -> Answer:
    """A recipe prints back as text that is read to an equal recipe."""
    try:
        recipe = read_recipe(path)
    except CompileError as error:
        if str(path.parent) not in str(error):
            raise_unnamed(error)
        raise
    again = fixtures() / "again.toml"
    again.write_text(recipe.to_toml())
    if read_recipe(again).digest != recipe.digest:
        raise AssertionError("a recipe reads its own text as another")
    return Answer(recipe.digest)


def _recipe_seeds() -> list[Seed]:
    texts = [parse_recipe(name, tables).to_toml() for name, tables in NAMED_RECIPES.items()]
    texts.append("[calibrate]\ntokens = 2048\n\n[choose-candidates]\nenabled = true\n")
    return [Seed({"recipe.toml": text.encode()}, {"recipe.toml": TOML}) for text in texts]


@cache
def _checkpoint() -> Path:
    path, model = fixtures() / "golf.safetensors", golf_model(num_layers=1)
    names, arrays = [t.name for t in model.tensors], [t.values for t in model.tensors]
    export_checkpoint(names, arrays, ["float32"] * len(names), path, force=True)
    return path


def _compile(output: Path, *options: object) -> Sequence[object]:
    told = ("--cap", 4000, "--calibration", fixtures() / "shard.bin", "-o", output / "out.bcap", "--threads", 1)
    return ("compile", _checkpoint(), *told, *options)


def _recipe_commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    return (_compile(output, "--recipe", path), _compile(output, "--recipe", path, "--effort", 1))


@cache
def _checkpoints() -> dict[str, Checkpoint]:
    """By the file name of an architecture, the weights that it is for."""
    golf = golf_model(num_layers=1)
    found = {"golf": checkpoint_of({t.name: t.values for t in golf.tensors}, None)}
    for number, name in enumerate(RECORDS):
        state = random_state(FAMILIES[name][0], 1)
        found[f"record{number}"] = checkpoint_of({key: tensor.numpy() for key, tensor in state.items()}, None)
    for name in sorted(path.stem for path in (GOLDEN / "logits").glob("*.json"))[::4]:
        found[name] = checkpoint_of(golden_logits(name).state(), None)
    return found


def _read_architecture(path: Path) -> Answer:
    try:
        return Answer(use_model(build_model(_checkpoints()[path.stem], read_architecture(path))))
    except CheckpointError as error:
        if not any(named in str(error) for named in (str(path.parent), "architecture", "folder")):
            raise_unnamed(error)
        raise


def _architecture_seeds() -> list[Seed]:
    documents: dict[str, Mapping[str, object]] = {
        "golf": {**ARCHITECTURE, "num_layers": 1, "frontend": "parameter-golf"}
    }
    for number, name in enumerate(RECORDS):
        documents[f"record{number}"] = FAMILIES[name][1] or {"num_heads": 4}
    for name in _checkpoints():
        if name not in documents:
            documents[name] = golden_logits(name).config
    seeds = []
    for name, document in documents.items():
        seeds.append(Seed({f"{name}.json": json.dumps(document).encode()}, {f"{name}.json": JSON}))
        plain = {key: value for key, value in document.items() if isinstance(value, str | int | float)}
        toml = "".join(f"{key} = {json.dumps(value)}\n" for key, value in plain.items())
        seeds.append(Seed({f"{name}.toml": toml.encode()}, {f"{name}.toml": TOML}))
    return seeds


def _architecture_commands(path: Path, output: Path) -> Sequence[Sequence[object]]:
    told = ("--data", fixtures() / "shard.bin", "--max-tokens", 50, "--tokenizer", fixtures() / "characters.json")
    return (
        ("eval", _checkpoint(), "--architecture", path, "--other-tokenizer", *told),
        ("eval", _checkpoint(), "--architecture", path, "--json", *told),
        _compile(output, "--architecture", path, "--effort", 1),
    )


RECIPE = Target("recipe", _recipe_seeds, _read_recipe, mutated, _recipe_commands, (CompileError,))
ARCHITECTURES = Target(
    "architecture", _architecture_seeds, _read_architecture, mutated, _architecture_commands, (CheckpointError,)
)

"""The published JSON Schemas: one for every command, of the number that the documents name, and what they refuse.

Every document that a test reads from a command is held against its schema (`Outcome.document`); here are the schemas
themselves, and failures.
"""

from __future__ import annotations

import json

import click
import pytest
from command_line import bytecap_command
from json_schema import FOLDER, WORDS, problems_of, schema_file
from tiny_artifacts import tiny_artifact

from bytecap.cli.command_group import COMMANDS
from bytecap.cli.documents import schema_of
from bytecap.cli.main import group

SHARED = {"common", "error"}


def commands_with_documents():
    context = click.Context(group)
    for name in COMMANDS:
        command = group.get_command(context, name)
        inner = command.commands if isinstance(command, click.Group) else None
        yield from [name] if inner is None else [f"{name} {each}" for each in inner]


def test_every_command_has_a_schema_of_its_number():
    names = {command: command.replace(" ", "-") for command in commands_with_documents()}
    assert {path.stem for path in FOLDER.iterdir()} == {*names.values(), *SHARED}
    for command, name in names.items():
        head = schema_file(name)["properties"]
        assert (head["command"]["const"], head["schema"]["const"]) == (command, schema_of(command))


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.iterdir()))
def test_schemas_use_the_words_that_are_checked(name):
    def words_of(schema):
        assert set(schema) <= WORDS
        for each in (*schema.get("properties", {}).values(), *schema.get("$defs", {}).values()):
            words_of(each)
        for each in (*schema.get("anyOf", ()), schema.get("items"), schema.get("additionalProperties")):
            if isinstance(each, dict):
                words_of(each)
        if "$ref" in schema:
            file, _, inner = schema["$ref"].partition(".json#/$defs/")
            assert inner in schema_file(file)["$defs"]

    words_of(schema_file(name))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    path = tmp_path_factory.mktemp("schemas") / "model.bcap"
    path.write_bytes(tiny_artifact())
    return path


VIEWS = {
    "inspect": [],
    "inspect --by": ["--by", "all"],
    "inspect --tensor": ["--tensor", "head"],
    "inspect --program": ["--program"],
    "inspect --hex": ["--hex"],
}


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_of_an_artifact_follows_the_schema(artifact, view):
    assert bytecap_command("inspect", artifact, *VIEWS[view], "--json").document["schema"] == 4


@pytest.mark.parametrize("targets", [1, 2])
def test_verify_follows_the_schema(artifact, targets):
    assert bytecap_command("verify", *[artifact] * targets, "--json").document["passed"]
    assert not bytecap_command("verify", *[artifact] * targets, "--cap", "10B", "--json").document["passed"]


def test_others_follow_the_schema(artifact, tmp_path):
    for line in (
        ["diff", artifact, artifact],
        ["export", artifact, "-o", tmp_path / "model.safetensors"],
        ["generate", artifact, "--tokens", "3"],
        ["lab", "list"],
    ):
        assert bytecap_command(*line, "--json").code == 0
        assert bytecap_command(*line, "--force" if "export" in line else "--json", "--json").document


FAILURES = {
    "inspect nothing.bcap": ("inspect", 4),
    "verify nothing.bcap": ("verify", 2),
    "diff a": ("diff", 2),
    "eval": ("eval", 1),
    "compile a --cap 16M": ("compile", 1),
    "score a": ("sensitivity", 2),
    "lab run nothing": ("lab run", 1),
    "lab rn": ("lab", 1),
    "inpsect a": ("", 1),
}


@pytest.mark.parametrize("line", FAILURES)
def test_a_failure_is_a_document_of_the_commands_own_number(line):
    document = bytecap_command(*line.split(), "--json").document
    assert (document["command"], document["schema"]) == FAILURES[line]
    assert document["error"]["exit_code"] == 2


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": 1}, "inspect.schema is 1"),
        ({"bytes": "many"}, "inspect.bytes is 'many', no integer"),
        ({"surprise": 1}, "inspect.surprise stands in no schema"),
    ],
)
def test_what_the_schema_refuses(artifact, change, problem):
    document = json.loads(bytecap_command("inspect", artifact, "--json").stdout)
    assert problems_of(document) == []
    assert problems_of(document | change) == [problem]
    del document["sha256"]
    assert problems_of(document) == ["inspect lacks sha256"]

"""A document against its published JSON Schema in docs/schemas/: what is wrong with it, and what the schema leaves out.

Strategy: only the words of JSON Schema that our schemas use, and one rule more: a member that no schema names is a
problem, too, so that the schemas stay complete. Members are free where a schema says `additionalProperties`.
"""

from __future__ import annotations

import json
from functools import cache

from source_tree import ROOT

FOLDER = ROOT / "docs" / "schemas"
TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
WORDS = {"$schema", "$defs", "title", "description", "type", "required", "properties", "additionalProperties"}
WORDS |= {"items", "anyOf", "enum", "const", "$ref"}


@cache
def schema_file(name):
    """A schema by the name of its file."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def schema_name(document):
    """The file whose schema a document follows."""
    name = document["command"].replace(" ", "-")
    return name if (FOLDER / f"{name}.json").exists() else "error"


def problems_of(document):
    """What is wrong with a document of a command, a sentence each."""
    name = schema_name(document)
    return _problems(document, schema_file(name), name, name)


def _problems(value, schema, file, place, named=()):
    if "$ref" in schema:
        target, _, path = schema["$ref"].partition("#/$defs/")
        file = target.removesuffix(".json") or file
        return _problems(value, schema_file(file)["$defs"][path], file, place, named)
    found = []
    if "type" in schema and not _is_of(value, schema["type"]):
        return [f"{place} is {value!r}, no {schema['type']}"]
    if ("const" in schema and value != schema["const"]) or ("enum" in schema and value not in schema["enum"]):
        found.append(f"{place} is {value!r}")
    if "items" in schema and isinstance(value, list):
        for number, each in enumerate(value):
            found += _problems(each, schema["items"], file, f"{place}[{number}]")
    names = {*named, *schema.get("properties", ())}
    if "anyOf" in schema:
        found += min((_problems(value, each, file, place, names) for each in _nearest(value, schema["anyOf"])), key=len)
    elif isinstance(value, dict):
        found += _members(value, schema, file, place, names)
    if isinstance(value, dict):
        for name in set(schema.get("properties", ())) & set(value):
            found += _problems(value[name], schema["properties"][name], file, f"{place}.{name}")
    return found


def _nearest(value, schemas):
    """Of several schemas those that name most of an object's members: what is wrong is told by the one meant."""
    if not isinstance(value, dict):
        return schemas
    known = [len(set(value) & set(_resolved(each).get("properties", ()))) for each in schemas]
    return [each for each, count in zip(schemas, known, strict=True) if count == max(known)]


def _resolved(schema):
    if "$ref" not in schema:
        return schema
    target, _, path = schema["$ref"].partition(".json#/$defs/")
    return schema_file(target)["$defs"][path]


def _members(value, schema, file, place, named):
    found = [f"{place} lacks {name}" for name in schema.get("required", ()) if name not in value]
    if "properties" in schema and "additionalProperties" not in schema:
        found += [f"{place}.{name} stands in no schema" for name in value if name not in named]
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        for name in set(value) - set(named):
            found += _problems(value[name], more, file, f"{place}.{name}")
    return found


def _is_of(value, types):
    for name in [types] if isinstance(types, str) else types:
        if name in ("integer", "number"):
            kinds = int if name == "integer" else (int, float)
            if isinstance(value, kinds) and not isinstance(value, bool):
                return True
        elif isinstance(value, TYPES[name]):
            return True
    return False

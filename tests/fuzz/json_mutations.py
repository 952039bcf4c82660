"""Mutators of JSON: the tree is changed, then written with values that Python's own writer would not write."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from byte_mutations import EDGES, ODD_TEXTS, NotThisKind

RAW, DOUBLE = "\ue000raw", "\ue001"  # marks in a text: it stands as it is without quotes; a key that is there twice
Place = tuple[Any, Any]  # a container and the key or index in it
ODD_NUMBERS = ("1e400", "-1e400", "NaN", "-Infinity", "9" * 400, "1" * 5000, "1e-400", "-0", "0.1", "1.0", "true")
ODD_NUMBERS += ("null", "false", "1e9999999999", "0." + "3" * 3000, "4294967296", "2.5", "1e18", "-1", "0", "1", "3")
ODD_STRINGS = ('"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"\\u202e"', '"\\u001b[31m"', '"\\uDBFF\\uDFFF"')
BROKEN = ("", "[", "}", "'a'", "undefined", '"', "{1:2}", "[1,]", "0x10", "+1", "01", "/**/1", "\ufeff1")


def changed_json(data: bytes, rng: random.Random) -> bytes:
    """One to three changes of the tree."""
    tree = [_parsed(data)]
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(tree, rng)
    return _written(tree[0], rng)


def odd_json_value(data: bytes, rng: random.Random) -> bytes:
    """One value becomes an odd one, and nothing else is changed."""
    tree = [_parsed(data)]
    container, key = rng.choice(list(_places(tree)))
    container[key] = odd_value(rng, container[key])
    return _written(tree[0], rng)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotThisKind from error


def _places(tree: Any, depth: int = 6) -> Iterator[Place]:
    """Every value, those of long lists and deep places left out."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree[:40])
    for key, value in list(items)[:200]:
        yield tree, key
        if depth and isinstance(value, dict | list):
            yield from _places(value, depth - 1)


def _change(tree: list[Any], rng: random.Random) -> None:
    container, key = rng.choice(list(_places(tree)))
    kind = rng.randrange(8)
    if kind < 3:
        container[key] = odd_value(rng, container[key])
    elif kind == 3 and container is not tree:
        del container[key]
    elif kind == 4 and isinstance(container, dict):
        new = rng.choice((*container, *ODD_TEXTS, f"{key}{DOUBLE}", key.upper(), f"{key}s"))
        container[new] = container[key] if rng.random() < 0.5 else container.pop(key)
    elif kind == 5:
        other, place = rng.choice(list(_places(tree)))
        copied = json.loads(json.dumps(other[place]))
        container[key] = copied
    elif kind == 6 and isinstance(container[key], list):
        container[key] = _changed_list(container[key], rng)
    elif isinstance(container, dict):
        container[f"{key}{DOUBLE}"] = odd_value(rng, container[key])
    else:
        container[key] = [container[key]]


def _changed_list(values: list[Any], rng: random.Random) -> list[Any]:
    kind = rng.randrange(4)
    if kind == 0:
        return values[: rng.randrange(len(values) + 1)]
    if kind == 1 and len(values) < 2000:
        return values * rng.choice((2, 3, 20))
    if kind == 2:
        return [*values[1:], *values[:1]]
    return [*values, odd_value(rng, values[0] if values else 0)]


def odd_value(rng: random.Random, before: Any) -> Any:
    """Something else in the place of a value: of another type, on the edge of something, or no JSON at all."""
    kind = rng.randrange(12)
    if kind < 2 and isinstance(before, int | float) and not isinstance(before, bool):
        return rng.choice((before + 1, before - 1, -before, before * 2, before / 2, 0))
    if kind < 4:
        return RAW + rng.choice(ODD_NUMBERS)
    if kind == 4:
        return rng.choice((*EDGES, *(-edge for edge in EDGES)))
    if kind == 5:
        return RAW + rng.choice(ODD_STRINGS)
    if kind == 6:
        return rng.choice(ODD_TEXTS)
    if kind == 7:
        depth = rng.choice((3, 30, 300, 900, 5_000, 100_000))
        opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
        return RAW + opening * depth + "1" + closing * (depth if rng.random() < 0.8 else depth - 1)
    if kind == 8:
        return RAW + f"[{','.join([rng.choice(('1', '[]', '{}', '1e3'))] * rng.choice((10, 1000, 100_000)))}]"
    if kind == 9:
        return RAW + rng.choice(BROKEN)
    return rng.choice(([], {}, [[]], {"a": {}}, [before], {"a": before}, None, True, str(before)[:1000]))


def _written(tree: Any, rng: random.Random) -> bytes:
    text = json.dumps(tree, ensure_ascii=rng.random() < 0.5)
    text = text.replace("\\ue001", "").replace(DOUBLE, "")
    for mark in (f'"{RAW}', '"\\ue000raw'):
        while mark in text:
            before, _, rest = text.partition(mark)
            raw = json.loads('"' + rest[: _end_of_text(rest)] + '"')
            text = before + raw + rest[_end_of_text(rest) + 1 :]
    return text.encode("utf-8", "surrogatepass")


def _end_of_text(rest: str) -> int:
    """Where the text that goes on here is closed."""
    at = 0
    while rest[at] != '"':
        at += 2 if rest[at] == "\\" else 1
    return at

"""The values of displays, comprehensions and formatted texts, from the values of their parts.

Strategy: one function a class of expression, which an evaluator calls; a part that is not known leaves the whole
unknown, but for items of lists and dicts.
"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import Any

from .bounded_formatting import format_value
from .call_context import CallContext
from .evaluated_values import bind_target, found_among


def sequence(evaluator: CallContext, node: ast.List | ast.Tuple | ast.Set, names: dict[str, Any]) -> Any:
    """A list, a tuple or a set."""
    items: list[Any] = []
    for item in node.elts:
        if isinstance(item, ast.Starred):
            items += evaluator.known(item.value, names)
        else:
            items.append(evaluator.value(item, names))
    return tuple(items) if isinstance(node, ast.Tuple) else items


def dict_display(evaluator: CallContext, node: ast.Dict, names: dict[str, Any]) -> Any:
    """A dict."""
    items: dict[Any, Any] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            items.update(evaluator.known(value, names))
        else:
            items[evaluator.known(key, names)] = evaluator.value(value, names)
    return items


def text(evaluator: CallContext, node: ast.JoinedStr, names: dict[str, Any]) -> Any:
    """An f-string."""
    return "".join(str(evaluator.known(part, names)) for part in node.values)


def formatted(evaluator: CallContext, node: ast.FormattedValue, names: dict[str, Any]) -> Any:
    """A value in an f-string."""
    value = evaluator.known(node.value, names)
    if isinstance(value, PurePosixPath | bool):
        value = str(value)
    specification = "" if node.format_spec is None else evaluator.known(node.format_spec, names)
    return format_value(value, specification, chr(node.conversion) if node.conversion > 0 else "")


def comprehension(
    evaluator: CallContext, node: ast.ListComp | ast.GeneratorExp | ast.SetComp | ast.DictComp, names: dict[str, Any]
) -> Any:
    """A comprehension over known items; those of a set are a list, too."""
    results: list[Any] = []
    sources: list[Any] = []
    inner = dict(names)

    def run(number: int) -> None:
        if number == len(node.generators):
            parts = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            known = [evaluator.known(part, inner) for part in parts]
            results.append(tuple(known) if isinstance(node, ast.DictComp) else known[0])
            return
        generator = node.generators[number]
        sources.append(evaluator.known(generator.iter, inner))
        for item in sources[-1]:
            bind_target(generator.target, item, inner)
            if all(evaluator.known(condition, inner) for condition in generator.ifs):
                run(number + 1)

    run(0)
    return dict(results) if isinstance(node, ast.DictComp) else found_among(results, sources[0])

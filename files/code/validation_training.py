"""Places where a script's training reads the validation data, as far as names and their flow show it.

Strategy: names that are made of the validation files (a constant such as `fineweb_val_*.bin`, `args.val_files`, and
what is computed from these) are followed from assignment to assignment. A place is told where such a name becomes what
the script itself calls training data, or where a batch of it goes into a loss that is propagated back. Training on
tokens that were scored before is allowed: what stands in a function that evaluates or adapts, or in one that scores
without gradients, is left out. The places are to be looked at by a person, and accuse nobody.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .changed_names import last_name
from .tree_walk import children, walk

VALIDATION = re.compile(r"(^|[/_.-])val(id|idation)?[_*.-]", re.IGNORECASE)
FILES = re.compile(r"[*/]|\.(bin|npy|npz|parquet|jsonl|txt)$")
TRAINING = re.compile(r"train", re.IGNORECASE)
DATA_NAME = re.compile(
    r"(^|_)(train|training|calib|calibration)_(files?|tokens|data|dataset|paths?|pattern|shards|loader)$"
)
VALIDATION_NAME = re.compile(r"^val(id|idation)?_(files?|tokens|data|dataset|paths?|pattern|shards|loader)$")
EVALUATES = re.compile(r"eval|valid|ttt|adapt|score|test|infer|slot|phase|(^|_)val(_|$)", re.IGNORECASE)
WITHOUT_GRADIENTS = {"no_grad", "inference_mode"}
ROUNDS = 3  # of assignments that make a name of another
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
Assigned = Sequence[tuple[str, ast.expr, int]]  # names, values, lines, in their order
Held = dict[str, int]  # names, and the lines from which on they hold something


@dataclass(frozen=True, slots=True)
class TrainingPlace:
    """A line, and in words what of the validation data is trained on there."""

    line: int
    what: str


def validation_training(tree: ast.Module) -> list[TrainingPlace]:
    """The places of a source, in order of lines."""
    found = [place for statements in _scopes(tree) for place in _of_scope(statements)]
    return sorted(set(found), key=lambda place: place.line)


def _scopes(tree: ast.Module) -> Iterator[list[ast.AST]]:
    """The nodes of the module, with those of its classes, and of each function that does not evaluate."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        scope = waiting.pop()
        nodes = [scope]
        for node in nodes:  # grows
            for child in children(node):
                if not isinstance(child, FUNCTIONS):
                    nodes.append(child)
                elif not EVALUATES.search(child.name):
                    waiting.append(child)
        yield nodes


def _of_scope(nodes: list[ast.AST]) -> Iterator[TrainingPlace]:
    assigned = sorted((pair for node in nodes for pair in _assignments(node)), key=lambda pair: pair[2])
    held = _made_of(assigned, {}, _is_validation)
    for target, value, line in assigned:
        if DATA_NAME.search(target) and any(_names_validation(part, held, line) for part in _summed(value)):
            yield TrainingPlace(line, f"{target} is made of the validation files")
    backward = [node for node in nodes if isinstance(node, ast.Call) and last_name(node.func) == "backward"]
    if not backward or any(last_name(node) in WITHOUT_GRADIENTS for node in nodes):
        return
    batches = {target: line for target, value, line in reversed(assigned) if _is_batch(value, held, line)}
    for loop in (node for node in nodes if isinstance(node, ast.For)):
        for name in _looped(loop, held):
            batches.setdefault(name, loop.lineno)
    losses = _made_of(assigned, batches, lambda value: False)
    for call in backward:
        propagated = {last_name(item) for item in walk(call.func) if isinstance(item, ast.Name)}
        if any(losses[name] <= call.lineno for name in propagated & (losses.keys() - batches.keys())):
            yield TrainingPlace(call.lineno, "a loss on a batch of the validation files is propagated back")


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.expr, int]]:
    """Names, last names of attributes, and the values that they are given."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            parts = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
            given = node.value.elts if isinstance(node.value, ast.Tuple | ast.List) else []
            values = given if len(given) == len(parts) > 1 else [node.value] * len(parts)
            yield from (
                (last_name(part), value, node.lineno)
                for part, value in zip(parts, values, strict=True)
                if last_name(part)
            )
    elif isinstance(node, ast.AnnAssign) and node.value is not None and last_name(node.target):
        yield last_name(node.target), node.value, node.lineno


def _made_of(assigned: Assigned, first: Held, begins: Callable[[ast.expr], bool]) -> Held:
    """Names that values make of `first`, or of what `begins` says of a value, each with the line from which on."""
    held = dict(first)
    for _ in range(ROUNDS):
        news = {
            name: line
            for name, value, line in reversed(assigned)
            if name not in held and (_uses(value, held, line) or begins(value))
        }
        if not news:
            break
        held |= news
    return held


def _is_validation(value: ast.expr) -> bool:
    """Whether an expression names the validation files: a path or pattern of theirs, `args.val_files`."""
    return any(_is_path(node) or VALIDATION_NAME.match(last_name(node)) for node in walk(value)) and not _says(
        value, TRAINING
    )


def _is_path(node: ast.AST) -> bool:
    text = node.value if isinstance(node, ast.Constant) else ""
    return isinstance(text, str) and len(text) < 200 and bool(FILES.search(text) and VALIDATION.search(text))


def _says(value: ast.AST, pattern: re.Pattern[str]) -> bool:
    """Whether a text or a name in an expression matches."""
    for node in walk(value):
        text = node.value if isinstance(node, ast.Constant) else last_name(node)
        if isinstance(text, str) and len(text) < 200 and pattern.search(text):
            return True
    return False


def _names_validation(value: ast.expr, held: Held, line: int) -> bool:
    """Whether a value is whole validation data; a slice of it may be what was scored."""
    if any(isinstance(node, ast.Subscript) for node in walk(value)):
        return False
    return _is_validation(value) or held.get(last_name(value), line + 1) <= line


def _summed(value: ast.expr) -> list[ast.expr]:
    """The parts of a sum or of a list, which is made of each of them."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return [*_summed(value.left), *_summed(value.right)]
    return value.elts if isinstance(value, ast.List) else [value]


def _uses(value: ast.expr, names: Held, line: int) -> bool:
    return bool(names) and any(names.get(last_name(node), line + 1) <= line for node in walk(value))


def _is_batch(value: ast.expr, held: Held, line: int) -> bool:
    """`loader.next_batch(...)` and `next(loader)` of what is made of validation data."""
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute) and value.func.attr in ("next_batch", "next", "get_batch", "sample"):
        return _uses(value.func.value, held, line)
    return last_name(value.func) == "next" and bool(value.args) and _uses(value.args[0], held, line)


def _looped(node: ast.For, held: Held) -> list[str]:
    """What a loop over validation data binds: `for x, y in loader`."""
    if held.get(last_name(node.iter), node.lineno + 1) > node.lineno:
        return []
    return [item.id for item in walk(node.target) if isinstance(item, ast.Name)]

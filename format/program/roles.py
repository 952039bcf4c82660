"""What each tensor of a program is for: queries, keys, values, the ways into and out of an MLP, tables, the head.

Strategy: read off the instructions and never off names. A linear map is told by what reads its output
(an attention's queries; an activation) and by what it reads (an attention; an activated product). Both
are found by walks that go back through whatever only scales, moves or gates a register. What the
instructions do not tell keeps its name with the numbers replaced; a layer is the number in the name
where there is one, else the count of attentions before whose weights are others.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..registry import paired
from . import operations as op
from .operands import Row
from .operation import Operation
from .program import Program
from .tensor_names import layer_of, role_of
from .walk import Walk

QUERY, KEY, VALUE, OUTPUT, ATTENTION_GATE = (f"attention {part}" for part in ("q", "k", "v", "o", "gate"))
UP, GATE, DOWN = (f"mlp {part}" for part in ("up", "gate", "down"))
STATE_INPUTS = ("x", "step", "strength", "write", "read")  # operands of scans
STATE_GATE, STATE_OUTPUT = "state gate", "state o"
WITH_PARTS = ("attention", "mlp", "state")
TABLE, HEAD, VALUE_TABLE, PROJECTION = "token table", "head", "value table", "table projection"
OTHER_GATE = "gate"
VECTOR_ROLES: Mapping[tuple[type[Operation], str], str] = paired(
    (
        ((op.HashEmbed, "table"), "hash table"),
        ((op.PositionEmbed, "table"), "position table"),
        ((op.Linear, "bias"), "bias"),
        ((op.RmsNorm, "gain"), "norm gain"),
        ((op.LayerNorm, "gain"), "norm gain"),
        ((op.LayerNorm, "bias"), "norm bias"),
        ((op.Scale, "vector"), "scale"),
        ((op.ScaleTiled, "vector"), "scale"),
        ((op.Mix, "a"), "mix"),
        ((op.Mix, "b"), "mix"),
        ((op.Rotate, "frequencies"), "frequencies"),
        ((op.CappedAttention, "sinks"), "attention sinks"),
        ((op.Scan, "log_rates"), "state rates"),
        ((op.DeltaScan, "log_rates"), "state rates"),
    )
)
BEHIND_HEAD = (op.Softcap, op.Scale, op.ScaleTiled, op.Affine)
LOOKUPS = (op.Embed, op.HashEmbed, op.PositionEmbed)
# each element of the output is an element of the one register that is read, in its place or another, perhaps scaled
STRAIGHT = (op.RmsNorm, op.LayerNorm, op.Rope, op.Rotate, op.Scale, op.ScaleTiled, op.Affine, op.Slice, op.Softcap)
JOINING = (*STRAIGHT, op.Mix, op.Add, op.Multiply, op.Concat, op.Shift, op.Broadcast)


@dataclass(frozen=True, slots=True)
class TensorUse:
    """What a tensor is for, in a few words, and the layer that it belongs to (None: to no one layer)."""

    role: str
    layer: int | None


@dataclass(frozen=True, slots=True)
class MapUse:
    """What a linear map or a table is for, and how many attentions came before it in the program."""

    role: str
    layer: int | None = None


def find_head(program: Program) -> int | None:
    """Index of the linear instruction whose outputs are the logits, but for a cap or a scale; None when
    there is none.
    """
    index = len(program.instructions) - 1
    while isinstance(program.instructions[index], BEHIND_HEAD):
        index = program.instructions[index].x  # type: ignore[attr-defined]
    return index if isinstance(program.instructions[index], op.Linear) else None


def tensor_uses(
    program: Program, names: Sequence[str], sources: Sequence[Sequence[int]] | None = None
) -> tuple[TensorUse, ...]:
    """What each tensor of a directory is for.

    names : of the directory's tensors;  sources : tensors whose values each of them takes, such as an alias's
    """
    roles: list[dict[str, None]] = [{} for _ in names]
    found = find_map_uses(program)
    fresh = _fresh_layers(program, found)
    layers: list[int | None] = [layer_of(name) for name in names]
    for tensor, use in _uses(program, found):
        roles[tensor].setdefault(use.role)
        if layers[tensor] is None and use.layer is not None and layer_of(names[tensor]) is None:
            layers[tensor] = max(bisect_right(fresh, use.layer) - 1, 0)
    for tensor in reversed(range(len(names))):  # what nothing names is there for those that take its values
        for source in sources[tensor] if sources is not None else ():
            roles[source] = roles[source] or dict(roles[tensor])
    return tuple(
        TensorUse(_joined(list(told)) or role_of(name), layer)
        for name, told, layer in zip(names, roles, layers, strict=True)
    )


def _fresh_layers(program: Program, found: Mapping[int, MapUse]) -> list[int]:
    """The attentions, by their number, whose output map none before them has: those that run no layer again."""
    seen: set[int] = set()
    fresh: list[int] = []
    for index, use in sorted(found.items()):
        weight = program.instructions[index].tensors[0]
        if use.role == OUTPUT and use.layer is not None and weight not in seen:
            seen.add(weight)
            fresh.append(use.layer)
    return fresh


def _joined(roles: list[str]) -> str:
    """Several roles as one: `attention q+k+v`, `token table + head`."""
    groups: dict[str, list[str]] = {}
    for role in roles:
        first, _, rest = role.partition(" ")
        groups.setdefault(first if first in WITH_PARTS else role, []).append(rest)
    return " + ".join(f"{first} {'+'.join(rest)}" if first in WITH_PARTS else first for first, rest in groups.items())


def _uses(program: Program, found: Mapping[int, MapUse]) -> Iterator[tuple[int, MapUse]]:
    """(tensor, use) of every operand that names a tensor, in program order."""
    for index, instruction in enumerate(program.instructions):
        for name, kind, value in instruction.values():
            if not hasattr(kind, "tensors") or value is None:
                continue
            role = VECTOR_ROLES.get((type(instruction), name))
            if role is not None:
                yield (value.tensor if isinstance(value, Row) else value), MapUse(role)
            elif index in found:
                yield value, found[index]


def find_map_uses(program: Program) -> dict[int, MapUse]:
    """By instruction what each linear map and each lookup of a token is for, as far as the program tells."""
    walk = Walk(program)
    found: dict[int, MapUse] = {}
    head = find_head(program)
    if head is not None:
        found[head] = MapUse(HEAD)
    attentions = [
        i for i, each in enumerate(program.instructions) if isinstance(each, op.Attention | op.CappedAttention)
    ]
    _find_states(walk, found)
    _find_readers(walk, attentions, found)
    for layer, attention in enumerate(attentions):
        for role, register in zip((QUERY, KEY, VALUE), walk.program.instructions[attention].registers, strict=True):
            _find_makers(walk, register, MapUse(role, layer), found)
        _find_value_tables(walk, attention, layer, found)
    _find_mlps(walk, attentions, found)
    _find_factors(walk, found)
    for index, instruction in enumerate(program.instructions):
        if isinstance(instruction, op.Embed):
            found.setdefault(index, MapUse(TABLE))
        elif isinstance(instruction, op.Linear) and isinstance(program.instructions[instruction.x], LOOKUPS):
            found.setdefault(index, MapUse(PROJECTION))
    return found


def _layer_at(attentions: Sequence[int], index: int) -> int:
    """Number of the last attention before an instruction, 0 before the first."""
    return max(bisect_left(attentions, index) - 1, 0)


def _find_states(walk: Walk, found: dict[int, MapUse]) -> None:
    """Linear maps around scans: what reads one, what gates that, and what makes its operands."""
    scans = [index for index, instruction in enumerate(walk.program.instructions) if isinstance(instruction, op.SCANS)]
    for scan in scans:
        seen, pending = {scan}, [scan]
        while pending and walk.step():
            register = pending.pop()
            for reader in walk.readers.get(register, ()):
                instruction = walk.program.instructions[reader]
                if isinstance(instruction, op.Linear):
                    found.setdefault(reader, MapUse(STATE_OUTPUT))
                elif isinstance(instruction, (*STRAIGHT, op.Add, op.Multiply)) and reader not in seen:
                    seen.add(reader)
                    pending.append(reader)
        for factor in (walk.program.instructions[index] for index in sorted(seen)):
            gates = set(factor.registers) - seen if isinstance(factor, op.Multiply) else set()
            for gate in gates:
                for maker in walk.of_kind(walk.origins(gate, (*STRAIGHT, op.Activation)), op.Linear):
                    found.setdefault(maker, MapUse(STATE_GATE))
    inputs = {part: f"state {part}" for part in STATE_INPUTS}
    for instruction in (walk.program.instructions[index] for index in scans):
        for part in (part for part in inputs if hasattr(instruction, part)):
            _find_makers(walk, getattr(instruction, part), MapUse(inputs[part]), found, (*JOINING, op.Activation))
    for index, use in [*found.items()]:
        if use.role in inputs.values():  # of a low rank, as the steps of a Mamba: the first factor has the role, too
            ends = walk.origins(walk.program.instructions[index].x, STRAIGHT)  # type: ignore[attr-defined]
            for maker in walk.of_kind(ends, op.Linear):
                found.setdefault(maker, use)


def _find_readers(walk: Walk, attentions: Sequence[int], found: dict[int, MapUse]) -> None:
    """Linear maps by what they read: an attention, or what an activation has made."""
    through = (*STRAIGHT, op.Multiply, op.Exclude, op.Concat)
    for index, instruction in enumerate(walk.program.instructions):
        if not isinstance(instruction, op.Linear) or index in found:
            continue
        ends = walk.origins(instruction.x, through)
        read = walk.of_kind(ends, op.Attention, op.CappedAttention)
        if read:
            found[index] = MapUse(OUTPUT, bisect_left(attentions, read[0]))
        elif walk.of_kind(ends, op.Activation):
            found[index] = MapUse(DOWN, _layer_at(attentions, index))


def _find_makers(
    walk: Walk, register: int, use: MapUse, found: dict[int, MapUse], through: tuple[type[Operation], ...] = JOINING
) -> None:
    """Linear maps, and for values tables too, that make the operand of an attention or a scan."""
    ends = walk.origins(register, through)
    if any(found.get(index, use).role in (OUTPUT, DOWN, STATE_OUTPUT) for index in ends):
        return  # the walk is in the residual stream: no map of this operation alone makes the operand
    for index in walk.of_kind(ends, op.Linear):
        earlier = found.get(index)
        if earlier is None:
            found[index] = use
        elif earlier.layer == use.layer and use.role not in earlier.role:
            found[index] = MapUse(_joined([*_apart(earlier.role), use.role]), use.layer)


def _find_value_tables(walk: Walk, attention: int, layer: int, found: dict[int, MapUse]) -> None:
    """Tables of which values are made, directly or by a map of their own: such as queries are not made of."""
    query, _, value = (
        walk.origins(register, JOINING) for register in walk.program.instructions[attention].registers[:3]
    )
    read = {end for i in walk.of_kind(query, op.Linear) for end in _tables_alone(walk, i)}
    for index in walk.of_kind(value, op.Embed, op.Linear):
        tables = {index} if isinstance(walk.program.instructions[index], op.Embed) else _tables_alone(walk, index)
        if tables and not tables & read and found.get(index, MapUse(VALUE)).role == VALUE:
            found[index] = MapUse(PROJECTION, layer)
            found.update((table, MapUse(VALUE_TABLE, layer)) for table in tables)


def _tables_alone(walk: Walk, index: int) -> set[int]:
    """The lookups that a linear map reads, where it reads nothing else."""
    ends = walk.origins(walk.program.instructions[index].x, STRAIGHT)  # type: ignore[attr-defined]
    return ends if len(walk.of_kind(ends, op.Embed)) == len(ends) else set()


def _apart(role: str) -> list[str]:
    """The roles that `_joined` joined, of attention or an MLP."""
    first, _, rest = role.partition(" ")
    return [f"{first} {part}" for part in rest.split("+")]


def _find_mlps(walk: Walk, attentions: Sequence[int], found: dict[int, MapUse]) -> None:
    """Linear maps whose outputs an activation bends, and those that its result gates."""
    for index, instruction in enumerate(walk.program.instructions):
        if not isinstance(instruction, op.Activation):
            continue
        layer = _layer_at(attentions, index)
        makers = [i for i in walk.of_kind(walk.origins(instruction.x, STRAIGHT), op.Linear) if i not in found]
        partners = _partners(walk, index)
        gated = [i for i in walk.of_kind(partners, op.Linear) if i not in found or found[i].role == GATE]
        if walk.of_kind(partners, op.Attention, op.CappedAttention, op.Exclude):
            role = ATTENTION_GATE
        else:
            role = GATE if gated else UP if _leads_to(walk, index, found, DOWN) else OTHER_GATE
        for maker in makers:
            found[maker] = MapUse(f"{GATE}+up" if maker in gated else role, layer)
        for maker in gated:
            found.setdefault(maker, MapUse(UP, layer))


def _partners(walk: Walk, index: int) -> set[int]:
    """Origins of what the output of an activation, repeated or scaled, is multiplied with."""
    found: set[int] = set()
    seen, pending = {index}, [index]
    while pending and walk.step():
        register = pending.pop()
        for reader in walk.readers.get(register, ()):
            instruction = walk.program.instructions[reader]
            if isinstance(instruction, op.Multiply) and instruction.x != instruction.y:
                other = instruction.y if instruction.x == register else instruction.x
                found |= walk.origins(other, STRAIGHT)
            elif isinstance(instruction, (*STRAIGHT, op.Broadcast)) and reader not in seen:
                seen.add(reader)
                pending.append(reader)
    return found


def _leads_to(walk: Walk, index: int, found: Mapping[int, MapUse], role: str) -> bool:
    """Whether a linear map of that role reads a register, scaled or multiplied."""
    seen, pending = {index}, [index]
    while pending and walk.step():
        for reader in walk.readers.get(pending.pop(), ()):
            if reader in found and found[reader].role == role:
                return True
            if reader not in seen and isinstance(walk.program.instructions[reader], (*STRAIGHT, op.Multiply)):
                seen.add(reader)
                pending.append(reader)
    return False


def _find_factors(walk: Walk, found: dict[int, MapUse]) -> None:
    """A map that only another one reads is its first factor and has its role: low rank, compressed keys and values."""
    for index in reversed(range(len(walk.program.instructions))):
        instruction = walk.program.instructions[index]
        if isinstance(instruction, op.Linear) and index in found:
            for maker in walk.of_kind(walk.origins(instruction.x, STRAIGHT), op.Linear):
                found.setdefault(maker, found[index])

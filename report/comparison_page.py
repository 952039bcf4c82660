"""The page of `bytecap diff --html`: two artifacts side by side, in numbers, by role, by layer and by tensor.

Strategy: what was scored comes first, then bytes. Pictures show both sides with one scale; a change is that of the
second against the first, and tables begin with it. Nothing is computed here but sums and differences.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..files.numbers import decimals, integer, significant
from ..files.printable import printable
from ..format.byte_account import TOGETHER, GroupRow, Inspection
from ..format.comparison import Comparison, TensorDifference
from ..runtime.score import Gap
from .amounts import MOST_ROWS
from .bars import Row, bar_chart, interval_chart
from .byte_tree import artifact_tree, role_name
from .heading import Origin, headed_page, tiles
from .layer_map import change_table, layer_map
from .markup import Html, element, folded, joined, paragraph, section, table
from .treemap import treemap

PROGRAM_LINES = 200
Names = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scored:
    """Both artifacts on one text.

    bits_per_byte : of the first and the second;  tokens : scored
    gap : of the second, paired by sequence
    """

    bits_per_byte: tuple[float, float]
    tokens: int
    gap: Gap


def comparison_page(
    origin: Origin, names: Names, found: Comparison, recipe: Sequence[str], scored: Scored | None
) -> str:
    """The page of two artifacts.

    names : of their files;  recipe : what changed in the recipe, in words
    """
    names = (printable(names[0]), printable(names[1]))
    facts = {
        side: f"{name}, SHA-256 {each.sha256}"
        for side, name, each in zip(("first", "second"), names, (found.first, found.second), strict=True)
    }
    return headed_page(
        origin,
        found.verdict,
        facts,
        tiles(_tiles(found, scored)),
        _score(names, scored),
        _numbers(names, found, scored),
        _roles(names, found),
        _layers(found),
        _treemaps(names, found),
        _errors(found),
        _tensors(found),
        _changes(names, found, recipe),
    )


def _tiles(found: Comparison, scored: Scored | None) -> list[tuple[str, str, Html | None]]:
    first, second = found.first, found.second
    items: list[tuple[str, str, Html | None]] = []
    if scored is not None:
        text = f"mBPB, the second less the first, ± {scored.gap.standard_error_mbpb:.2f} standard error"
        items.append((f"{scored.gap.mbpb:+.2f}", text, None))
    share = f"bytes, {100 * (second.bytes / first.bytes - 1):+.2f} %"
    items.append((f"{second.bytes - first.bytes:+,}", share, None))
    rate = second.bits_per_weight - first.bits_per_weight
    items.append((_signed(rate), f"bits a weight, {decimals(first.bits_per_weight)} before", None))
    differ = sum(not tensor.equal for tensor in found.tensors)
    items.append((integer(differ), f"of {integer(len(found.tensors))} tensors decode to other values", None))
    return items


def _score(names: Names, scored: Scored | None) -> Html | None:
    if scored is None:
        return None
    mbpb, (low, high) = scored.gap.mbpb, scored.gap.interval_mbpb
    row = Row("the second less the first", mbpb, f"{mbpb:+.2f} ± {high - mbpb:.2f}", low, high)
    rows = [[name, decimals(bits, 5)] for name, bits in zip(names, scored.bits_per_byte, strict=True)]
    return section(
        "Score",
        paragraph(f"On {integer(scored.tokens)} tokens, paired by sequence; the bar is the 95 % interval."),
        interval_chart([row], "thousandths of a bit per byte; below 0 the second is better", "Gap of the scores"),
        table(["model", ">bits per byte"], rows),
    )


def _numbers(names: Names, found: Comparison, scored: Scored | None) -> Html:
    """Everything that is one number a side."""
    first, second = found.first, found.second
    rows = [["bits per byte", *(decimals(bits, 5) for bits in scored.bits_per_byte), _mbpb(scored)]] if scored else []
    rows.append(["bytes", *_pair(first.bytes, second.bytes)])
    bits = (first.bits_per_weight, second.bits_per_weight)
    rows.append(["bits a weight", *map(decimals, bits), _signed(bits[1] - bits[0])])
    rows.append(["weights", *_pair(first.weights, second.weights)])
    rows.append(["tensors", *_pair(len(first.tensors), len(second.tensors))])
    rows += [[f"bytes of {name}", *_pair(*sizes)] for name, sizes in _sections(first, second).items()]
    words = first.program.words, second.program.words
    same = paragraph(f"Both compute {words[0]}." if words[0] == words[1] else f"{words[0]}; then {words[1]}.")
    return section("Side by side", same, table(["", f">{names[0]}", f">{names[1]}", ">change"], rows))


def _signed(change: float) -> str:
    return f"{change:+.3f}" if abs(change) >= 0.0005 else "0"


def _mbpb(scored: Scored) -> str:
    return f"{scored.gap.mbpb / 1000:+.5f}"


def _pair(first: int, second: int) -> list[str]:
    return [integer(first), integer(second), f"{second - first:+,}" if second != first else "0"]


def _sections(first: Inspection, second: Inspection) -> Mapping[str, tuple[int, int]]:
    sizes = [{row.name: row.stored_bytes for row in side.sections} for side in (first, second)]
    return {name: (sizes[0].get(name, 0), sizes[1].get(name, 0)) for name in dict.fromkeys([*sizes[0], *sizes[1]])}


def _roles(names: Names, found: Comparison) -> Html:
    sides = [{row.name: row for row in side.roles} for side in (found.first, found.second)]
    known = sorted({*sides[0], *sides[1]}, key=lambda name: (-_bytes(sides[0].get(name)), name))
    bars = [
        Row(printable(name), float(change), f"{change:+,}")
        for name in known[:MOST_ROWS]
        for change in [_bytes(sides[1].get(name)) - _bytes(sides[0].get(name))]
    ]
    rows = [
        [
            printable(name),
            _change(sides, name),
            *(integer(_bytes(side.get(name))) for side in sides),
            *(decimals(side[name].bits_per_weight) if name in side else "–" for side in sides),
        ]
        for name in known
    ]
    columns = ["role", ">change", ">bytes", ">then", ">bits a weight", ">then"]
    return section(
        "By role",
        bar_chart(bars, f"bytes of {names[1]} less those of {names[0]}", "Change of bytes by role"),
        table(columns, rows),
    )


def _bytes(row: GroupRow | None) -> int:
    return row.bytes if row else 0


def _change(sides: Sequence[Mapping[str, GroupRow]], name: str) -> str:
    change = _bytes(sides[1].get(name)) - _bytes(sides[0].get(name))
    return f"{change:+,}" if change else "0"


def _layers(found: Comparison) -> Html:
    maps = [layer_map(side.tensors) for side in (found.first, found.second)]
    return section(
        "Layers by roles",
        paragraph("Bits a weight of the second less those of the first; green cells take fewer, red ones more."),
        change_table(*maps),
    )


def _treemaps(names: Names, found: Comparison) -> Html:
    pictures = (
        element("div", element("h3", name), treemap(artifact_tree(side, role_name), f"Treemap of {name}"))
        for name, side in zip(names, (found.first, found.second), strict=True)
    )
    return section("Where the bytes are", element("div", *pictures, class_="pair"))


def _errors(found: Comparison) -> Html | None:
    """The tensors that differ most, by their relative error."""
    known = [(t.relative_error, t.name) for t in found.tensors if t.relative_error]
    largest = sorted(known, key=lambda pair: (-pair[0], pair[1]))[:MOST_ROWS]
    if not largest:
        return None
    bars = [Row(printable(name), error, significant(error)) for error, name in largest]
    return section(
        "Which tensors differ most",
        paragraph(
            "Root mean square of the difference over that of the first's values. Above 1 it may be another order: a "
            "compile sorts hidden units and dimensions of values by their steps."
        ),
        bar_chart(bars, "relative error", "Relative error by tensor"),
    )


def _tensors(found: Comparison) -> Html:
    columns = ["tensor", ">change", ">relative error", ">bytes", ">then", ">bits a weight", ">then"]
    ordered = sorted(found.tensors, key=lambda t: (-abs(t.byte_change), t.name))
    together = found.shared_bytes
    shared = [TOGETHER, _pair(*together)[2], "", *map(integer, together), "", ""]
    sizes = found.first.bytes, found.second.bytes
    totals = ["total", _pair(*sizes)[2], "", *map(integer, sizes), "", ""]
    differ = sum(not tensor.equal for tensor in ordered)
    title = f"All {integer(len(ordered))} tensors, of which {integer(differ)} differ"
    return section("Tensors", folded(title, table(columns, [*map(_tensor, ordered), shared], totals)))


def _tensor(tensor: TensorDifference) -> list[str]:
    sides = (tensor.first, tensor.second)
    error = "0" if tensor.equal else significant(tensor.relative_error)
    return [
        printable(tensor.name),
        f"{tensor.byte_change:+,}" if tensor.byte_change else "0",
        error,
        *(integer(row.bytes) if row else "–" for row in sides),
        *(decimals(row.bits_per_weight) if row else "–" for row in sides),
    ]


def _changes(names: Names, found: Comparison, recipe: Sequence[str]) -> Html | None:
    """What else is not the same."""
    pairs = [*found.provenance.items(), *found.identity.items()]
    rows = [[printable(name), *(printable(json.dumps(value)) for value in pair)] for name, pair in pairs]
    parts: list[object] = []
    if recipe:
        parts += [element("h3", "Recipe"), element("ul", joined(element("li", printable(line)) for line in recipe))]
    if rows:
        parts += [element("h3", "Provenance and identity"), table(["", *names], rows)]
    if found.program:
        more = len(found.program) - PROGRAM_LINES
        lines = [*map(printable, found.program[:PROGRAM_LINES]), *([f"and {integer(more)} more"] if more > 0 else [])]
        parts += [element("h3", "Program"), element("pre", "\n".join(lines))]
    return section("What else changed", *parts) if parts else None

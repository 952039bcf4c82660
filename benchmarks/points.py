"""Measured points of pipelines, and the bytes that a curve of them needs for a given damage.

Strategy: a curve's bytes at a damage are interpolated with log2(damage) linear in bytes, as theory has
it (damage ~ 2**(-2 rate), both for the gap and for the divergence), between the points that no other of
the curve beats in both; nothing is extrapolated. The envelope of several pipelines is the least of
their curves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

GAPS = (3.0, 4.0, 6.0, 8.0, 12.0, 20.0)
DIVERGENCES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08)
ENVELOPES = {
    "published": ("sdclip", "record"),
    "tuned": ("sdclip", "record", "sdclip-tuned", "record-tuned"),
    "nncodec": ("nncodec",),
    "nncodec_tuned": ("nncodec", "nncodec-tuned"),
    "gguf": ("gguf",),
    "gguf_mixed": ("gguf", "gguf-mixed"),
    "hqq": ("hqq", "hqq-mixed"),
    "exl3": ("exl3",),
    "watersic": ("watersic",),
    "watersic_mixing": ("watersic", "watersic-mixing"),
}


@dataclass(frozen=True)
class CompressionPoint:
    """One file.

    pipeline, setting : str
    bytes : int                     the whole file
    gap, standard_error : float     mBPB above the float model, and its standard error
    kl : float                      divergence from the float model, bits a token
    """

    pipeline: str
    setting: str
    bytes: int
    gap: float
    standard_error: float
    kl: float

    def line(self) -> str:
        """For a log."""
        damage = f"{self.gap:7.2f} +- {self.standard_error:.2f} mBPB  {self.kl:.4f} bits a token"
        return f"{self.pipeline:18} {self.setting:42} {self.bytes:10,} bytes  {damage}"


def bytes_at(points: Sequence[CompressionPoint], damage: float, measure: str) -> float | None:
    """Bytes of a curve at a damage; None outside its range. `measure` is "gap" or "kl"."""
    values = {p: getattr(p, measure) for p in points}
    useful = [
        p for p in points if values[p] > 0 and not any(q.bytes < p.bytes and values[q] < values[p] for q in points)
    ]
    useful.sort(key=values.get)
    for low, high in itertools.pairwise(useful):
        if values[low] <= damage <= values[high]:
            share = (math.log2(damage) - math.log2(values[low])) / (math.log2(values[high]) - math.log2(values[low]))
            return low.bytes + share * (high.bytes - low.bytes)
    return None


def envelope_at(
    points: Sequence[CompressionPoint], pipelines: Sequence[str], damage: float, measure: str
) -> float | None:
    """Least bytes of any of these pipelines at a damage."""
    found = [bytes_at([p for p in points if p.pipeline == name], damage, measure) for name in pipelines]
    return min((value for value in found if value is not None), default=None)


def envelopes_at(points: Sequence[CompressionPoint], damage: float, measure: str) -> dict[str, float | None]:
    """Least bytes of every envelope at a damage, by its name."""
    return {name: envelope_at(points, pipelines, damage, measure) for name, pipelines in ENVELOPES.items()}


def shares_of(
    point: CompressionPoint, peers: Sequence[CompressionPoint], measures: Sequence[str]
) -> dict[str, list[float]]:
    """What a file takes of each envelope, by its name, at the file's own damages, where all of these are reached."""
    best = [envelopes_at(peers, getattr(point, measure), measure) for measure in measures]
    sizes = {name: [each[name] for each in best] for name in ENVELOPES}
    return {name: [point.bytes / size for size in found] for name, found in sizes.items() if None not in found}


def comparison(ours: Sequence[CompressionPoint], peers: Sequence[CompressionPoint]) -> list[dict]:
    """Bytes at each gap and each divergence: bytecap's, each envelope's, and the ratios of the first to the others."""
    rows = []
    for measure, damage in [*(("gap", gap) for gap in GAPS), *(("kl", kl) for kl in DIVERGENCES)]:
        mine = bytes_at(ours, damage, measure)
        envelopes = envelopes_at(peers, damage, measure)
        ratios = {name: mine / best if mine and best else None for name, best in envelopes.items()}
        rows.append({"measure": measure, "damage": damage, "bytecap": mine, "peers": envelopes, "ratios": ratios})
    return rows


def comparison_table(rows: Sequence[dict]) -> str:
    """The comparison as text: bytes of bytecap and of each envelope, with bytecap's share of it."""
    lines = [f"{'at equal damage':22}{'bytecap':>12}" + "".join(f"{name:>20}" for name in ENVELOPES)]
    for row in rows:
        unit = f"gap {row['damage']:g} mBPB" if row["measure"] == "gap" else f"KL {row['damage']:g} bits a token"
        cells = [_cell(row["peers"][name], row["ratios"][name]) for name in ENVELOPES]
        lines.append((f"{unit:22}{_bytes(row['bytecap']):>12}" + "".join(cells)).rstrip())
    return "\n".join(lines)


def _cell(best: float | None, ratio: float | None) -> str:
    share = "" if ratio is None else f" ({ratio:.3f})"
    return f"{_bytes(best):>12}{share:>8}"


def _bytes(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"

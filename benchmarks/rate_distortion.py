"""Bytes against damage: bytecap and the peers on one checkpoint, one calibration text and one evaluation.

Strategy: every pipeline is a curve of (file bytes, gap in mBPB) points, measured through the same runtime on the same
tokens. At a given gap the bytes of a curve are interpolated with log2(gap) linear in bytes, as theory has it
(gap ~ 2**(-2 rate)); the peers' lower envelope is the least of their curves there.
"""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bytecap import interface
from bytecap.compiler.calibration import calibration_sequences
from bytecap.compiler.model import Model
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.scoring import Score, paired_gap

from .material import Material
from .peers import PEERS, passthrough_border
from .peers.hessians import collect_hessians

BITS_PER_WEIGHT = (3.4, 3.1, 2.8, 2.5, 2.25, 2.05)  # whole artifact over all weights: where bytecap's curve is measured
GAPS = (4.0, 8.0, 12.0, 20.0)
CALIBRATION_TOKENS = 98_304


@dataclass(frozen=True)
class Point:
    """One file: pipeline, setting, bytes, gap and its standard error in mBPB."""

    pipeline: str
    setting: str
    bytes: int
    gap: float
    standard_error: float


def measure_peers(material: Material, model: Model, reference: Score, log: Callable[[str], None]) -> list[Point]:
    """Every peer over its settings; matrices of every size are quantized, as the published pipelines mean it."""
    sequences = calibration_sequences(material.calibration_tokens(), model.program.sequence_length, CALIBRATION_TOKENS)
    hessians = collect_hessians(model, sequences)
    state_dict = {tensor.name: torch.from_numpy(tensor.values) for tensor in model.tensors}
    points = []
    for peer in PEERS.values():
        for setting in peer.settings:
            options = {"passthrough_elements": passthrough_border(state_dict), **setting}
            data, decoded = peer.compress(state_dict, hessians, **options)
            arrays = [np.ascontiguousarray(decoded[t.name].float().numpy()) for t in model.tensors]
            gap = paired_gap(reference, material.evaluate(model, arrays))
            text = " ".join(f"{key}={value:g}" for key, value in setting.items())
            points.append(Point(peer.name, text, len(data), gap.mbpb, gap.standard_error_mbpb))
            log(_line(points[-1]))
    return points


def measure_bytecap(material: Material, model: Model, reference: Score, recipe: str, log: Callable[[str], None]) -> list[Point]:
    """Whole artifacts at a range of caps."""
    weights = sum(tensor.values.size for tensor in model.tensors)
    points = []
    with tempfile.TemporaryDirectory() as folder:
        for bits in BITS_PER_WEIGHT:
            output = Path(folder) / "model.bcap"
            interface.compile(
                material.checkpoint, cap=int(weights * bits / 8), calibration=material.calibration, output=output,
                tokenizer=material.tokenizer, architecture=material.architecture, recipe=recipe, force=True,
            )  # fmt: skip
            data = output.read_bytes()
            gap = paired_gap(reference, material.evaluate(model, decode_tensors(read_artifact(data))))
            points.append(Point(f"bytecap ({Path(recipe).stem})", f"{bits:g} bit", len(data), gap.mbpb, gap.standard_error_mbpb))
            log(_line(points[-1]))
    return points


def _line(point: Point) -> str:
    return f"{point.pipeline:24} {point.setting:26} {point.bytes:10,} bytes  {point.gap:7.2f} +- {point.standard_error:.2f} mBPB"


def bytes_at_gap(points: Sequence[Point], gap: float) -> float | None:
    """Bytes of a curve at a gap; None outside its range. Points that another beats in both are left out."""
    useful = [p for p in points if p.gap > 0 and not any(q.bytes < p.bytes and q.gap < p.gap for q in points)]
    useful.sort(key=lambda p: p.gap)
    for low, high in itertools.pairwise(useful):
        if low.gap <= gap <= high.gap:
            share = (math.log2(gap) - math.log2(low.gap)) / (math.log2(high.gap) - math.log2(low.gap))
            return low.bytes + share * (high.bytes - low.bytes)
    return None


def envelope_at_gap(points: Sequence[Point], gap: float) -> float | None:
    """Least bytes of any pipeline at a gap."""
    pipelines = {p.pipeline for p in points}
    found = [bytes_at_gap([p for p in points if p.pipeline == name], gap) for name in pipelines]
    return min((value for value in found if value is not None), default=None)


def comparison(ours: Sequence[Point], peers: Sequence[Point]) -> list[dict]:
    """Bytes of both at each gap, and the ratio."""
    rows = []
    for gap in GAPS:
        mine, best = bytes_at_gap(ours, gap), envelope_at_gap(peers, gap)
        rows.append({"gap_mbpb": gap, "bytecap": mine, "peers": best, "ratio": mine / best if mine and best else None})
    return rows


def plot(points: Sequence[Point], path: Path, title: str) -> None:
    """Coded bytes against gap, one line a pipeline, gap on a logarithmic axis."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name in dict.fromkeys(p.pipeline for p in points):
        curve = sorted((p for p in points if p.pipeline == name), key=lambda p: p.bytes)
        errors = [p.standard_error for p in curve]
        style = "o-" if name.startswith("bytecap") else "s--"
        axes.errorbar([p.bytes / 1e6 for p in curve], [p.gap for p in curve], yerr=errors, fmt=style, label=name, markersize=4, capsize=2)
    axes.set_yscale("log")
    axes.set_xlabel("whole file, million bytes")
    axes.set_ylabel("damage, mBPB (lower is better)")
    axes.set_title(title)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)

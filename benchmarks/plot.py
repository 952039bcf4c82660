"""The plot of all curves: file size against gap and against divergence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from .points import CompressionPoint

matplotlib.use("Agg")
MEASURES = {"gap": "damage, mBPB (lower is better)", "kl": "divergence from the float model, bits a token"}
FAMILIES = {
    "autoround": "tab:olive",
    "exl3": "tab:cyan",
    "gptqmodel": "tab:green",
    "int8": "tab:gray",
    "int6": "tab:gray",
    "sdclip": "tab:green",
    "record": "tab:red",
    "nncodec": "tab:purple",
    "gguf": "tab:orange",
    "hqq": "tab:brown",
    "watersic": "tab:pink",
}


def plot(points: Sequence[CompressionPoint], path: Path, title: str) -> None:
    """One line a pipeline, damage on a logarithmic axis; a family's tuned variant has its colour, dotted and hollow."""
    from matplotlib import pyplot

    figure, sides = pyplot.subplots(1, 2, figsize=(14, 6))
    for axes, (measure, label) in zip(sides, MEASURES.items(), strict=True):
        for name in dict.fromkeys(p.pipeline for p in points):
            curve = sorted((p for p in points if p.pipeline == name), key=lambda p: p.bytes)
            errors = [p.standard_error for p in curve] if measure == "gap" else None
            axes.errorbar(
                [p.bytes / 1e6 for p in curve],
                [getattr(p, measure) for p in curve],
                yerr=errors,
                label=name,
                **_style(name),
            )
        axes.set_yscale("log")
        axes.set_xlabel("whole file, million bytes")
        axes.set_ylabel(label)
        axes.grid(True, which="both", alpha=0.3)
    sides[0].legend()
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _style(name: str) -> dict:
    if name.startswith("bytecap"):
        return {"fmt": "o-", "color": "tab:blue", "linewidth": 2, "markersize": 5, "capsize": 2}
    family, _, variant = name.partition("-")
    hollow = (
        {"markerfacecolor": "white", "linestyle": ":"}
        if variant in ("tuned", "mixed", "mixing")
        else {"linestyle": "--"}
    )
    return {"marker": "s", "color": FAMILIES[family], "markersize": 4, "capsize": 2, **hollow}

"""`python -m benchmarks.efforts [--levels 1-9]`: what each effort costs and saves, in one paired run.

Strategy: every level compiles the same checkpoint to the same cap, each in a process of its own, so that its processor
time and peak memory are its own. Damage is the divergence from the float model on the evaluation tokens. What the
quickest level needs for the same damage is interpolated on its curve (points.py), of which it alone compiles the other
points; the share of it that a level takes is compared with the share that the reference takes. A finished compile
stands in the result file under all that decides it and is not repeated, so that a run which was stopped goes on. Times
are processor seconds of all cores: a busy machine changes them less than wall seconds.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bytecap import interface
from bytecap.compiler.recipe import read_recipe
from bytecap.compiler.workers import peak_bytes
from bytecap.files.digests import file_sha256
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.version import VERSION

from .material import Material, add_material_options, find_material
from .own_process import answer_alone
from .points import CompressionPoint, bytes_at, shares_of
from .rate_distortion import PointMeter

RESULTS = Path(__file__).resolve().parent / "results"
BITS = LOW, MIDDLE, HIGH = 1.85, 2.2, 2.6  # whole artifact over all weights
CURVE, REFERENCE = 1, 5  # the level that compiles to all caps, and the one that bytes are compared with


@dataclass(frozen=True)
class Compiled:
    """One compile: its level and the digest of its options, its cap in bits a weight, what it cost and was forecast to,
    and its point.
    """

    level: int
    recipe: str
    bits: float
    processor_seconds: float
    wall_seconds: float
    peak_bytes: int
    forecast_seconds: float
    forecast_peak_bytes: int
    point: CompressionPoint


def compile_one(material: Material, level: int, cap: int, output: Path, answers) -> None:
    """Compile in this process, which does nothing else; puts its seconds, its peak memory, and their forecasts."""
    began = time.perf_counter()
    result = interface.compile(
        material.checkpoint,
        cap=cap,
        calibration=material.calibration,
        output=output,
        tokenizer=material.tokenizer,
        architecture=material.architecture,
        effort=level,
        profile="max",
        force=True,
    )
    said = result.report["forecast"]
    cost = time.process_time(), time.perf_counter() - began, peak_bytes()
    answers.put((*cost, sum(said["seconds"].values()), said["peak_bytes"]))


def measure(meter: PointMeter, level: int, bits: float, folder: Path) -> Compiled:
    """One compile in a process of its own, and what it is worth."""
    output, cap = folder / "model.bcap", int(meter.model.parameters * bits / 8)
    cost = answer_alone(f"effort {level} at {bits:g} bits", compile_one, meter.material, level, cap, output)
    data = output.read_bytes()
    point = meter.point(f"effort {level}", f"{bits:g} bit", data, decode_tensors(read_artifact(data)))
    return Compiled(level, recipe_of(level), bits, *cost, point)


def caps_of(level: int) -> Sequence[float]:
    """Bits a weight that a level compiles to."""
    return BITS if level == CURVE else [MIDDLE]


def summary(found: list[Compiled]) -> list[dict]:
    """A row a level: what it is worth at the middle cap, against the reference, and its cost."""
    curve = [each.point for each in found if each.level == CURVE]
    at_middle = sorted((each for each in found if each.bits == MIDDLE), key=lambda each: each.level)
    known = {each.level: bytes_at(curve, each.point.kl, "kl") for each in at_middle}
    shares = {each.level: each.point.bytes / size for each in at_middle if (size := known[each.level])}
    rows = []
    for each in at_middle:
        compared = each.level in shares and REFERENCE in shares
        rows.append(
            {
                "effort": each.level,
                "bytes": each.point.bytes,
                "divergence": each.point.kl,
                "gap_mbpb": each.point.gap,
                "bytes_of_quickest": known[each.level],
                "against_reference": shares[each.level] / shares[REFERENCE] if compared else None,
                "processor_seconds": each.processor_seconds,
                "wall_seconds": each.wall_seconds,
                "peak_bytes": each.peak_bytes,
                "wall_over_forecast": each.wall_seconds / each.forecast_seconds,
                "peak_over_forecast": each.peak_bytes / each.forecast_peak_bytes,
            }
        )
    return rows


def table(rows: list[dict]) -> str:
    """The rows as text."""
    lines = [
        f"compiles to {MIDDLE} bits a weight; bytes over those of effort {REFERENCE} at the same divergence",
        "effort    bytes   KL, bits a token   processor s   peak GB   over its forecast: wall, peak",
    ]
    for row in rows:
        share = f"{row['against_reference']:.3f}" if row["against_reference"] else "-"
        cost = f"{row['processor_seconds']:>13.0f} {row['peak_bytes'] / 1e9:>9.2f}"
        missed = f"{row['wall_over_forecast']:>24.2f} {row['peak_over_forecast']:>6.2f}"
        lines.append(f"{row['effort']:>6} {share:>8} {row['divergence']:>18.5f} {cost} {missed}")
    return "\n".join(lines)


def shares_table(found: list[Compiled], peers: list[CompressionPoint]) -> str:
    """What each level takes of the peers that `benchmarks.run` has measured on the same."""
    lines = ["share of each envelope at equal mBPB, and at equal KL"]
    for each in sorted((each for each in found if each.bits == MIDDLE), key=lambda each: each.level):
        shares = shares_of(each.point, peers, ("gap", "kl"))
        cells = [f"{name} {gap:.3f} {divergence:.3f}" for name, (gap, divergence) in shares.items()]
        lines.append(f"{each.level:>6}  " + "  ".join(cells))
    return "\n".join(lines)


def plot(rows: list[dict], path: Path, title: str) -> None:
    """Bytes at equal divergence against processor seconds, each point named by its level."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    known = [row for row in rows if row["against_reference"]]
    figure, axes = pyplot.subplots(figsize=(7, 5))
    axes.plot([r["processor_seconds"] for r in known], [r["against_reference"] for r in known], "o-", color="tab:blue")
    for row in known:
        place = row["processor_seconds"], row["against_reference"]
        axes.annotate(str(row["effort"]), place, textcoords="offset points", xytext=(6, 6))
    axes.set_xscale("log")
    axes.set_xlabel("processor seconds of a compile")
    axes.set_ylabel(f"bytes over those of effort {REFERENCE} at equal divergence")
    axes.grid(True, which="both", alpha=0.3)
    axes.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def conditions_of(material: Material) -> dict:
    """What every compile depends on besides its level and cap."""
    names = ("checkpoint", "calibration", "validation")
    return {name: file_sha256(getattr(material, name)) for name in names} | {"version": VERSION}


def recipe_of(level: int) -> str:
    """The digest of all options of a level."""
    return read_recipe("default", level).digest


def read_found(path: Path, conditions: dict) -> list[Compiled]:
    """The compiles of an earlier run on the same, with the options that levels have now; none of another."""
    content = json.loads(path.read_text()) if path.is_file() else {"conditions": None}
    if content["conditions"] != conditions:
        return []
    rows = [row for row in content["compiles"] if row.get("recipe") == recipe_of(row["level"])]
    return [Compiled(**row | {"point": CompressionPoint(**row["point"])}) for row in rows]


def write_found(path: Path, conditions: dict, found: list[Compiled]) -> None:
    """Inverse of `read_found`, with the table."""
    content = {"conditions": conditions, "compiles": [asdict(each) for each in found], "table": summary(found)}
    path.write_text(json.dumps(content, indent=1) + "\n")


def levels_of(text: str) -> list[int]:
    """`1,3,5` or `1-9`."""
    parts = [part.split("-") for part in text.split(",")]
    return [level for part in parts for level in range(int(part[0]), int(part[-1]) + 1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--levels", type=levels_of, default=levels_of("1-9"), metavar="1-9", help="1,3,5 or 1-9")
    add_material_options(parser)
    parser.add_argument("--afresh", action="store_true", help="measure again what is known")
    arguments = parser.parse_args()
    meter = PointMeter.prepare(find_material(arguments.material, arguments.demo))
    conditions = conditions_of(meter.material)
    path = RESULTS / f"{meter.material.name}-efforts.json"
    found = [] if arguments.afresh else read_found(path, conditions)
    with tempfile.TemporaryDirectory() as folder:
        for level in arguments.levels:
            for bits in caps_of(level):
                if not any((each.level, each.bits) == (level, bits) for each in found):
                    found.append(measure(meter, level, bits, Path(folder)))
                    write_found(path, conditions, found)
                    print(f"{found[-1].point.line()}  {found[-1].processor_seconds:.0f} s", flush=True)
    write_found(path, conditions, found)
    plot(summary(found), path.with_suffix(".svg"), f"{meter.material.name}: bytes and time by effort")
    print(table(summary(found)))
    sizes = RESULTS / f"{meter.material.name}-sizes.json"
    if sizes.is_file():
        print(shares_table(found, [CompressionPoint(**point) for point in json.loads(sizes.read_text())["points"]]))


if __name__ == "__main__":
    main()

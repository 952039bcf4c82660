"""`python -m benchmarks.run`: every figure of the README, measured in one run, with table, plot and JSON.

Strategy: three parts (speed, bytecap, peers) on one material; results go to benchmarks/results/, named after the
material, and the table to standard output. The peers' points are kept there, and measured only once.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from . import rate_distortion, speed
from .material import add_material_options, find_material
from .plot import plot
from .points import comparison, comparison_table

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_material_options(parser)
    parser.add_argument("--recipe", default="default", help="recipe to compile with")
    parser.add_argument(
        "--only", choices=["speed", "sizes", "peers"], help="measure only this part; peers: keep their points for sizes"
    )
    parser.add_argument(
        "--afresh", action="store_true", help="measure the peers again, even where their points are kept"
    )
    arguments = parser.parse_args()
    material = find_material(arguments.material, arguments.demo)
    RESULTS.mkdir(exist_ok=True)
    if arguments.only in (None, "speed"):
        _write(f"{material.name}-speed.json", measure_speed(material))
    if arguments.only in (None, "sizes"):
        _write(f"{material.name}-sizes.json", measure_sizes(material, arguments.recipe, afresh=arguments.afresh))
    if arguments.only == "peers":
        measure_peers(material, afresh=arguments.afresh)


def measure_speed(material) -> dict:
    model = material.model()
    cap = int(sum(t.values.size for t in model.tensors) * 2.9 / 8)
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "model.bcap")
        compiled = speed.compiling(material, cap, output)
        data = Path(output).read_bytes()
    result = {
        "machine": {"processor": platform.processor() or platform.machine(), "python": platform.python_version()},
        "compile": compiled,
        "decoding": speed.decoding(data),
        "evaluation": speed.evaluation(material, model),
        "memory": speed.evaluation_memory(material, data),
    }
    print(json.dumps(result, indent=1))
    return result


def measure_sizes(material, recipe: str, *, afresh: bool) -> dict:
    meter = prepare(material)
    ours = rate_distortion.measure_bytecap(meter, recipe, _say)
    peers = rate_distortion.measure_peers(meter, kept_points(material), _say, afresh=afresh)
    rows = comparison(ours, peers)
    print(f"\n{comparison_table(rows)}")
    plot([*ours, *peers], RESULTS / f"{material.name}-sizes.png", f"{material.name}: file size against damage")
    return {
        "float_bits_per_byte": meter.reference.bits_per_byte,
        "tokens": meter.reference.tokens,
        "points": [asdict(point) for point in (*ours, *peers)],
        "comparison": rows,
    }


def measure_peers(material, *, afresh: bool) -> None:
    rate_distortion.measure_peers(prepare(material), kept_points(material), _say, afresh=afresh)


def prepare(material) -> rate_distortion.PointMeter:
    meter = rate_distortion.PointMeter.prepare(material)
    print(f"float: {meter.reference.bits_per_byte:.5f} bits per byte on {meter.reference.tokens:,} tokens")
    return meter


def kept_points(material) -> Path:
    """Where the peers' points are kept."""
    return RESULTS / f"{material.name}-peers.json"


def _say(line: str) -> None:
    print(line, flush=True)


def _write(name: str, result: dict) -> None:
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {RESULTS / name}", file=sys.stderr)


if __name__ == "__main__":
    main()

"""`python -m benchmarks.run`: every figure of the README, measured in one run, with table, plot and JSON.

Strategy: three parts (speed, peers, bytecap) on one material; results go to benchmarks/results/, named after the
material, and the table to standard output.
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
from .material import find_material

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", type=Path, help="folder that `bytecap demo` made, instead of the prose checkpoint")
    parser.add_argument("--recipe", default="default", help="recipe to compile with")
    parser.add_argument("--only", choices=["speed", "sizes"], help="measure only this part")
    arguments = parser.parse_args()
    material = find_material(arguments.demo)
    RESULTS.mkdir(exist_ok=True)
    if arguments.only != "sizes":
        _write(f"{material.name}-speed.json", measure_speed(material))
    if arguments.only != "speed":
        _write(f"{material.name}-sizes.json", measure_sizes(material, arguments.recipe))


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


def measure_sizes(material, recipe: str) -> dict:
    model = material.model()
    reference = material.evaluate(model, [t.values for t in model.tensors])
    print(f"float: {reference.bits_per_byte:.5f} bits per byte on {reference.tokens:,} tokens")
    ours = rate_distortion.measure_bytecap(material, model, reference, recipe, _say)
    peers = rate_distortion.measure_peers(material, model, reference, _say)
    rows = rate_distortion.comparison(ours, peers)
    print("\ngap mBPB    bytecap bytes    peers' envelope    ratio")
    for row in rows:
        cells = [f"{row[key]:>14,.0f}" if row[key] else f"{'-':>14}" for key in ("bytecap", "peers")]
        print(f"{row['gap_mbpb']:8.0f} {cells[0]}   {cells[1]}     " + (f"{row['ratio']:.3f}" if row["ratio"] else "-"))
    rate_distortion.plot([*ours, *peers], RESULTS / f"{material.name}-sizes.png", f"{material.name}: file size against damage")
    return {
        "float_bits_per_byte": reference.bits_per_byte,
        "tokens": reference.tokens,
        "points": [asdict(point) for point in (*ours, *peers)],
        "comparison": rows,
    }


def _say(line: str) -> None:
    print(line, flush=True)


def _write(name: str, result: dict) -> None:
    (RESULTS / name).write_text(json.dumps(result, indent=1) + "\n")
    print(f"wrote {RESULTS / name}", file=sys.stderr)


if __name__ == "__main__":
    main()

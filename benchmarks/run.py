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
from dataclasses import asdict, replace
from pathlib import Path

from bytecap.files.digests import file_sha256
from bytecap.version import VERSION

from . import rate_distortion, speed
from .material import add_material_options, find_material
from .peers import PEERS
from .plot import plot
from .points import CompressionPoint, comparison, comparison_table

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_material_options(parser)
    parser.add_argument("--recipe", default="default", help="recipe to compile with")
    parser.add_argument("--effort", type=int, default=rate_distortion.DEFAULT_EFFORT, help="of the compiles, 1 to 9")
    parser.add_argument("--tokens", type=int, help="evaluate on so many (as the material says)")
    parser.add_argument("--artifact", type=Path, action="append", help="measure these, of --effort; compile nothing")
    parser.add_argument("--pipelines", nargs="*", choices=list(PEERS), help="of other peers only what is kept")
    parser.add_argument(
        "--only", choices=["speed", "sizes", "peers"], help="measure only this part; peers: keep their points for sizes"
    )
    parser.add_argument(
        "--afresh", action="store_true", help="measure the peers again, even where their points are kept"
    )
    arguments = parser.parse_args()
    material = find_material(arguments.material, arguments.demo)
    if arguments.tokens:
        material = replace(material, max_tokens=arguments.tokens)
    RESULTS.mkdir(exist_ok=True)
    if arguments.only in (None, "speed"):
        _write(f"{material.name}-speed.json", measure_speed(material))
    if arguments.only in (None, "sizes"):
        _write(f"{material.name}-sizes.json", measure_sizes(material, arguments))
    if arguments.only == "peers":
        measure_peers(prepare(material), arguments)


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


def measure_sizes(material, arguments: argparse.Namespace) -> dict:
    meter, effort = prepare(material), arguments.effort
    if arguments.artifact:
        ours = rate_distortion.measure_artifacts(meter, arguments.artifact, effort, _say)
    else:
        ours = rate_distortion.measure_bytecap(meter, arguments.recipe, _say, effort)
    peers = measure_peers(meter, arguments)
    rows = comparison(ours, peers)
    print(f"\n{comparison_table(rows)}")
    plot([*ours, *peers], RESULTS / f"{material.name}-sizes.png", f"{material.name}: file size against damage")
    return {
        "conditions": rate_distortion.conditions_of(meter),
        "version": VERSION,
        "effort": effort,
        "artifacts": {path.name: file_sha256(path) for path in arguments.artifact or ()},
        "float_bits_per_byte": meter.reference.bits_per_byte,
        "tokens": meter.reference.tokens,
        "points": [asdict(point) for point in (*ours, *peers)],
        "comparison": rows,
    }


def measure_peers(meter: rate_distortion.PointMeter, arguments: argparse.Namespace) -> list[CompressionPoint]:
    kept = kept_points(meter.material)
    return rate_distortion.measure_peers(meter, kept, _say, afresh=arguments.afresh, only=arguments.pipelines)


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

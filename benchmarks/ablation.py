"""`python -m benchmarks.ablation`: what each part of the engine is worth, in bytes at equal divergence.

Strategy: compile to one cap with one part off at a time and measure the divergence; theory (divergence
~ 2**(-2 rate)) turns its ratio to the base's into the bytes that would make up for it: weights / 8 *
log2(ratio) / 2. What only changes how the same integers are coded is measured in bytes directly.
Distillation takes most of a compile, so the others are switched off on a base without it.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bytecap import interface
from bytecap.format.artifact import decode_contents, decode_tensors, read_artifact
from bytecap.format.codecs import INTEGER_CODECS
from bytecap.format.tensors.matrices import exponent_scales

from .material import add_material_options, find_material
from .rate_distortion import PointMeter

RESULTS = Path(__file__).resolve().parent / "results"
WITHOUT_DISTILLATION = "[distil]\nenabled = false\n"
VARIANTS = {
    "the default recipe": "",
    "no distillation (base of the rest)": WITHOUT_DISTILLATION,
    "uniform integers": WITHOUT_DISTILLATION + "[quantize-matrices]\ntrellis-states = 0\n",
    "trellis of 8 states": WITHOUT_DISTILLATION + "[quantize-matrices]\ntrellis-states = 8\n",
    "no drift correction": "[correct-drift]\nenabled = false\n",
    "residual streams left alone": WITHOUT_DISTILLATION + "[correct-drift]\nresidual = 0.0\n",
    "one-sided second moments": WITHOUT_DISTILLATION + "[quantize-matrices]\ncorrelation = 0.0\n",
    "same Fisher for all rows of a matrix": WITHOUT_DISTILLATION
    + "[quantize-matrices]\nfisher-floor = 1000000.0\ncorrelation = 0.0\n",
    "no symmetries": WITHOUT_DISTILLATION
    + "[exchange-symmetries]\nhidden-units = false\nvalue-dimensions = false\noutput-scales = false\n",
    "menus of candidates": WITHOUT_DISTILLATION + "[choose-candidates]\nenabled = true\n",
}
BASES = {"no distillation (base of the rest)": "the default recipe"}  # all others: the base of the rest
BITS_PER_WEIGHT = 2.6


def compile_variant(meter: PointMeter, recipe: str) -> tuple[bytes, float]:
    """The artifact and its divergence in bits a token."""
    material = meter.material
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "recipe.toml"
        path.write_text(recipe)
        data = interface.compile(
            material.checkpoint,
            cap=int(meter.model.parameters * BITS_PER_WEIGHT / 8),
            calibration=material.calibration,
            tokenizer=material.tokenizer,
            architecture=material.architecture,
            recipe=path,
            profile="max",
        ).artifact
    return data, meter.bits_per_token(decode_tensors(read_artifact(data)))


def exponent_bytes(data: bytes) -> dict[str, int]:
    """Bytes of the step exponents under every codec; the plain size is a byte each."""
    artifact = read_artifact(data)
    vectors = []
    for _, grid in sorted(decode_contents(artifact).grids.items()):
        sides = [side for side in (grid.row_exponents, grid.column_exponents) if side is not None]
        vectors += [(side - int(sorted(side)[len(side) // 2])).astype("int32")[None, :] for side in sides]
    scales = [exponent_scales(vector.size) for vector in vectors]
    sizes = {codec.name: len(codec.encode(vectors, scales)) for codec in INTEGER_CODECS.values()}
    return {"a byte each": sum(vector.size for vector in vectors), **sizes}


def measure(meter: PointMeter, names: Sequence[str], rows: dict[str, dict], keep) -> None:
    for name in names:
        data, divergence = compile_variant(meter, VARIANTS[name])
        rows[name] = {"bytes": len(data), "divergence": divergence}
        print(f"{name:40} {len(data):10,} bytes  {divergence:.5f} bits a token", flush=True)
        if name == "the default recipe":
            rows["step exponents"] = exponent_bytes(data)
        keep(rows)


def worth(rows: dict[str, dict], weights: int) -> dict[str, float]:
    """Bytes that a variant needs more than its base at the base's divergence."""
    found = {}
    for name, row in rows.items():
        base = rows.get(BASES.get(name, "no distillation (base of the rest)"))
        if name in VARIANTS and name != "the default recipe" and base:
            bits = 0.5 * math.log2(row["divergence"] / base["divergence"])
            found[name] = row["bytes"] - base["bytes"] + weights * bits / 8
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_material_options(parser)
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), default=list(VARIANTS))
    arguments = parser.parse_args()
    material = find_material(arguments.material, arguments.demo)
    path = RESULTS / f"{material.name}-ablation.json"
    rows = json.loads(path.read_text())["rows"] if path.is_file() else {}
    meter = PointMeter.prepare(material)

    def keep(rows: dict[str, dict]) -> None:
        path.write_text(json.dumps({"rows": rows, "worth_bytes": worth(rows, meter.model.parameters)}, indent=1) + "\n")

    measure(meter, arguments.only, rows, keep)
    for name, extra in worth(rows, meter.model.parameters).items():
        print(f"{name:40} {extra:+10,.0f} bytes at equal divergence")


if __name__ == "__main__":
    main()

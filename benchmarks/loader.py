"""`python -m benchmarks.loader`: the three ways in which a packed submission decodes its weights, and how large it is.

Strategy: a model of 17 million random weights of about three bits, assembled once for each integer codec. The script is
the decoding half that `bytecap pack` would ship, made small as it ships it, and runs in a fresh isolated process
without bytecap: once on a model of a few weights, which is what starting and compiling costs, and once on the large
one. A figure is the best of a few runs, in seconds of the clock, for the shared machine may be busy.
"""

from __future__ import annotations

import argparse
import ast
import base64
import json
import lzma
import subprocess
import sys
import tempfile
from pathlib import Path

from bytecap.compiler.profiles import profile_codecs
from bytecap.files.code.minified_source import tight_source
from bytecap.format.artifact import read_artifact
from bytecap.format.assembly import assemble_artifact
from bytecap.packing.decoding_needs import DECODING_MODULES, decoding_constants, decoding_tables, stored_plainly
from bytecap.packing.renaming import renamed
from bytecap.packing.shaking import joined, shaken

from .large_model import Shapes, make_program, make_sources

RESULTS = Path(__file__).resolve().parent / "results" / "loader.json"
LOADER = Path(__file__).resolve().parents[1] / "packing" / "loader"
LARGE = Shapes(vocabulary=1024, layers=9, width=512, hidden=720, heads=8, kv_heads=4)
SMALL = Shapes(vocabulary=16, layers=1, width=8, hidden=8, heads=1, kv_heads=1)
WAYS = "numba", "c", "python"
MEASURE = """
import json
import resource
import sys
import time
began_at = time.perf_counter()
decoded = decode_artifact(open(sys.argv[1], "rb").read(), sys.argv[2])
spent = time.perf_counter() - began_at
usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
spent_by_all = sum([each.ru_utime + each.ru_stime for each in usages])
found_weights = sum([array.size for array in decoded[2]])
print(json.dumps({"weights": found_weights, "seconds": spent, "processor_seconds": spent_by_all}))
"""


def make_artifact(shapes: Shapes, codec: int) -> bytes:
    """Random weights in the form in which they are shipped."""
    program, sizes = make_program(shapes)
    return stored_plainly(assemble_artifact(program, make_sources(sizes), None, codec))


def decoding_script(data: bytes) -> str:
    """The script that decodes an artifact and says how long that took."""
    artifact = read_artifact(data)
    operations = {instruction.wire_id for instruction in artifact.program.instructions}
    sources = [(LOADER / f"{name}.py").read_text(encoding="utf-8") for name in ("program", *DECODING_MODULES)]
    tree = joined([*sources, MEASURE], decoding_constants(artifact))
    tree = shaken(tree, {**decoding_tables(artifact), "OPERANDS": operations})
    return tight_source(renamed(ast.fix_missing_locations(tree)))


def packed_bytes(script: str) -> int:
    """Bytes of a script in lzma and base 85, which is how it travels."""
    return len(base64.b85encode(lzma.compress(script.encode(), lzma.FORMAT_ALONE)))


def decode_seconds(script: Path, artifact: Path, way: str, repetitions: int) -> dict:
    """The best run of a few."""
    command = [sys.executable, "-I", str(script), str(artifact), way]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        for _ in range(repetitions)
    ]
    return min(runs, key=lambda run: run["seconds"])


def measure(codec: int, folder: Path, repetitions: int) -> dict:
    """Every way with one codec."""
    small, large, script = folder / "small.bcap", folder / "large.bcap", folder / "decode.py"
    small.write_bytes(make_artifact(SMALL, codec))
    large.write_bytes(make_artifact(LARGE, codec))
    script.write_text(decoding_script(large.read_bytes()), encoding="utf-8")
    found: dict = {"bytes": large.stat().st_size, "packed_script_bytes": packed_bytes(script.read_text("utf-8"))}
    for way in WAYS:
        start = decode_seconds(script, small, way, repetitions)
        whole = decode_seconds(script, large, way, repetitions)
        found["weights"] = whole["weights"]
        found[way] = {
            "start_seconds": start["seconds"],
            "start_processor_seconds": start["processor_seconds"],
            "seconds": whole["seconds"],
            "processor_seconds": whole["processor_seconds"],
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument(
        "--profile", choices=sorted(profile_codecs()), action="append", help="only this one; the results of others stay"
    )
    arguments = parser.parse_args()
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for profile in arguments.profile or profile_codecs():
        with tempfile.TemporaryDirectory() as folder:
            found[profile] = measure(profile_codecs()[profile], Path(folder), arguments.repetitions)
        print(profile, json.dumps(found[profile]), flush=True)
        RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

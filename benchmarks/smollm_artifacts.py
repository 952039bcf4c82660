"""The artifacts that `benchmarks.smollm` measures: compiled here and kept, or given.

Strategy: a compile runs in a process of its own, so that peak memory is its own. What it made is kept in the folder
beside a log of all that decides it (version, effort with the digest of its options, cap, digests of model and
calibration text) and of the artifact's own digest, and is used again only while all of these hold: an artifact of
another version or other options is never taken for one of this.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from bytecap import interface
from bytecap.compiler.recipe import read_recipe
from bytecap.files.digests import file_sha256
from bytecap.version import VERSION

from .own_process import answer_alone


def compile_one(model: Path, calibration: Path, output: Path, cap: int, effort: int, answers) -> None:
    """Compile in this process; puts what it took and what it says of itself."""
    start = time.perf_counter()
    result = interface.compile(model, cap=cap, calibration=calibration, output=output, effort=effort, force=True)
    answers.put(
        {
            "seconds": time.perf_counter() - start,
            "processor_seconds": time.process_time(),
            "peak_bytes": result.report["peak_bytes"],
            "bits_per_weight": result.report["bits_per_weight"],
            "predicted_nats": result.report["predicted_loss"],
            "measured_nats": result.report["measured_loss"],
            "stages": result.report["seconds"],
        }
    )


def compiled(model: Path, calibration: Path, folder: Path, cap: int, effort: int) -> tuple[Path, dict]:
    """The artifact of a cap, and its log; both kept in the folder."""
    output, log = (folder / f"effort-{effort}-{cap}.{suffix}" for suffix in ("bcap", "json"))
    conditions = {
        "version": VERSION,
        "effort": effort,
        "recipe": read_recipe("default", effort).digest,
        "cap": cap,
        "model": file_sha256(model),
        "calibration": file_sha256(calibration),
    }
    known = kept_log(output, log, conditions)
    if known is not None:
        return output, known
    answer = answer_alone(f"the compile to {cap:,} bytes", compile_one, model, calibration, output, cap, effort)
    took = conditions | {"artifact": file_sha256(output)} | answer
    log.write_text(json.dumps(took, indent=1) + "\n")
    return output, took


def kept_log(output: Path, log: Path, conditions: dict) -> dict | None:
    """The log of a kept artifact; None where there is none, or it is not this artifact's under these conditions."""
    if not (output.is_file() and log.is_file()):
        return None
    known = json.loads(log.read_text())
    expected = conditions | {"artifact": file_sha256(output)}
    return known if all(known.get(name) == value for name, value in expected.items()) else None


def given(path: Path, effort: int) -> tuple[Path, dict]:
    """An artifact that was compiled elsewhere, with the effort that its maker says: nothing in it tells."""
    if not path.is_file():
        raise SystemExit(f"{path} is not there; name an artifact of the model with --artifact")
    return path, {"effort": effort, "given": path.name, "artifact": file_sha256(path), "bytes": path.stat().st_size}

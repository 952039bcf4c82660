"""`python -m benchmarks.codecs ARTIFACT...`: the integers of artifacts under every registered codec, brotli and ZPAQ.

Strategy: an artifact's integers are coded again, in the streams they are in and in one stream, by each codec of the
registry, its step exponents by the smallest, as in a file; every stream is decoded and compared. Other compressors get
the same integers one byte each (larger ones clipped to a byte and their true values appended) and the
exponents one byte each, in both reading orders of a matrix; the smaller result counts. Timings
alternate between codecs and the best of each is kept.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import brotli
import numpy as np

from bytecap.format.artifact import decode_contents, read_artifact
from bytecap.format.codecs import INTEGER_CODECS, ExpectedScales
from bytecap.format.tensors.grid import GridValues
from bytecap.format.tensors.matrices import exponent_scales
from bytecap.format.tensors.terms import Grid

from .speed import best_seconds


@dataclass(frozen=True)
class Stream:
    """Matrices that are coded together, and what is known of them beforehand."""

    matrices: list[np.ndarray]
    scales: list[ExpectedScales]

    @property
    def integers(self) -> int:
        return sum(matrix.size for matrix in self.matrices)


@dataclass(frozen=True)
class Integers:
    """What the CODES section of an artifact holds: stream 0 apart, and the grids in their order."""

    exponents: Stream
    streams: list[Stream]
    grids: list[GridValues]

    @property
    def together(self) -> Stream:
        return Stream([m for s in self.streams for m in s.matrices], [x for s in self.streams for x in s.scales])


def read_integers(data: bytes) -> Integers:
    """The integers of an artifact, stream by stream."""
    artifact = read_artifact(data)
    grids = decode_contents(artifact).grids
    terms = [
        (i, t, term)
        for i, e in enumerate(artifact.directory)
        for t, term in enumerate(e.terms)
        if isinstance(term, Grid)
    ]
    residuals, members = [], {}
    for i, t, term in terms:
        grid = grids[i, t]
        for exponents, offset in ((grid.row_exponents, term.row_offset), (grid.column_exponents, term.column_offset)):
            if exponents is not None:
                residuals.append((exponents - offset).astype(np.int32)[None, :])
        members.setdefault(term.stream, []).append(grid)
    streams = [
        Stream([g.codes for g in members[k]], [g.expected_scales() for g in members[k]]) for k in sorted(members)
    ]
    return Integers(
        Stream(residuals, [exponent_scales(r.size) for r in residuals]), streams, [grids[i, t] for i, t, _ in terms]
    )


def coded(codec, stream: Stream) -> bytes:
    """The stream's payload, after a look that it decodes to what went in."""
    payload = codec.encode(stream.matrices, stream.scales)
    matrices, _ = codec.decode(payload, stream.scales, offset=0, where="benchmark")
    if not all(np.array_equal(a, b) for a, b in zip(matrices, stream.matrices, strict=True)):
        raise SystemExit(f"codec {codec.name} does not decode what it encoded")
    return payload


def plain_bytes(grids: Sequence[GridValues], transposed: bool) -> bytes:
    """Integers and exponents for a compressor that knows nothing of them."""
    codes = [np.ascontiguousarray(grid.codes.T if transposed else grid.codes) for grid in grids]
    small = [np.clip(matrix, -128, 127).astype(np.int8).tobytes() for matrix in codes]
    large = [matrix[(matrix <= -128) | (matrix >= 127)].astype("<i4").tobytes() for matrix in codes]
    steps = [
        side.astype(np.int8).tobytes()
        for grid in grids
        for side in (grid.row_exponents, grid.column_exponents)
        if side is not None
    ]
    return b"".join([*small, *large, *steps])


def zpaq_bytes(data: bytes) -> int:
    """Size under `lrzip -T -z -L 9`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "integers"
        path.write_bytes(data)
        subprocess.run(["lrzip", "-T", "-z", "-L", "9", "-p", "1", "-q", str(path)], check=True, capture_output=True)
        return path.with_name("integers.lrz").stat().st_size


def compressors() -> dict[str, Callable[[bytes], int]]:
    found: dict[str, Callable[[bytes], int]] = {
        "brotli-11": lambda data: len(brotli.compress(data, quality=11, lgwin=24))
    }
    return found | ({"zpaq (lrzip -L 9)": zpaq_bytes} if shutil.which("lrzip") else {})


def measure(data: bytes) -> list[tuple[str, int, int | None, float | None]]:
    """(name, bytes, bytes in one stream, million weights a second) of each codec and compressor; exponents included."""
    integers, rows = read_integers(data), []
    together, payloads = integers.together, {}
    exponents = min(len(coded(codec, integers.exponents)) for codec in INTEGER_CODECS.values())  # as a file has them
    for codec in INTEGER_CODECS.values():
        apart = sum(len(coded(codec, stream)) for stream in integers.streams)
        payloads[codec.name] = codec, coded(codec, together)
        rows.append((codec.name, exponents + apart, exponents + len(payloads[codec.name][1])))
    seconds = best_seconds(
        {
            name: lambda codec=codec, payload=payload: codec.decode(
                payload, together.scales, offset=0, where="benchmark"
            )
            for name, (codec, payload) in payloads.items()
        }
    )
    measured = [(name, apart, one, together.integers / seconds[name] / 1e6) for name, apart, one in rows]
    plain = [plain_bytes(integers.grids, transposed) for transposed in (False, True)]
    return measured + [(name, min(map(size, plain)), None, None) for name, size in compressors().items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifacts", nargs="+", type=Path, metavar="ARTIFACT")
    for path in parser.parse_args().artifacts:
        rows = measure(path.read_bytes())
        print(f"{path}\n{'codec':>20} {'bytes':>12} {'ratio':>7} {'one stream':>12} {'ratio':>7} {'M weights/s':>12}")
        for name, size, one, speed in rows:
            single = f"{one:12,} {one / rows[0][1]:7.4f}" if one else f"{'-':>12} {'-':>7}"
            print(
                f"{name:>20} {size:12,} {size / rows[0][1]:7.4f} {single} "
                + (f"{speed:12.1f}" if speed else f"{'-':>12}"),
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Read an artifact without the bytecap package: with spec/reference_decoder.py, zstandard and brotli.

    python examples/read_without_bytecap.py model.bcap

Copy the decoder beside your script; it is one file. It checks every rule of the format while it reads, and the digest
at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "spec"))
import reference_decoder


def read_tensors(path: Path) -> tuple[dict[str, tuple[list[int], list[float]]], str]:
    """(shape and values of every tensor by name, the digest of them all); `Refused` for a file that breaks a rule."""
    entries, tensors, digest = reference_decoder.decode_tensors(reference_decoder.read_sections(path.read_bytes()))
    return {
        entry["name"]: (list(entry["shape"]), values) for entry, values in zip(entries, tensors, strict=True)
    }, digest


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit(__doc__)
    try:
        tensors, digest = read_tensors(Path(arguments[0]))
    except reference_decoder.Refused as refused:
        sys.exit(f"{arguments[0]}: {refused}")
    for name, (shape, values) in tensors.items():
        print(f"{name}  {'x'.join(map(str, shape))}  from {min(values):.4g} to {max(values):.4g}")
    print(f"sha256 {digest}")


if __name__ == "__main__":
    main(sys.argv[1:])

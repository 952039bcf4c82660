"""What every export says of the artifact that it was made from."""

from __future__ import annotations

import hashlib

from bytecap.format.artifact import read_artifact


def origin_of(data: bytes) -> dict[str, str]:
    artifact = read_artifact(data)
    return {
        "bytecap.artifact_sha256": hashlib.sha256(data).hexdigest(),
        "bytecap.tensors_sha256": artifact.digest.hex(),
        "bytecap.sequence_length": str(artifact.program.sequence_length),
    }

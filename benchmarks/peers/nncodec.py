"""NNCodec 2.1.3, the reference software of the MPEG neural network coding standard (ISO/IEC 15938-17), with DeepCABAC.

Strategy: the codec runs in a Python of its own (see nncodec_runner.py), named in BYTECAP_NNCODEC_PYTHON
or made by `make bench-nncodec`; the whole bitstream counts. One quantization parameter for all
matrices, dependent quantization on, and the package's own parameter of -75 for tensors of one
dimension. Departure in the peer's favour: the few control tensors of two dimensions are handed over
flat, so that they too are coded as finely as vectors. "nncodec-tuned" is the same by somebody who gives
the embedding, whose weights are larger, a quantization parameter of its own and vectors a coarser one.
The codec uses no calibration data.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .nncodec_runner import read_tensors, write_tensors
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control

PYTHON_VARIABLE = "BYTECAP_NNCODEC_PYTHON"
OWN_PYTHON = (
    Path(__file__).resolve().parents[2] / ".nncodec" / "bin" / "python"
)  # not below benchmarks/: our own code is searched there
RUNNER = Path(__file__).with_name("nncodec_runner.py")
EMBEDDING = "tok_emb.weight"
PUBLISHED_NONWEIGHT_QP = -75
SWEPT_QP = tuple(range(-28, -15, 2))
TUNED_NONWEIGHT_QP = -30
TUNED = ((-30, -32), (-28, -30), (-26, -30), (-24, -28), (-23, -27), (-22, -28), (-20, -28), (-18, -24))


def python_with_nncodec() -> Path | None:
    """The Python that runs the codec: the environment's, else the one that `make bench-nncodec` made;
    None without both.
    """
    named = os.environ.get(PYTHON_VARIABLE)
    path = Path(named) if named else OWN_PYTHON
    return path if path.is_file() else None


def missing() -> str:
    """What has to be installed, empty when nothing."""
    return "" if python_with_nncodec() else f"nncodec (make bench-nncodec, or name a Python in {PYTHON_VARIABLE})"


def compress(
    state_dict: StateDict,
    hessians: object = None,
    *,
    qp: int,
    embedding_qp: int | None = None,
    nonweight_qp: int = PUBLISHED_NONWEIGHT_QP,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The bitstream and the tensors it decodes to; `hessians` are not used.

    RuntimeError with the codec's words when it fails.
    """
    tensors = flat_controls(state_dict, passthrough_elements)
    options = {"qp": qp, "nonweight_qp": nonweight_qp, "use_dq": True}
    if embedding_qp is not None:
        options["qp_per_tensor"] = {EMBEDDING: embedding_qp}
    data, decoded = run_codec(python_with_nncodec() or OWN_PYTHON, tensors, options)
    return data, {
        name: torch.from_numpy(decoded[name]).float().view(tensor.shape) for name, tensor in state_dict.items()
    }


def flat_controls(state_dict: StateDict, passthrough_elements: int) -> dict[str, np.ndarray]:
    """float32 arrays for the codec: quantized matrices as they are, everything else in one dimension."""
    arrays = {}
    for name, tensor in state_dict.items():
        flat = is_control(name) or tensor.numel() <= passthrough_elements
        arrays[name] = np.ascontiguousarray((tensor.flatten() if flat else tensor).float().numpy())
    return arrays


def run_codec(python: Path, tensors: dict[str, np.ndarray], options: dict) -> tuple[bytes, dict[str, np.ndarray]]:
    """Bitstream and decoded tensors from the runner in another Python."""
    with tempfile.TemporaryDirectory() as folder:
        source, bitstream, decoded = (Path(folder) / name for name in ("tensors.npz", "bitstream.nnc", "decoded.npz"))
        write_tensors(source, tensors)
        command = [
            python,
            "-I",
            RUNNER,
            source,
            bitstream,
            decoded,
            json.dumps(options),
        ]  # isolated: this file must not pass for the package
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
        if done.returncode:
            raise RuntimeError(f"{python} {RUNNER.name} failed with status {done.returncode}: {done.stderr.strip()}")
        return bitstream.read_bytes(), read_tensors(decoded)


PEERS = (
    Peer(
        "nncodec", compress, tuple({"qp": qp} for qp in SWEPT_QP), published=None, needs_hessians=False, missing=missing
    ),
    Peer(
        "nncodec-tuned",
        compress,
        tuple({"qp": q, "embedding_qp": e, "nonweight_qp": TUNED_NONWEIGHT_QP} for q, e in TUNED),
        published=None,
        needs_hessians=False,
        missing=missing,
    ),
)

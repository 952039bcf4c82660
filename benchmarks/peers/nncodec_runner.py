"""Runs NNCodec 2.1.3 by itself, in the Python that has it: tensors in, bitstream and decoded tensors out.

Strategy: a program of its own, because nncodec pins numpy below 2. It reads a .npz of float32 tensors,
encodes them with nncodec's codec core in the configuration that `nncodec.nn.encode` gives a plain dict,
writes the bitstream, decodes what it wrote and writes that as .npz. The core needs neither torch nor
torchvision, which the package's front door imports.

    python nncodec_runner.py tensors.npz bitstream.nnc decoded.npz '{"qp": -22, "nonweight_qp": -75, "use_dq": true}'

`qp_per_tensor` in the options overrides the quantization parameter by tensor name. Imports nothing of bytecap.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path

import numpy as np

QP_DENSITY = 2
CABAC_UNARY_LENGTH = 10
NOT_INSTALLED = 3


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """float32 arrays by name, in the file's order."""
    with np.load(path) as content:
        return {name: np.ascontiguousarray(content[name], dtype=np.float32) for name in content.files}


def write_tensors(path: str | Path, tensors: dict[str, np.ndarray]) -> None:
    """Inverse of `read_tensors`."""
    with open(path, "wb") as file:
        np.savez(file, **tensors)


def encode(
    tensors: dict[str, np.ndarray],
    *,
    qp: int,
    nonweight_qp: int,
    use_dq: bool,
    qp_per_tensor: dict[str, int] | None = None,
) -> bytes:
    """The whole bitstream; tensors of one dimension are quantized with `nonweight_qp`, others with `qp`."""
    from nncodec import nnc_core

    model = nnc_core.nnr_model.NNRModel(tensors)
    data = nnc_core.approximator.init_approx_data(tensors, model.model_info, qp_density=QP_DENSITY, scan_order=0)
    approximation = nnc_core.approximator.ApproxInfo(
        data,
        model.model_info,
        "uniform",
        0,
        qp,
        False,
        not use_dq,
        CABAC_UNARY_LENGTH,
        0,
        nonweight_qp=nonweight_qp,
        qp_per_tensor=qp_per_tensor,
        int_quant_bw=None,
    )
    coding = {
        "cabac_unary_length_minus1": CABAC_UNARY_LENGTH,
        "param_opt_flag": True,
        "partial_data_counter": 0,
        "general_profile_idc": 1,
        "node_id_present_flag": 1,
        "device_id": 0,
        "mps_parent_signalling_enabled_flag": 0,
        "parent_node_id_present_flag": 0,
        "temporal_context_modeling_flag": 0,
        "row_skip_enabled_flag": 1,
        "pre_signalling": 0,
    }
    quantized = nnc_core.approximator.approx(approximation.approx_info, model.model_info, data, coding)
    bitstream, _ = nnc_core.coder.encode(
        enc_info=coding,
        model_info=model.model_info,
        approx_data=quantized,
        approx_param_base=None,
        update_base_param=False,
        tool_if=None,
    )
    return bytes(bitstream)


def decode(bitstream: bytes) -> dict[str, np.ndarray]:
    """The tensors of a bitstream."""
    from nncodec import nnc_core

    flags = (
        "mps_sparsification",
        "lps_sparsification",
        "mps_pruning",
        "lps_pruning",
        "mps_unification",
        "lps_unification",
    )
    names = [f"{flag}_flag" for flag in flags] + [
        "mps_decomposition_performance_map_flag",
        "lps_decomposition_performance_map_flag",
    ]
    information = {
        "parameter_type": {},
        "parameter_dimensions": {},
        "parameter_index": {},
        "block_identifier": {},
        "topology_storage_format": None,
        "topology_compression_format": None,
        "performance_maps": {"mps": {}, "lps": {}},
        "performance_map_flags": {name: {} for name in names},
    }
    data = nnc_core.coder.decode(
        bytearray(bitstream),
        information,
        hls_stats={},
        oob_dict={},
        approx_param_base=None,
        update_base_param=False,
        return_hls=False,
        tool_if=None,
    )
    nnc_core.approximator.rec(data)
    return nnc_core.approximator.recompose_params(information, data)["parameters"]


def main(arguments: list[str]) -> int:
    """Encode, write, decode what was written, write; NOT_INSTALLED where nncodec cannot be imported."""
    source, bitstream, decoded, options = arguments
    try:
        import nncodec.nnc_core  # noqa: F401
    except ImportError as error:
        print(f"nncodec cannot be imported: {error}", file=sys.stderr)
        return NOT_INSTALLED
    with open(os.devnull, "w") as quiet, contextlib.redirect_stdout(quiet):
        Path(bitstream).write_bytes(encode(read_tensors(source), **json.loads(options)))
        write_tensors(decoded, decode(Path(bitstream).read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

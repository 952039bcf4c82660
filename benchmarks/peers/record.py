"""The challenge's final record: per-role clips, GPTQ, low-rank error correction and grouped ZPAQ (pull request 1855).

Strategy: as published. A row's step is k * std / (2**(bits - 1) - 1) in float16: k = 11.5 in the MLP
and 13 in attention, at 6 bits; k = 14 at 7 bits in the embedding, quantized as the head it is tied to.
The three matrices with the largest error get a rank 4 correction. Everything up to the passthrough size
is float16. "record" sweeps k with the published ratios between roles; "record-tuned" is the same
pipeline by somebody who sweeps the embedding's bits and k apart, which pays where a model's embedding
has heavier rows than the published one's: 7 bits then clip it before they resolve it.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from .external_codec import has_zpaq
from .gptq import quantize_gptq
from .low_rank import PUBLISHED_MATRICES, PUBLISHED_RANK, Correction, correct_error, worst_matrices
from .peer import PUBLISHED_PASSTHROUGH_ELEMENTS, Peer, StateDict, is_control
from .record_file import decode_file, encode_file
from .sdclip import row_scales

MATRIX_BITS, EMBEDDING_BITS = 6, 7
PUBLISHED_MLP_K, PUBLISHED_ATTENTION_K, PUBLISHED_EMBEDDING_K = 11.5, 13.0, 14.0
EMBEDDING = "tok_emb.weight"
TUNED_EMBEDDING_BITS = 8  # the codes are bytes
TUNED = ((5, 6), (6, 6), (8, 5), (10, 5), (12, 5), (14, 6), (16, 6), (18, 7), (22, 7), (26, 8))
SWEPT_K = (6.0, 8.0, 10.0, PUBLISHED_MLP_K, 14.0, 18.0)


def compress(
    state_dict: StateDict,
    hessians: Mapping[str, Tensor],
    *,
    k: float = PUBLISHED_MLP_K,
    embedding_bits: int = EMBEDDING_BITS,
    embedding_k: float | None = None,
    corrected: int = PUBLISHED_MATRICES,
    passthrough_elements: int = PUBLISHED_PASSTHROUGH_ELEMENTS,
) -> tuple[bytes, dict[str, Tensor]]:
    """The file's bytes and the tensors they decode to; `k` is that of the MLP, `corrected` the number
    of corrected matrices.
    """
    codes: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    errors: dict[str, Tensor] = {}
    kinds: dict[str, str] = {}
    for name, tensor in state_dict.items():
        if is_control(name) or tensor.numel() <= passthrough_elements:
            rest[name], kinds[name] = tensor.half().contiguous(), "float16"
            continue
        bits, deviations = _grid(name, k, embedding_bits, embedding_k)
        highest_code = 2 ** (bits - 1) - 1
        scale = row_scales(tensor, deviations, highest_code)
        codes[name] = quantize_gptq(tensor, hessians[name], scale, highest_code)
        rest[f"{name}.scale"], kinds[name] = scale, f"gptq (int{bits})"
        errors[name] = tensor.float() - codes[name].float() * scale.float()[:, None]
    for name in worst_matrices(errors, corrected):
        correction = correct_error(errors[name], PUBLISHED_RANK)
        rest |= {f"{name}.{part}": tensor for part, tensor in vars(correction).items()}
        kinds[name] += "+lqer"
    data = encode_file(codes, rest, kinds, zpaq=has_zpaq())
    return data, decode(data)


def _grid(name: str, k: float, embedding_bits: int, embedding_k: float | None) -> tuple[int, float]:
    """Bits and standard deviations of a matrix's grid."""
    if name == EMBEDDING:
        return embedding_bits, embedding_k or k * PUBLISHED_EMBEDDING_K / PUBLISHED_MLP_K
    return MATRIX_BITS, k * PUBLISHED_ATTENTION_K / PUBLISHED_MLP_K if ".attn." in name else k


def decode(data: bytes) -> dict[str, Tensor]:
    """float32 tensors of a file's bytes."""
    codes, rest, kinds = decode_file(data)
    return {name: _dequantize(codes, rest, name, kind) for name, kind in kinds.items()}


def _dequantize(codes: StateDict, rest: StateDict, name: str, kind: str) -> Tensor:
    if kind == "float16":
        return rest[name].float()
    matrix = codes[name].float() * rest[f"{name}.scale"].float()[:, None]
    if kind.endswith("+lqer"):
        matrix += Correction(*(rest[f"{name}.{part}"] for part in ("a", "a_scale", "b", "b_scale"))).product()
    return matrix


def codec_note() -> str:
    """What stands in for ZPAQ here, empty where nothing has to."""
    return "" if has_zpaq() else "brotli for ZPAQ"


PEERS = (
    Peer(
        "record",
        compress,
        tuple({"k": k} for k in SWEPT_K),
        SWEPT_K.index(PUBLISHED_MLP_K),
        needs_hessians=True,
        note=codec_note,
    ),
    Peer(
        "record-tuned",
        compress,
        tuple({"k": k, "embedding_k": e, "embedding_bits": TUNED_EMBEDDING_BITS} for k, e in TUNED),
        published=None,
        needs_hessians=True,
        note=codec_note,
    ),
)

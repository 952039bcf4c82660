"""`python gptqmodel_integers.py MODEL TOKENS.npy BITS GROUP OUTPUT.npz`: what GPTQModel makes of a Llama, as integers.

Strategy: runs in an environment of its own, where gptqmodel and transformers are installed, and imports nothing of
bytecap. GPTQModel rounds column by column with GPTQ's feedback (arXiv:2210.17323), groups in the order of what their
columns carry, as is its default, but without symmetry. What it leaves in 16 bits (the table, the norms) is not written.
Writes, for every matrix, the integers (uint8[rows, columns]), steps (float16[rows, groups]) and zeros (uint8[rows,
groups]); and the processor seconds it took.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from gptqmodel import GPTQModel, QuantizeConfig
from gptqmodel.quantization import FORMAT

BATCH = 8


def unpacked(words: torch.Tensor, bits: int) -> np.ndarray:
    """uint8[rows, integers] of int32[rows, words], whose rows are integers of so many bits one after the other."""
    digits = np.unpackbits(words.contiguous().numpy().view(np.uint8), axis=1, bitorder="little")
    return (digits.reshape(len(digits), -1, bits) << np.arange(bits, dtype=np.uint8)).sum(2, dtype=np.uint8)


def integers_of(
    layer: torch.nn.Module, weights: torch.Tensor, bits: int, group: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers, steps and zeros of a packed layer; weights : float32[rows, columns] before it was rounded."""
    rows, columns = weights.shape
    if not torch.equal(layer.g_idx.cpu(), torch.arange(columns, dtype=layer.g_idx.dtype) // group):
        raise SystemExit("GPTQModel's groups are not of neighbouring columns")
    codes, zeros = unpacked(layer.qweight.T, bits), unpacked(layer.qzeros, bits).T
    steps = layer.scales.half().T.numpy()
    again = (codes.reshape(rows, -1, group) - zeros[..., None].astype(np.float32)) * steps[..., None]
    if np.linalg.norm(again.reshape(rows, columns) - weights.numpy()) > 0.5 * np.linalg.norm(weights.numpy()):
        raise SystemExit("GPTQModel's weights are not what its integers, steps and zeros say")
    return codes, steps, zeros


def main() -> None:
    folder, tokens, bits, group, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    start = time.process_time()
    # its second format stores zeros as they are, the first less 1
    how = QuantizeConfig(
        bits=bits, group_size=group, sym=False, format=FORMAT.GPTQ_V2, device="cpu", offload_to_disk=False
    )
    model, arrays = GPTQModel.load(folder, how, dtype=torch.float32), {}
    before = {name: weights.clone() for name, weights in model.model.state_dict().items() if weights.ndim == 2}
    texts = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in np.load(tokens).tolist()]
    model.quantize(texts, batch_size=BATCH)
    for name, layer in model.model.named_modules():
        if hasattr(layer, "scales"):
            found = integers_of(layer, before[f"{name}.weight"].float(), bits, group)
            arrays |= {f"{name}.{part}": array for part, array in zip(("codes", "steps", "zeros"), found, strict=True)}
    np.savez(output, seconds=np.float64(time.process_time() - start), **arrays)


if __name__ == "__main__":
    main()

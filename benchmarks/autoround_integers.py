"""`python autoround_integers.py MODEL TOKENS.npy BITS GROUP OUTPUT.npz`: what AutoRound makes of a Llama, as integers.

Strategy: runs in an environment of its own, where auto-round and transformers are installed, and imports nothing of
bytecap. AutoRound tunes the rounding and the ranges of one block after the other by its output (arXiv:2309.05516),
without symmetry, with the settings of its own light recipe: 50 updates a block at a rate of 0.005, 128 sequences.
What it leaves in 16 bits (the table, the norms) is not written. Writes, for every matrix, the integers (uint8[rows,
columns]), steps (float16[rows, groups]) and zeros (uint8[rows, groups]); and the processor seconds it took.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from auto_round import AutoRound
from tokenizers import Tokenizer, models
from torch.utils.data import DataLoader
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

UPDATES, RATE, BATCH = 50, 0.005, 8


def batch_of(sequences: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    ids = torch.stack(sequences)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def tuned(model: LlamaForCausalLM, sequences: torch.Tensor, bits: int, group: int) -> torch.nn.Module:
    """The model with every matrix of its blocks rounded, its steps and zeros beside them."""
    # It asks for a tokenizer and uses none, since the tokens are given.
    unused = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), pad_token="a"
    )
    rounder = AutoRound(
        model,
        tokenizer=unused,
        scheme={"bits": bits, "group_size": group, "sym": False, "data_type": "int"},
        iters=UPDATES,
        lr=RATE,
        seqlen=sequences.shape[1],
        nsamples=len(sequences),
        batch_size=BATCH,
        dataset=DataLoader(list(sequences), batch_size=1, collate_fn=batch_of),
        device_map="cpu",
        enable_torch_compile=False,
    )
    return rounder.quantize()[0]


def integers_of(layer: torch.nn.Module, bits: int, group: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers, steps and zeros of a rounded layer, whose weights are (integer - zero) * step in bfloat16."""
    steps = layer.scale.float().reshape(layer.weight.shape[0], -1, 1)
    zeros = torch.as_tensor(layer.zp).float().reshape(steps.shape)
    groups = layer.weight.detach().float().reshape(len(steps), -1, group)
    integers = torch.round(groups / steps + zeros)
    again = (integers - zeros) * steps
    if integers.min() < 0 or integers.max() >= 1 << bits or (again - groups).abs().max() > 0.01 * groups.abs().max():
        raise SystemExit("AutoRound's weights are not what its steps and zeros say")
    shape = tuple(layer.weight.shape)
    return (
        integers.reshape(shape).numpy().astype(np.uint8),
        steps[..., 0].half().numpy(),
        zeros[..., 0].numpy().astype(np.uint8),
    )


def main() -> None:
    folder, tokens, bits, group, output = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    start = time.process_time()
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rounded, arrays = tuned(model, torch.from_numpy(np.load(tokens)), bits, group), {}
    for name, layer in rounded.named_modules():
        if hasattr(layer, "scale"):
            found = integers_of(layer, bits, group)
            arrays |= {f"{name}.{part}": array for part, array in zip(("codes", "steps", "zeros"), found, strict=True)}
    np.savez(output, seconds=np.float64(time.process_time() - start), **arrays)


if __name__ == "__main__":
    main()

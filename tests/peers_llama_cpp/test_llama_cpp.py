"""GGUF files that `bytecap export` writes load in llama.cpp, and compute what the artifact computes.

llama.cpp's kernels of gelu and of attention work in half precision in places, hence the wider tolerance.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from llama_cpp import Llama
from tiny_models import random_sequences

import bytecap
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.shards import write_shard

SIZES = {
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GROUPED = {**SIZES, "num_key_value_heads": 2}
LLAMA_3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
LLAMA_3 |= {"rope_theta": 500_000.0, "original_max_position_embeddings": 32}
GEMMA = {**GROUPED, "head_dim": 16}
WINDOWED = {**GEMMA, "query_pre_attn_scalar": 16, "sliding_window": 8}
SCALES = {"embedding_multiplier": 3.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5, "logits_scaling": 4.0}
WITHOUT_STATE = {"num_local_experts": 0, "shared_intermediate_size": 80, "layer_types": ["full_attention"] * 2}
WITHOUT_STATE |= {"position_embedding_type": "rope", "mamba_n_heads": 4}
NTK_ALPHA = {"rope_type": "dynamic", "alpha": 1000.0, "factor": 1.0, "rope_theta": 10_000.0}
CONFIGURATIONS = {
    "llama": transformers.LlamaConfig(**GROUPED),
    "llama3": transformers.LlamaConfig(**GROUPED, rope_parameters=LLAMA_3),
    "qwen2": transformers.Qwen2Config(**GROUPED),
    "qwen3": transformers.Qwen3Config(**GROUPED, head_dim=16),
    "smollm3": transformers.SmolLM3Config(**GROUPED, pad_token_id=0),
    "gemma": transformers.GemmaConfig(**GEMMA),
    "gemma2": transformers.Gemma2Config(**WINDOWED),
    "gemma3": transformers.Gemma3TextConfig(**WINDOWED),
    "olmo2": transformers.Olmo2Config(**GROUPED),
    "phi3": transformers.Phi3Config(**GROUPED, pad_token_id=0),
    "stablelm": transformers.StableLmConfig(**GROUPED, partial_rotary_factor=0.25),
    "phi": transformers.PhiConfig(**SIZES, partial_rotary_factor=0.5),
    "gpt2": transformers.GPT2Config(
        vocab_size=64, n_embd=64, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2
    ),
    "gpt_neox": transformers.GPTNeoXConfig(**SIZES),
    "granite": transformers.GraniteConfig(**GROUPED, **SCALES),
    "granitemoehybrid": transformers.GraniteMoeHybridConfig(**GROUPED, **SCALES, **WITHOUT_STATE),
    "olmo": transformers.OlmoConfig(**GROUPED, clip_qkv=0.5, pad_token_id=0),
    "arcee": transformers.ArceeConfig(**GROUPED),
    "ernie4_5": transformers.Ernie4_5Config(**GROUPED, head_dim=32),
    "hunyuan": transformers.HunYuanDenseV1Config(**GROUPED, head_dim=32, rope_parameters=NTK_ALPHA),
    "exaone4": transformers.Exaone4Config(**GROUPED, sliding_window=None, layer_types=["full_attention"] * 2),
    "lfm2": transformers.Lfm2Config(**GROUPED, layer_types=["conv", "full_attention"], block_multiple_of=32),
    "nemotron": transformers.NemotronConfig(**GROUPED, attention_bias=True),
}
IDS = np.arange(24) * 7 % 60 + 3
TOLERANCE = {"gpt2": 1e-3, "gpt_neox": 1e-3, "phi": 1e-3, "gemma": 1e-3, "gemma2": 1e-3, "gemma3": 1e-3}


def saved_model(configuration, folder):
    """A model of random weights that are neither tiny nor all alike."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(configuration).float()
    for name, values in model.named_parameters():
        around_one = values.ndim == 1 and "bias" not in name and "gemma" not in configuration.model_type
        values.data = torch.randn_like(values) * 0.3 + around_one
    model.save_pretrained(folder)


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_llama_cpp_computes_what_the_artifact_computes(family, tmp_path):
    saved_model(CONFIGURATIONS[family], tmp_path / "model")
    write_shard(tmp_path / "calibration.bin", random_sequences(64, 60, 64).ravel())
    bytecap.compile(
        tmp_path / "model", cap="2MB", calibration=tmp_path / "calibration.bin", output=tmp_path / "model.bcap"
    )
    bytecap.export(tmp_path / "model.bcap", tmp_path / "model.gguf", dtype="float32")
    content = read_artifact((tmp_path / "model.bcap").read_bytes())
    expected = Interpreter(content.program, decode_tensors(content)).logits(IDS[None])[0]
    options = {"n_ctx": 64, "logits_all": True, "verbose": False, "type_k": 0, "type_v": 0, "flash_attn": False}
    model = Llama(str(tmp_path / "model.gguf"), **options)
    model.eval(IDS.tolist())
    found = np.array(model.scores[: len(IDS)])
    assert np.abs(found - expected).max() < TOLERANCE.get(family, 1e-4) * np.abs(expected).max()

"""Tiny models of transformers with weights of our drawing, as folders on a disk."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from golden_logits import GoldenLogits, drawn_tokens, drawn_weights
from safetensors.numpy import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

FILE = "model.safetensors"


def peer_model(config: dict[str, object], folder: Path) -> PreTrainedModel:
    """A model of transformers in float32, read from `folder`, where it lies as transformers writes it."""
    kept = {name: deepcopy(value) for name, value in config.items() if name != "model_type"}  # it is written into
    fresh = AutoModelForCausalLM.from_config(AutoConfig.for_model(str(config["model_type"]), **kept)).float()
    fresh.save_pretrained(folder)
    shapes = {name: values.shape for name, values in load_file(folder / FILE).items()}
    save_file(drawn_weights(shapes), folder / FILE, {"format": "pt"})
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def peer_logits(model: PreTrainedModel, tokens: np.ndarray) -> np.ndarray:
    """float64 [sequences, length, vocabulary]."""
    with torch.no_grad():
        return model(torch.from_numpy(tokens)).logits.double().numpy()


def peer_golden(config: dict[str, object], folder: Path) -> GoldenLogits:
    """What transformers computes for a configuration."""
    model = peer_model(config, folder)
    shapes = {name: values.shape for name, values in load_file(folder / FILE).items()}
    return GoldenLogits(config, shapes, peer_logits(model, drawn_tokens(int(str(config["vocab_size"])))))

"""How many units each analysis finds in a model of each family: what the compiler can use does not depend on names."""

from __future__ import annotations

import pytest
from golden_logits import golden_logits

from bytecap.compiler.model.attention_heads import find_attentions
from bytecap.compiler.model.groups import INPUT, STREAM, find_groups
from bytecap.compiler.model.residual_streams import find_residuals
from bytecap.compiler.model.structure import find_head, token_tables
from bytecap.compiler.rewrites.free_units import find_hidden_units, find_value_dimensions
from bytecap.format.program.operations import Linear
from bytecap.format.program.program import validate_program

# hidden units, value dimensions, attentions, residuals, groups of one input and of the stream, token tables
FOUND = {
    "gpt2": (2, 2, 2, 4, 2, 1, 1),
    "gpt2-scaled-by-layer": (2, 2, 2, 4, 2, 1, 1),
    "cerebras-gpt": (2, 2, 2, 4, 2, 1, 1),
    "gpt-neo": (3, 3, 3, 6, 3, 1, 1),
    "gpt-j": (2, 2, 2, 4, 2, 1, 2),
    "gpt-neox": (2, 2, 2, 4, 2, 1, 2),
    "gpt-neox-sequential": (2, 2, 2, 4, 2, 1, 2),
    "phi": (2, 2, 2, 4, 2, 1, 2),
    "phi-grouped": (2, 2, 2, 4, 2, 1, 2),
    "stablelm": (2, 2, 2, 4, 4, 1, 2),
    "stablelm-parallel": (2, 2, 2, 4, 2, 1, 2),
    "starcoder2": (2, 2, 2, 4, 2, 1, 1),
    "starcoder2-without-window": (2, 2, 2, 4, 2, 1, 1),
    "gpt-bigcode": (2, 2, 2, 4, 2, 1, 1),
    "gpt-bigcode-all-heads": (2, 2, 2, 4, 2, 1, 1),
    "codegen": (2, 2, 2, 4, 2, 1, 2),
    "gpt1": (2, 2, 2, 4, 2, 1, 1),
    "biogpt": (2, 2, 2, 4, 2, 1, 1),
    "persimmon": (2, 2, 0, 4, 2, 1, 2),
    "phi-norms-of-heads": (2, 2, 0, 4, 2, 1, 2),
    "falcon": (2, 2, 2, 4, 2, 1, 1),
    "falcon-in-turn": (2, 2, 2, 4, 2, 1, 1),
    "falcon-grouped": (2, 2, 2, 4, 2, 1, 1),
    "opt": (2, 2, 2, 4, 2, 1, 1),
    "opt-projected": (2, 2, 2, 4, 2, 1, 1),
    "llama": (2, 2, 2, 4, 4, 1, 2),
    "llama-tied-one-key-head": (2, 2, 2, 4, 4, 1, 1),
    "llama-all-biases": (2, 2, 2, 4, 4, 1, 2),
    "llama-linear": (2, 2, 2, 4, 4, 1, 2),
    "llama-dynamic": (2, 2, 2, 4, 4, 1, 2),
    "llama-llama3": (2, 2, 2, 4, 4, 1, 2),
    "llama-yarn": (2, 2, 2, 4, 4, 1, 2),
    "llama-yarn-strengths": (2, 2, 2, 4, 4, 1, 2),
    "mistral": (2, 2, 2, 4, 4, 1, 2),
    "mistral-without-window": (2, 2, 2, 4, 4, 1, 2),
    "qwen2": (2, 2, 2, 4, 4, 1, 2),
    "qwen2-window-in-late-layers": (2, 2, 2, 4, 4, 1, 2),
    "qwen3": (2, 2, 2, 4, 4, 1, 1),
    "smollm3": (3, 3, 3, 6, 6, 1, 1),
    "gemma": (2, 2, 2, 4, 4, 1, 1),
    "gemma2": (2, 2, 2, 0, 4, 1, 1),
    "gemma3": (3, 3, 3, 0, 6, 1, 1),
    "gemma3-linear": (3, 3, 3, 0, 6, 1, 1),
    "olmo2": (2, 2, 2, 0, 4, 1, 2),
    "olmo3": (2, 2, 2, 0, 4, 1, 2),
    "phi3": (2, 2, 2, 4, 4, 1, 2),
    "phi3-longrope": (2, 2, 2, 4, 4, 1, 2),
    "phi3-longrope-beyond": (2, 2, 2, 4, 4, 1, 2),
    "granite": (2, 2, 2, 4, 4, 1, 2),
    "modernbert-decoder": (3, 3, 3, 6, 6, 1, 1),
    "modernbert-decoder-all-biases": (2, 2, 2, 4, 4, 1, 2),
    "granite-without-state": (2, 2, 2, 4, 4, 1, 2),
    "granite-without-rotations": (2, 2, 2, 4, 4, 1, 1),
    "ernie": (2, 2, 2, 4, 4, 1, 1),
    "hunyuan": (2, 2, 2, 4, 4, 1, 2),
    "exaone4": (2, 2, 2, 0, 4, 1, 2),
    "exaone4-without-window": (2, 2, 2, 0, 4, 1, 2),
    "nanochat-of-transformers": (2, 2, 2, 4, 2, 1, 2),
    "lfm2": (2, 1, 1, 4, 4, 1, 2),
    "lfm2-biases": (2, 1, 1, 4, 4, 1, 2),
    "lfm2-longer": (2, 1, 1, 4, 4, 1, 1),
    "olmo": (2, 2, 0, 4, 4, 1, 2),
    "cohere": (2, 2, 2, 4, 2, 1, 1),
    "cohere-head-norms": (2, 2, 0, 4, 2, 1, 2),
    "cohere2": (2, 2, 2, 4, 2, 1, 2),
    "glm": (2, 2, 2, 4, 4, 1, 2),
    "glm4": (2, 2, 2, 0, 4, 1, 2),
    "helium": (2, 2, 2, 4, 4, 1, 2),
    "arcee": (2, 2, 2, 4, 2, 1, 2),
    "nemotron": (2, 2, 2, 4, 2, 1, 2),
    "jais2": (2, 2, 2, 4, 2, 1, 2),
    "bitnet": (0, 0, 2, 4, 4, 1, 2),
    "seed-oss": (2, 2, 2, 4, 4, 1, 2),
    "vaultgemma": (2, 2, 2, 4, 4, 1, 1),
    "hyperclovax": (2, 2, 2, 0, 4, 1, 2),
    "hyperclovax-plain": (2, 2, 2, 4, 4, 1, 2),
    "ministral": (2, 2, 2, 4, 4, 1, 2),
    "granite-with-states": (3, 1, 1, 6, 6, 1, 2),
    "granite-with-states-all-biases": (2, 1, 1, 4, 4, 1, 1),
    "falcon-h1": (2, 2, 2, 4, 6, 1, 2),
    "falcon-h1-all-biases": (2, 2, 2, 4, 4, 1, 1),
    "falcon-h1-norm-behind-gate": (2, 2, 2, 4, 4, 1, 2),
    "qwen3-5": (3, 1, 1, 6, 6, 1, 2),
    "qwen3-5-all-biases": (2, 1, 1, 4, 4, 1, 1),
    "mamba": (2, 0, 0, 2, 4, 1, 1),
    "mamba2": (0, 0, 0, 2, 2, 1, 2),
}


@pytest.mark.parametrize("name", FOUND)
def test_units_of_every_family_are_found(name):
    model = golden_logits(name).model()
    program, shapes = model.program, [tensor.values.shape for tensor in model.tensors]
    widths = validate_program(program, shapes).widths
    matrices = [op.weight for op in program.instructions if isinstance(op, Linear)]
    groups = [group.family for group in find_groups(model, matrices)]
    assert FOUND[name] == (
        len(find_hidden_units(program, widths)),
        len(find_value_dimensions(program, widths)),
        len(find_attentions(program, shapes)),
        len(find_residuals(program)),
        groups.count(INPUT),
        groups.count(STREAM),
        len(token_tables(program)),
    )
    assert find_head(program) is not None

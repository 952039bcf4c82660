"""The nanochat frontend: its program against a plain forward pass, padding, windows, and what it asks for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from golden_logits import assert_computes, checkpoint_of
from handwritten_parts import HEADS, LAYERS, VOCABULARY, WIDTH, attended, container, halves, linear, with_weights
from handwritten_states import HEAD, logits_of, state_of
from naive_nanochat import NaiveNanochat
from torch import Tensor, nn
from torch.nn import functional

from bytecap.compiler.frontends import build_model, restored_tensors
from bytecap.compiler.model.attention_heads import find_attentions
from bytecap.compiler.model.structure import find_head, token_tables
from bytecap.compiler.rewrites.free_units import find_hidden_units
from bytecap.errors import CheckpointError

OLDER = {"rope_theta": 10_000.0, "query_key_factor": 1.0}
CASES = {
    "newest": (NaiveNanochat(), {}),
    "all heads, no padding": (NaiveNanochat(rows=29, kv_heads=4, layers=2, pattern="L"), {}),
    "older": (NaiveNanochat(newest=False, base=10_000.0, factor=1.0, pattern="L"), OLDER),
}


@pytest.mark.parametrize("case", CASES)
def test_a_program_computes_what_nanochat_computes(case):
    naive, given = CASES[case]
    state = naive.state()
    tokens = np.random.default_rng(0).integers(0, naive.vocabulary, (2, 150))
    model = build_model(checkpoint_of(state, naive.config()), given)
    assert_computes(model, np.stack([naive.logits(state, row) for row in tokens]), tokens, 1e-4)
    assert model.program.sequence_length == 200 and model.program.vocabulary_size == 29
    again = build_model(checkpoint_of(state, None), json.loads(json.dumps(model.architecture)))
    assert again.program == model.program and again.defaults == ()


def test_the_stored_tensors_come_back_but_for_the_padding():
    naive = NaiveNanochat()
    state = naive.state(1)
    model = build_model(checkpoint_of(state, naive.config()))
    restored = {tensor.name: tensor.values for tensor in restored_tensors(model.program, model.tensors)}
    assert restored.keys() == state.keys()
    for name, values in state.items():
        padded = name in ("transformer.wte.weight", "lm_head.weight") or name.startswith("value_embeds.")
        used = naive.vocabulary if padded else len(values)
        assert restored[name].shape == values.shape and np.array_equal(restored[name][:used], values[:used]), name
        assert not padded or not restored[name][used:].any()


def test_the_analyses_find_its_units():
    """Attentions whose values are maps alone: those of the layers without value embeddings."""
    naive = NaiveNanochat()
    model = build_model(checkpoint_of(naive.state(), naive.config()))
    assert len(find_hidden_units(model.program)) == 3
    assert len(find_attentions(model.program, [tensor.values.shape for tensor in model.tensors])) == 1
    assert find_head(model.program) is not None
    tables = {model.tensors[i].name.split(".cut")[0] for i in token_tables(model.program)}
    assert tables == {"transformer.wte.weight", "lm_head.weight", "value_embeds.0.weight", "value_embeds.2.weight"}


@pytest.mark.parametrize(
    ("naive", "config", "given", "message"),
    [
        (NaiveNanochat(), None, {}, "nothing tells vocab_size, num_attention_heads, num_key_value_heads, sequence_len"),
        (NaiveNanochat(newest=False), {}, {}, "nothing tells rope_theta, query_key_factor, which change what"),
        (NaiveNanochat(), {"n_layer": 4}, {}, "says num_hidden_layers 4 (3 in the tensors)"),
        (NaiveNanochat(), {"vocab_size": 33}, {}, "vocab_size 33 is more than the 32 rows of transformer.wte.weight"),
        (NaiveNanochat(), {"n_head": 5}, {}, "num_attention_heads 5 does not divide hidden_size 32"),
        (NaiveNanochat(), {}, {"window_pattern": "SX"}, "window_pattern is 'SX'; it must be letters S and L"),
        (
            NaiveNanochat(),
            {"n_kv_head": 4},
            {},
            "misshapen: transformer.h.0.attn.c_k.weight is [16, 32], expected [32, 32]",
        ),
    ],
)
def test_what_is_not_told_or_does_not_fit_is_one_clear_error(naive, config, given, message):
    told = None if config is None else naive.config() | config
    with pytest.raises(CheckpointError) as caught:
        build_model(checkpoint_of(naive.state(), told), given)
    assert message in str(caught.value)


class FirstModded(nn.Module):
    """A fork of modded-nanogpt's first records, with the names of nanochat: no cap, rotations as most have them."""

    def __init__(self, normalized: bool) -> None:
        super().__init__()
        self.normalized, blocks = normalized, nn.ModuleList()
        for _ in range(LAYERS):
            attn = container(**{name: linear(WIDTH, WIDTH, False) for name in ("c_q", "c_k", "c_v", "c_proj")})
            mlp = container(c_fc=linear(WIDTH, 4 * WIDTH, False), c_proj=linear(4 * WIDTH, WIDTH, False))
            blocks.append(container(attn=attn, mlp=mlp))
        self.transformer = container(wte=nn.Embedding(VOCABULARY, WIDTH), h=blocks)
        self.lm_head = linear(WIDTH, VOCABULARY, False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.transformer.wte(tokens)
        x = normal(x) if self.normalized else x
        for block in self.transformer.h:
            y, a = normal(x), block.attn
            q, k = (normal(m(y).unflatten(-1, (HEADS, -1))).flatten(2) for m in (a.c_q, a.c_k))
            x = x + a.c_proj(attended(q, k, a.c_v(y), turn=halves(10_000.0, HEAD)))
            x = x + block.mlp.c_proj(block.mlp.c_fc(normal(x)).relu().square())
        return self.lm_head(normal(x))


def normal(x: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:])


FORK = {"vocab_size": VOCABULARY, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "sequence_len": 32}
FORK |= OLDER


@pytest.mark.parametrize("normalized", [True, False])
@pytest.mark.parametrize("config", [None, {"n_layer": LAYERS, "n_head": HEADS, "n_embd": WIDTH, "vocab_size": 29}])
def test_a_fork_with_the_same_tensors_is_not_taken_for_nanochat(normalized, config):
    """Its logits were capped, and its rotations turned the other way round."""
    module, tokens = with_weights(FirstModded(normalized)), np.arange(24)[None] % VOCABULARY
    state = state_of(module)
    with pytest.raises(CheckpointError, match=r"nothing tells logit_softcap, rope_backward, embedding_norm, which"):
        build_model(checkpoint_of(state, config), FORK)
    said = {**FORK, "logit_softcap": 0.0, "rope_backward": False, "embedding_norm": normalized}
    assert_computes(build_model(checkpoint_of(state, config), said), logits_of(module, tokens), tokens)

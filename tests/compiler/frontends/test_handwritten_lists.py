"""Models whose layers are lists of modules: numbers stand for attention and MLP, and shapes tell norms from maps."""

from __future__ import annotations

import numpy as np
import pytest
from golden_logits import checkpoint_of
from handwritten_lists import LISTS, SAID, ListedGpt
from handwritten_states import assert_computed_and_given_back, state_of

from bytecap.compiler.frontends import build_model
from bytecap.compiler.frontends.gpt_numbered_modules import with_words
from bytecap.errors import CheckpointError


@pytest.mark.parametrize("name", LISTS)
def test_a_list_of_modules_is_computed_and_given_back(name):
    assert_computed_and_given_back(*LISTS[name])


@pytest.mark.parametrize(
    ("stems", "words"),
    [
        (["0.to_q", "0.norm", "1.0", "1.net.2"], ["attn.to_q", "attn.norm", "mlp.0", "mlp.net.2"]),
        (["10.to_q", "11.2"], ["attn.to_q", "mlp.2"]),
        (["1.to_q", "0.2"], None),  # the MLP comes first
        (["0.to_q", "1.to_q"], None),  # attention to something else
        (["0.to_q", "1.a", "2.b"], None),
        (["0.to_q", "norm"], None),
        (["0.to_q", "1"], None),
        (["0.a", "1.b"], None),
    ],
)
def test_numbers_are_words_only_where_one_of_two_attends(stems, words):
    found = with_words(stems, lambda rest: rest.startswith("to_q"))
    assert [found[stem] for stem in stems] == (stems if words is None else words)


def test_a_third_module_of_a_layer_is_refused():
    state = state_of(ListedGpt(True, True))
    more = {f"layers.{layer}.2.weight": np.ones((24, 24), np.float32) for layer in range(2)}
    with pytest.raises(CheckpointError, match="has the attention of a GPT, and no one tensor whose name says"):
        build_model(checkpoint_of(state | more, None), SAID)

"""What a program says of its tensors: head, token tables, embedding tables."""

from __future__ import annotations

import pytest
from tiny_models import golf_model

from bytecap.compiler.model.structure import embedding_tables, find_head, output_head, token_tables
from bytecap.errors import CheckpointError
from bytecap.format.program.operands import Row
from bytecap.format.program.operations import (
    Add,
    Embed,
    HashEmbed,
    HashKind,
    Linear,
    RmsNorm,
    Scale,
    Softcap,
    SoftcapKind,
)
from bytecap.format.program.program import Program
from bytecap.format.program.tensor_names import layer_of, role_of

HEADLESS = Program((Embed(0), Linear(0, 1), Linear(0, 2), Add(1, 2)), 4, 8, 0)


def test_the_head_is_found_behind_a_cap_and_a_scale() -> None:
    program = Program((Embed(0), Linear(0, 1), Scale(1, Row(2)), Softcap(2, 3.0, SoftcapKind.TANH)), 4, 8, 0)
    assert find_head(program) == output_head(program) == 1
    assert find_head(Program((*program.instructions, RmsNorm(3, 1, 1e-6)), 4, 8, 0)) is None


def test_a_sum_of_linear_maps_is_no_head() -> None:
    assert find_head(HEADLESS) is None
    with pytest.raises(CheckpointError, match="not made by one linear map"):
        output_head(HEADLESS)


def test_token_tables_are_what_embeds_and_what_makes_the_logits() -> None:
    for tied in (True, False):
        model = golf_model(1, tie_embeddings=tied)
        names = {model.tensors[i].name for i in token_tables(model.program)}
        assert names == ({"tok_emb.weight"} if tied else {"tok_emb.weight", "lm_head.weight"})


def test_without_a_head_only_what_embeds_has_a_row_a_token() -> None:
    assert token_tables(HEADLESS) == [0]


def test_embedding_tables_hold_hashed_ones() -> None:
    program = Program((Embed(2), HashEmbed(0, HashKind.XOR, 1, 2), Scale(1, Row(1)), Linear(2, 3, None)), 4, 8, 0)
    assert embedding_tables(program) == {0, 2}


def test_roles_and_layers_are_read_off_names() -> None:
    assert role_of("blocks.3.mlp.fc.weight") == role_of("blocks.0.mlp.fc.weight") == "blocks.*.mlp.fc.weight"
    assert layer_of("blocks.3.mlp.1.weight") == 3
    assert layer_of("tok_emb.weight") is None

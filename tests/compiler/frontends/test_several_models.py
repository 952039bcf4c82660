"""A file of several models, each under a module's name: refused with what leaves all but one out."""

from __future__ import annotations

import re

import pytest
import torch
from baseline_model import BaselineModel, Sizes

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.compiler.frontends import build_model
from bytecap.errors import CheckpointError


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            ("student.", "teacher."),
            "holds 2 models, student.*, teacher.*; leave out all but one, as here all but student",
        ),
        (("old.", "model.", "ema."), "all but one, as here all but model.*: --ignore 'old.*' --ignore 'ema.*'"),
        (("a.", "b."), "holds 2 models, a.*, b.*; leave out all but one, as here all but a.*: --ignore 'b.*'"),
        (("generator.net.", "critic.net."), "as here all but generator.*: --ignore 'critic.*'"),
        (("of.generator.", "of.critic.net."), "holds 2 models, of.generator.*, of.critic.*; "),
        (("", "teacher."), "; of a second model beside it, which --ignore 'teacher.*' leaves out"),
        (("", "critic.net."), "; of a second model beside it, which --ignore 'critic.*' leaves out"),
    ],
)
def test_what_leaves_all_but_one_out_is_said(tmp_path, modules, message):
    state, path = BaselineModel(Sizes()).state_dict(), tmp_path / "model.pt"
    torch.save({module + name: values.clone() for module in modules for name, values in state.items()}, path)
    with pytest.raises(CheckpointError) as caught:
        build_model(read_checkpoint(path))
    assert message in str(caught.value)
    ignored = re.findall("--ignore '(.*?)'", str(caught.value))
    assert len(build_model(read_checkpoint(path, Selection(ignore=tuple(ignored)))).tensors) == len(state)


def test_a_part_of_the_model_itself_is_not_said_to_be_a_second_one(tmp_path):
    state = BaselineModel(Sizes()).state_dict()
    torch.save(state | {"lm_head.weight": state["tok_emb.weight"] + 1}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=r"unexpected: lm_head.weight$"):
        build_model(read_checkpoint(tmp_path / "model.pt"), {"tie_embeddings": True})

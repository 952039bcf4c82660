"""Tensors read by other names than the file has: what a renaming means, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.errors import CheckpointError

NAMES = ["emb.weight", "blocks.0.ff.net.0.weight", "blocks.0.ff.net.2.weight", "blocks.1.ff.net.0.weight"]
FILE = Path("model.safetensors")
LIKE_BLOCKS = "most like it are blocks.0.ff.net.0.weight"  # one for all layers


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], NAMES),
        (["emb.weight=table.weight"], ["table.weight", *NAMES[1:]]),
        (["emb.*=table.*"], ["table.weight", *NAMES[1:]]),
        (["blocks.*.ff.net.*=h.*.mlp.*"], ["emb.weight", "h.0.mlp.0.weight", "h.0.mlp.2.weight", "h.1.mlp.0.weight"]),
        (["*=m.*"], [f"m.{name}" for name in NAMES]),
        (
            ["blocks.*=h.*", "h.*.ff.*=h.*.mlp.*"],
            ["emb.weight", *(f"h.{n[7:]}".replace("ff", "mlp") for n in NAMES[1:])],
        ),
        (["emb.weight=emb.weight"], NAMES),
        (["emb.weight=a=b"], ["a=b", *NAMES[1:]]),
    ],
)
def test_names_become_what_the_renamings_say_in_their_order(rules, expected):
    assert Selection(rename=tuple(rules)).renamed(NAMES, FILE) == dict(zip(NAMES, expected, strict=True))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["emb"], "'emb' is no renaming; write it as FROM=TO, such as 'ff.*=mlp.*'"),
        (["=emb"], "'=emb' is no renaming; write it as FROM=TO, such as 'ff.*=mlp.*'"),
        (["emb.weight="], "'emb.weight=' is no renaming; write it as FROM=TO, such as 'ff.*=mlp.*'"),
        (["a.*=b"], "'a.*=b' has 1 * on the left and 0 on the right; each on the right stands for one on the left"),
        (["a=b.*"], "'a=b.*' has 0 * on the left and 1 on the right; each on the right stands for one on the left"),
        (["embb.*=a.*"], f"{FILE} has no tensor 'embb.*' to rename; most like it are emb.weight"),
        (["emb.?eight=a"], f"{FILE} has no tensor 'emb.?eight' to rename; most like it are emb.weight"),
        (["block.*.ff.weight=a*"], f"{FILE} has no tensor 'block.*.ff.weight' to rename; {LIKE_BLOCKS}, emb.weight"),
        (["blocks.7.ff.net.2.weight=a"], f"{FILE} has no tensor 'blocks.7.ff.net.2.weight' to rename; {LIKE_BLOCKS}"),
        (["QQ*=a*"], f"{FILE} has no tensor 'QQ*' to rename; there are {', '.join(NAMES)}"),
        (
            [f"{NAMES[1]}={NAMES[3]}"],
            f"{FILE}: after '{NAMES[1]}={NAMES[3]}' '{NAMES[1]}' and '{NAMES[3]}' would both be '{NAMES[3]}'",
        ),
    ],
)
def test_what_is_no_renaming_and_names_that_meet_are_refused(rules, message):
    with pytest.raises(CheckpointError) as caught:
        Selection(rename=tuple(rules)).renamed(NAMES, FILE)
    assert (str(caught.value), caught.value.argument) == (message, "rename")


PARTS = st.lists(st.text("ab.01", min_size=1, max_size=4), min_size=1, max_size=4).map(".".join)


@given(st.lists(PARTS, min_size=1, max_size=6, unique=True), st.text("ab.", min_size=1, max_size=3))
def test_a_renaming_and_its_opposite_give_the_names_back(names, prefix):
    back = Selection(rename=(f"*={prefix}*", f"{prefix}*=*"))
    assert back.renamed(names, FILE) == {name: name for name in names}
    one = Selection(rename=(f"{names[0]}=Z",)).renamed(names, FILE)
    assert [one[name] for name in names] == ["Z", *names[1:]]  # and nothing else is touched


def test_a_checkpoint_is_read_by_the_new_names_and_says_so(tmp_path):
    file = tmp_path / "model.safetensors"
    save_file({name: np.full((2, 3), k, np.float32) for k, name in enumerate(["x.a", "x.b", "counter"])}, file)
    found = read_checkpoint(file, Selection(ignore=("counter",), rename=("x.*=y.*",)))
    assert {name: float(values[0, 0]) for name, values in found.tensors.items()} == {"y.a": 0.0, "y.b": 1.0}
    assert list(found.dtypes) == ["y.a", "y.b"]
    assert found.notes[-2:] == ("left out as asked: counter", "renamed as asked: x.a to y.a, x.b to y.b")
    with pytest.raises(CheckpointError, match="has no tensor 'counter' to rename"):
        read_checkpoint(file, Selection(ignore=("counter",), rename=("counter=z",)))

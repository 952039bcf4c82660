"""A name that safetensors keeps for itself is refused, and everything else comes back under its own."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load

from bytecap.compiler.checkpoints.export import encode_safetensors, export_checkpoint
from bytecap.errors import OutputError


def test_the_name_of_the_metadata_is_no_tensors(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(OutputError, match=r"named '__metadata__'; write a \.pt file"):
        export_checkpoint(["__metadata__"], [np.ones(2, np.float32)], ["float32"], path)
    assert not path.exists()
    export_checkpoint(["__metadata__"], [np.ones(2, np.float32)], ["float32"], tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["metadata", "__metadata", "", 'a"b\\', "重み"])
def test_other_names_come_back(name):
    found = load(encode_safetensors([name], [np.ones(2, np.float32)], ["float32"], {"format": "pt"}))
    assert list(found) == [name]

"""The benchmark of a loader: its script decodes without bytecap, in every way, what was assembled."""

from __future__ import annotations

import pytest

from benchmarks.loader import SMALL, decode_seconds, decoding_script, make_artifact, packed_bytes
from bytecap.format.artifact import decode_tensors, read_artifact


@pytest.mark.parametrize(("codec", "way"), [(2, "c"), (2, "python"), (3, "python")])
def test_the_script_decodes_by_itself(tmp_path, codec, way):
    data = make_artifact(SMALL, codec)
    (tmp_path / "model.bcap").write_bytes(data)
    script = decoding_script(data)
    (tmp_path / "decode.py").write_text(script, encoding="utf-8")
    found = decode_seconds(tmp_path / "decode.py", tmp_path / "model.bcap", way, 1)
    assert found["weights"] == sum(array.size for array in decode_tensors(read_artifact(data)))
    assert 0 < found["seconds"] and 0 < found["processor_seconds"]
    assert packed_bytes(script) < 9_500

"""Another project's code as mypy sees it, which `make lint` runs on this file and nothing ever executes.

A wrong call that mypy lets pass is an error, too: `warn_unused_ignores` is on.
"""

from __future__ import annotations

from typing import assert_type

import numpy as np

import bytecap
from bytecap.errors import BytecapError, MissingFileError


def right_calls() -> None:
    """Results have types, and `progress` is True, a callback, or nothing."""
    assert_type(bytecap.evaluate("m.bcap", data="v.bin").score.bits_per_byte, float)
    assert_type(bytecap.evaluate("m.bcap", data=["v.bin"], progress=True).assumed["rope_base"], object)
    assert_type(bytecap.read_artifact(b"").tensors["a"], np.ndarray)
    assert_type(bytecap.decode_tensors(bytecap.read_artifact(b""))["a"], np.ndarray)
    assert_type(bytecap.verify("m.bcap", cap="16MB").passed, bool)
    assert_type(bytecap.verify_folder("folder").verdict, str)
    assert_type(bytecap.load("m.bcap").generate("a").text, str | None)
    bytecap.compile("m.pt", cap=16_000_000, calibration="c.bin", progress=lambda stage, done, total: None)
    kind: type[FileNotFoundError] = MissingFileError
    base: type[BytecapError] = MissingFileError
    assert issubclass(kind, base)


def wrong_calls() -> None:
    """What a type checker must find."""
    bytecap.compile("m.pt", cap="1MB")  # type: ignore[call-arg]
    bytecap.inspect(5)  # type: ignore[arg-type]
    bytecap.evaluate("m.bcap", data="v.bin", progress="yes")  # type: ignore[arg-type]
    bytecap.nothing()  # type: ignore[attr-defined]

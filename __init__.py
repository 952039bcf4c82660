"""bytecap: language-model checkpoints compiled to one artifact under a byte cap, and proof of what it is worth.

    import bytecap
    result = bytecap.compile("final_model.pt", cap="1MB", calibration="calib.bin", output="model.bcap")
    print(bytecap.evaluate("model.bcap", data="val.bin", tokenizer="tokenizer.model").score.bits_per_byte)

The public names are the ones in `__all__`; each is imported when first used (PEP 562), so `import
bytecap` is quick. Torch is loaded only by what needs it: `compile`, `fit`, `sensitivity`, `curve`,
`diagnose`, the experiments, and `evaluate` or `export` of a checkpoint that is a pickle (.pt,
.int8.ptz). `score` is the old name of `sensitivity` and goes with the next version.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .version import VERSION as __version__

_INTERFACE = (
    "compile",
    "fit",
    "evaluate",
    "load",
    "inspect",
    "diff",
    "verify",
    "verify_folder",
    "verify_folders",
    "check_byte_table",
    "check_scorer",
    "export",
    "pack",
    "sensitivity",
    "score",
    "curve",
    "describe",
    "diagnose",
    "experiments",
    "run_experiment",
)
_ARTIFACT = ("read_artifact", "write_artifact", "decode_tensors")
_HOMES = {**dict.fromkeys(_INTERFACE, ".interface"), **dict.fromkeys(_ARTIFACT, ".format.artifact")}
_MODULES = {"errors": ".errors"}

__all__ = [*_HOMES, *_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name], __name__), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name], __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

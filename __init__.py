"""bytecap: language-model checkpoints compiled to one artifact under a byte cap, and proof of what it costs and is worth.

    import bytecap
    result = bytecap.compile("final_model.pt", cap="1MB", calibration="calib.bin", output="model.bcap")
    print(bytecap.evaluate("model.bcap", data="val.bin", tokenizer="tokenizer.model").score.bits_per_byte)

The public names are the ones in `__all__`; each is imported when first used (PEP 562), so `import bytecap` is quick,
and torch is loaded only by what needs it: `compile`, `score`, `curve`, `diagnose`, the experiments, and `evaluate` or `export` when a
checkpoint or a `.pt` is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .version import VERSION as __version__

_HOMES = {
    "compile": ".interface",
    "evaluate": ".interface",
    "inspect": ".interface",
    "verify": ".interface",
    "export": ".interface",
    "score": ".interface",
    "curve": ".interface",
    "diagnose": ".interface",
    "experiments": ".interface",
    "run_experiment": ".interface",
    "read_artifact": ".format.artifact",
    "write_artifact": ".format.artifact",
    "decode_tensors": ".format.artifact",
}
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

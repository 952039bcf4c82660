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
from typing import TYPE_CHECKING

from .version import VERSION as __version__

_INTERFACE = (
    "compile",
    "fit",
    "forecast",
    "evaluate",
    "load",
    "inspect",
    "read_artifact",
    "write_artifact",
    "decode_tensors",
    "diff",
    "verify",
    "verify_folder",
    "verify_folders",
    "check_byte_table",
    "check_scorer",
    "export",
    "pack",
    "plugins",
    "sensitivity",
    "score",
    "curve",
    "describe",
    "diagnose",
    "experiments",
    "run_experiment",
)
_HOMES = dict.fromkeys(_INTERFACE, ".interface")
_MODULES = {"errors": ".errors"}

__all__ = [*_HOMES, *_MODULES, "__version__"]


if TYPE_CHECKING:  # what type checkers and editors see in place of the function below; a test compares the names
    from . import errors as errors
    from .interface import check_byte_table as check_byte_table
    from .interface import check_scorer as check_scorer
    from .interface import compile as compile
    from .interface import curve as curve
    from .interface import decode_tensors as decode_tensors
    from .interface import describe as describe
    from .interface import diagnose as diagnose
    from .interface import diff as diff
    from .interface import evaluate as evaluate
    from .interface import experiments as experiments
    from .interface import export as export
    from .interface import fit as fit
    from .interface import forecast as forecast
    from .interface import inspect as inspect
    from .interface import load as load
    from .interface import pack as pack
    from .interface import plugins as plugins
    from .interface import read_artifact as read_artifact
    from .interface import run_experiment as run_experiment
    from .interface import score as score
    from .interface import sensitivity as sensitivity
    from .interface import verify as verify
    from .interface import verify_folder as verify_folder
    from .interface import verify_folders as verify_folders
    from .interface import write_artifact as write_artifact
else:

    def __getattr__(name: str) -> object:
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

"""Every kind of input that is fuzzed, by name.

To add one: make a `Target` in a file of its own or beside its kin, and name it here; a test holds that each is tried.
"""

from __future__ import annotations

from importlib import import_module

from fuzz_frame import Target

TARGETS = {  # module and name in it; only what is asked for is imported, since seeds of weights need torch
    "container": ("artifact_targets", "CONTAINER"),
    "artifact": ("artifact_targets", "ARTIFACT"),
    "checkpoint": ("weights_targets", "CHECKPOINT"),
    "ptz": ("weights_targets", "PTZ"),
    "gguf": ("weights_targets", "GGUF"),
    "config": ("weights_targets", "CONFIG"),
    "tokenizer": ("data_targets", "TOKENIZER"),
    "shard": ("data_targets", "SHARD"),
    "text": ("data_targets", "TEXTS"),
    "recipe": ("settings_targets", "RECIPE"),
    "architecture": ("settings_targets", "ARCHITECTURES"),
    "folder": ("folder_target", "FOLDER"),
}


def target_named(name: str) -> Target:
    """The target of one of the names."""
    module, constant = TARGETS[name]
    target = getattr(import_module(module), constant)
    if target.name != name:
        raise LookupError(f"{module}.{constant} is named {target.name!r}, not {name!r}")
    return target

"""A config.json of Hugging Face whose code is not that of its model type in transformers.

Strategy: nothing of such code is run or looked at. That it is named is said, since the tensors may be the same and the
function another: `auto_map` names a file beside the weights, and `architectures` the class that wrote the file, which
for a model type of transformers begins with its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...files.printable import shown_value
from ..checkpoints.configuration import Configuration

CLASS = re.compile(r"(?P<name>\w+?)(For[A-Z]\w*|LMHeadModel|Model)")
OF_TEXT = "_text"  # behind the model type of the part of a larger model that is one of text


def own_code(configuration: Configuration | None) -> tuple[str, ...]:
    """What is said of a configuration that names another code than that of its model type; empty for any other."""
    values: Mapping[str, object] = {} if configuration is None else configuration.values
    model_type = values.get("model_type")
    if configuration is None or not isinstance(model_type, str):
        return ()
    named = _auto_map(values.get("auto_map")) or _other_class(values.get("architectures"), model_type)
    if not named:
        return ()
    return (
        f"{configuration.source} names code of its own, {named}, which is not run: the model is read as a "
        f"{model_type!r} of transformers",
    )


def _auto_map(found: object) -> str:
    """The class of a model in a file beside the weights."""
    values = found if isinstance(found, Mapping) else {}
    named = next((values[name] for name in ("AutoModelForCausalLM", "AutoModel") if values.get(name)), None)
    return "" if named is None else f"{shown_value(named)} by auto_map"


def _other_class(found: object, model_type: str) -> str:
    """The class that wrote the file, where its name does not begin with the model type."""
    named = found[0] if isinstance(found, list) and found else None
    match = CLASS.fullmatch(named) if isinstance(named, str) else None
    own = match["name"] if match else named
    if named is None or (isinstance(own, str) and _plain(own) == _plain(model_type.removesuffix(OF_TEXT))):
        return ""
    return f"{shown_value(named)} by architectures"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

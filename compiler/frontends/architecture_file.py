"""Hyperparameters from a file, and their checks.

Strategy: a frontend declares its hyperparameters as `Parameter` records (kind of value, range, default). Everything a
person wrote goes through them once: unknown names, wrong kinds and values out of range are refused with the file's own
words, so the builders can rely on what they get.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...errors import CheckpointError
from ...files.nearest_name import known_names
from ...files.nested_text import parse_json, parse_toml
from ...files.printable import shown_value

FRONTEND_KEY = "frontend"
LARGEST = 1 << 62  # of a whole number: sizes multiply, and JSON has integers of any length
PRESET_KEY, PRESET = "preset", "preset:"  # a known architecture by its name, instead of a file


def is_preset(path: str | Path) -> bool:
    """Whether what stands for a path is `preset:NAME`, and no file."""
    return str(path).startswith(PRESET)


def read_architecture(path: str | Path) -> dict[str, object]:
    """The hyperparameters in a TOML or JSON file (JSON when the first character is a brace), or `preset:NAME`.

    Raises CheckpointError, naming the file, when it cannot be read or is neither; the values are
    checked by the frontend.
    """
    if is_preset(path):
        return {PRESET_KEY: str(path).removeprefix(PRESET)}
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is not text; give hyperparameters as TOML or JSON") from error
    if not text.strip():
        raise CheckpointError(f"{path} is empty; give hyperparameters as TOML or JSON, or no file to assume them all")
    kind, parse = ("JSON", parse_json) if text.lstrip().startswith("{") else ("TOML", parse_toml)
    try:
        content = parse(text)
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid {kind}: {error}; give hyperparameters as TOML or JSON") from error
    return dict(content)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One hyperparameter: its kind (int, float, bool, str, list of int, or dict, whose user checks it), its range or
    choices, and its default if any.
    """

    kind: type
    default: object = None
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()

    def checked(self, name: str, value: object) -> object:
        """`value` as its kind; CheckpointError when it is none or out of range."""
        match value:
            case bool() if self.kind is bool:
                return value
            case str() if self.kind is str and value in self.choices:
                return value
            case int() | float() if self.kind in (int, float) and not isinstance(value, bool) and self._fits(value):
                return self.kind(value)
            case list() | tuple() if self.kind is list and all(type(item) is int and item >= 0 for item in value):
                return list(value)
            case dict() if self.kind is dict:
                return dict(value)
        raise CheckpointError(f"architecture: {name} is {shown_value(value)}; it must be {self.expected()}")

    def _fits(self, value: float) -> bool:
        sane = abs(value) <= LARGEST if isinstance(value, int) else math.isfinite(value)
        return sane and (self.kind is float or value == int(value)) and self.least <= value <= self.most

    def expected(self) -> str:
        """The domain in words."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        words = {
            int: "a whole number",
            float: "a number",
            bool: "true or false",
            list: "a list of layer numbers",
            dict: "a table of names and values",
        }[self.kind]
        above = f" of at least {self.least:g}" if self.least > -math.inf else ""
        return words + above + (f" and at most {self.most:g}" if self.most < math.inf else "")


OF_HUGGING_FACE = {"architectures", "model_type", "torch_dtype", "transformers_version", "hidden_size", "dtype"}
BESIDE = "a config.json of Hugging Face is read when it lies beside the checkpoint, or in its folder"


def checked_parameters(
    given: Mapping[str, object], parameters: Mapping[str, Parameter], frontend: str
) -> dict[str, object]:
    """The given hyperparameters as their kinds; CheckpointError for an unknown name or a value out of its domain."""
    checked = {}
    for name, value in given.items():
        if name == FRONTEND_KEY:
            continue
        if name not in parameters:
            way_out = BESIDE if name in OF_HUGGING_FACE else known_names(name, sorted(parameters), "known are")
            raise CheckpointError(f"architecture: {frontend} has no hyperparameter {name!r}; {way_out}")
        checked[name] = parameters[name].checked(name, value)
    return checked

"""Recipes: the options of a compile as one typed record, its TOML text and its digest.

Strategy: a recipe has one record of options (settings.py) for each table of its file, in a fixed order.
It prints back as the full file, and the provenance of an artifact carries the hash of that text.
Unknown tables and options, wrong types and values out of bounds are refused by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from ..errors import CompileError
from ..files.nearest_name import known_names
from ..files.nested_text import parse_toml
from ..files.printable import printable, shown_value
from .effort import DEFAULT_EFFORT, EFFORTS, with_effort
from .representation_settings import FactorSettings, MenuSettings, TableSettings
from .settings import (
    Bound,
    CalibrationSettings,
    DistillationSettings,
    HeadBiasSettings,
    QuantizationSettings,
    RateControlSettings,
    RowSampleSettings,
    SequentialSettings,
    SymmetrySettings,
    VectorSettings,
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Every option of a compile; the order of the fields is the order of the tables in its text."""

    name: str
    calibration: CalibrationSettings = field(default_factory=CalibrationSettings)
    symmetries: SymmetrySettings = field(default_factory=SymmetrySettings)
    head_bias: HeadBiasSettings = field(default_factory=HeadBiasSettings)
    vectors: VectorSettings = field(default_factory=VectorSettings)
    quantization: QuantizationSettings = field(default_factory=QuantizationSettings)
    tables: TableSettings = field(default_factory=TableSettings)
    factors: FactorSettings = field(default_factory=FactorSettings)
    menu: MenuSettings = field(default_factory=MenuSettings)
    row_sample: RowSampleSettings = field(default_factory=RowSampleSettings)
    sequential: SequentialSettings = field(default_factory=SequentialSettings)
    distillation: DistillationSettings = field(default_factory=DistillationSettings)
    rate_control: RateControlSettings = field(default_factory=RateControlSettings)

    @property
    def settings(self) -> tuple[Any, ...]:
        """The records of options, in the order of their tables."""
        return tuple(getattr(self, key) for key in SETTINGS)

    def to_toml(self) -> str:
        """The recipe with every option spelled out; `parse_recipe` reads it back to an equal recipe."""
        return _to_toml(self.settings)

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of `to_toml()`, less the tables that are off and were never asked for, and
        the options named in `NEWER` of their table that have their default.

        So a new table that is off by default, or a new option that changes nothing by default, changes no artifact.
        """
        counted = [settings for settings in self.settings if not _is_left_off(settings)]
        return hashlib.sha256(_to_toml(counted, _is_newer_default).encode()).hexdigest()[:16]

    def for_inputs(self, widest: int) -> Recipe:
        """The recipe for a model whose widest matrix has so many inputs: with the `tokens` that it wants for them."""
        return replace(
            self, calibration=_for_inputs(self.calibration, widest), sequential=_for_inputs(self.sequential, widest)
        )


WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word in quotes"}
SETTINGS: dict[str, Any] = {key: hint for key, hint in get_type_hints(Recipe).items() if key != "name"}
TABLES: dict[str, Any] = {settings.table: settings for settings in SETTINGS.values()}


def _for_inputs(settings: Any, widest: int) -> Any:
    most = type(settings)().tokens
    return replace(settings, tokens=max(settings.tokens, min(settings.tokens_an_input * widest, most)))


def _is_left_off(settings: Any) -> bool:
    return getattr(settings, "enabled", True) is False and settings == type(settings)()


def _is_newer_default(settings: Any, option: Field) -> bool:
    return option.name in getattr(settings, "NEWER", ()) and getattr(settings, option.name) == option.default


def _to_toml(tables: Iterable[Any], is_left_out: Callable[[Any, Field], bool] = lambda settings, option: False) -> str:
    lines = []
    for settings in tables:
        lines.append(f"[{settings.table}]")
        for option in fields(settings):
            if is_left_out(settings, option):
                continue
            lines.append(f"{option.name.replace('_', '-')} = {_toml_value(getattr(settings, option.name))}")
        lines.append("")
    return "\n".join(lines)


def _toml_value(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def parse_recipe(name: str, tables: dict[str, Any]) -> Recipe:
    """A recipe from parsed TOML; options that are not named keep their defaults. CompileError names what is wrong."""
    unknown = sorted(set(tables) - set(TABLES))
    if unknown:
        raise CompileError(f"recipe {name}: unknown table [{printable(unknown[0])}]; {known_names(unknown[0], TABLES)}")
    return Recipe(name, **{key: _configure(name, cls, tables.get(cls.table, {})) for key, cls in SETTINGS.items()})


def _configure(recipe: str, cls: type, table: Any) -> Any:
    if not isinstance(table, dict):
        raise CompileError(f"recipe {recipe}: {cls.table} must be a table of options")
    hints = get_type_hints(cls)
    options = {option.name.replace("_", "-"): hints[option.name] for option in fields(cls)}
    values = {}
    for key, value in table.items():
        if key not in options:
            raise CompileError(
                f"recipe {recipe}: [{cls.table}] has no option {key!r}; {known_names(key, options, 'it has')}"
            )
        wanted = options[key]
        if wanted is float and type(value) is int and abs(value) <= LARGEST_WHOLE:
            value = float(value)
        if type(value) is not wanted:
            raise CompileError(
                f"recipe {recipe}: [{cls.table}] {key} must be {WORDS[wanted]}, found {shown_value(value)}"
            )
        name = key.replace("-", "_")
        if name in cls.bounds and not _within(value, cls.bounds[name]):
            bound = _describe(cls.bounds[name])
            raise CompileError(f"recipe {recipe}: [{cls.table}] {key} must be {bound}, found {shown_value(value)}")
        values[name] = value
    return cls(**values)


def _within(value: float, bound: Bound) -> bool:
    """Whether a value lies in a closed range or a set of choices; not a number lies nowhere."""
    return value in bound if isinstance(bound, frozenset) else bound[0] <= value <= bound[1]


def _describe(bound: Bound) -> str:
    if isinstance(bound, frozenset):
        return "one of " + ", ".join(map(str, sorted(bound)))
    return f"between {bound[0]:g} and {bound[1]:g}"


LARGEST_WHOLE = 1 << 53  # a whole number that a float holds exactly
NAMED_RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {"bias-head": {"enabled": True}, "choose-candidates": {"enabled": True}},
}


def read_recipe(source: str | Path, effort: int = DEFAULT_EFFORT) -> Recipe:
    """A named recipe, or the recipe in a TOML file; what it does not name is as the effort has it.

    CompileError when there is no such recipe or effort.
    """
    if str(source) in NAMED_RECIPES:
        return parse_recipe(str(source), with_effort(NAMED_RECIPES[str(source)], effort))
    path = Path(source)
    try:
        tables = parse_toml(path.read_text("utf-8"))
    except OSError as error:
        reason = f"neither a named recipe nor a readable file ({error.strerror})"
        raise CompileError(f"recipe {source}: {reason}; {known_names(str(source), NAMED_RECIPES)}") from None
    except ValueError as error:  # no TOML or UTF-8; numbers or tables that Python gives up at
        raise CompileError(f"recipe {source}: not a TOML file that can be read: {error}") from None
    return parse_recipe(str(path), with_effort(tables, effort))


def find_recipe(digest: str) -> tuple[Recipe, int] | None:
    """The named recipe of that digest and its effort; None when it is no named one of this version."""
    for name in NAMED_RECIPES:
        for effort in EFFORTS:
            recipe = read_recipe(name, effort)
            if recipe.digest == digest:
                return recipe, effort
    return None


def changed_options(first: Recipe, second: Recipe) -> list[str]:
    """The options that two recipes do not agree in: `[calibrate] tokens: 262144 then 16384`."""
    return [
        f"[{before.table}] {option.name.replace('_', '-')}: {_toml_value(values[0])} then {_toml_value(values[1])}"
        for before, after in zip(first.settings, second.settings, strict=True)
        for option in fields(before)
        if (values := (getattr(before, option.name), getattr(after, option.name)))[0] != values[1]
    ]

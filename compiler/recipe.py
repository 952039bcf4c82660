"""Recipes: which passes a compile runs and with which options.

Strategy: a pass is a frozen dataclass with a kebab-case `name`, typed options and one method `run`. A recipe is one
instance of every registered pass; its file is TOML with a table a pass, it prints back as the full file, and the
artifact's provenance carries its hash. Unknown passes and options, wrong types
and values outside a pass's `bounds` (a closed range or a set of choices an option) are refused by name.
"""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from ..errors import CompileError

PASSES: dict[str, type] = {}


def register_pass(cls: type) -> type:
    """Class decorator: add a pass under its name; a duplicate is refused."""
    if cls.name in PASSES:
        raise ValueError(f"pass {cls.name!r} is registered twice")
    PASSES[cls.name] = cls
    return cls


@dataclass(frozen=True, slots=True)
class Recipe:
    """One configured instance of every pass."""

    name: str
    passes: tuple[Any, ...]

    def __getitem__(self, name: str) -> Any:
        return next(stage for stage in self.passes if stage.name == name)

    def to_toml(self) -> str:
        """The recipe with every option spelled out; `parse_recipe` reads it back to an equal recipe."""
        lines = []
        for stage in self.passes:
            lines.append(f"[{stage.name}]")
            for option in fields(stage):
                lines.append(f"{option.name.replace('_', '-')} = {_toml_value(getattr(stage, option.name))}")
            lines.append("")
        return "\n".join(lines)

    @property
    def digest(self) -> str:
        """First 16 hex digits of the SHA-256 of `to_toml()`, less the passes that are off and were never asked for.

        So a new pass that is off by default changes no artifact.
        """
        counted = replace(self, passes=tuple(stage for stage in self.passes if not _is_left_off(stage)))
        return hashlib.sha256(counted.to_toml().encode()).hexdigest()[:16]


def _is_left_off(stage: Any) -> bool:
    return getattr(stage, "enabled", True) is False and stage == type(stage)()


def _toml_value(value: bool | int | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def parse_recipe(name: str, tables: dict[str, Any]) -> Recipe:
    """A recipe from parsed TOML; options that are not named keep their defaults. CompileError names what is wrong."""
    unknown = sorted(set(tables) - set(PASSES))
    if unknown:
        raise CompileError(f"recipe {name}: unknown pass [{unknown[0]}]; there are {', '.join(PASSES)}")
    return Recipe(name, tuple(_configure(name, cls, tables.get(key, {})) for key, cls in PASSES.items()))


def _configure(recipe: str, cls: type, table: Any) -> Any:
    if not isinstance(table, dict):
        raise CompileError(f"recipe {recipe}: {cls.name} must be a table of options")
    hints = get_type_hints(cls)
    options = {field.name.replace("_", "-"): hints[field.name] for field in fields(cls)}
    values = {}
    for key, value in table.items():
        if key not in options:
            raise CompileError(f"recipe {recipe}: [{cls.name}] has no option {key!r}; it has {', '.join(options)}")
        wanted = options[key]
        if wanted is float and type(value) is int:
            value = float(value)
        if type(value) is not wanted:
            raise CompileError(f"recipe {recipe}: [{cls.name}] {key} must be {wanted.__name__}, found {value!r}")
        name = key.replace("-", "_")
        if name in cls.bounds and not _within(value, cls.bounds[name]):
            raise CompileError(
                f"recipe {recipe}: [{cls.name}] {key} must be {_describe(cls.bounds[name])}, found {value!r}"
            )
        values[name] = value
    return cls(**values)


def _within(value: float, bound: tuple[float, float] | frozenset) -> bool:
    """Whether a value lies in a closed range or a set of choices; not a number lies nowhere."""
    return value in bound if isinstance(bound, frozenset) else bound[0] <= value <= bound[1]


def _describe(bound: tuple[float, float] | frozenset) -> str:
    if isinstance(bound, frozenset):
        return "one of " + ", ".join(map(str, sorted(bound)))
    return f"between {bound[0]:g} and {bound[1]:g}"


NAMED_RECIPES: dict[str, dict[str, Any]] = {
    "default": {},
    "everything": {"bias-head": {"enabled": True}, "choose-candidates": {"enabled": True}},
}


def read_recipe(source: str | Path) -> Recipe:
    """A named recipe, or the recipe in a TOML file. CompileError when there is neither."""
    if str(source) in NAMED_RECIPES:
        return parse_recipe(str(source), NAMED_RECIPES[str(source)])
    path = Path(source)
    try:
        return parse_recipe(str(path), tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        names = ", ".join(NAMED_RECIPES)
        raise CompileError(
            f"recipe {source}: neither a named recipe ({names}) nor a readable file ({error.strerror})"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CompileError(f"recipe {source}: not a TOML file: {error}") from None

"""The frequencies of rotations: of a base, or scaled for contexts longer than those of training.

Strategy: `rope_scaling` (or `rope_parameters`) of a config.json becomes one record with every number that its
formula reads, so that the record alone gives the same frequencies again; one function a kind makes them, in
binary64. Kinds that look at the length of a text (dynamic, longrope) are taken at the length that the program is
evaluated at. Sources: the code of transformers (modeling_rope_utils), YaRN (arXiv 2309.00071), LongRoPE (2402.13753).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ...errors import CheckpointError

SYNONYMS = {"su": "longrope"}
LENGTH, TRAINED_LENGTH = "max_position_embeddings", "original_max_position_embeddings"
YARN_ROTATIONS = {"beta_fast": 32.0, "beta_slow": 1.0}


@dataclass(frozen=True, slots=True, eq=False)
class Rotation:
    """How the pairs of a head turn.

    base, dims : inverse frequency j is base^(-2j / dims), dims elements of each head are turned
    scaled : float32[dims / 2] inverse frequencies in their place; None where nothing scales them
    factor : of cosines and sines
    """

    base: float
    dims: int
    scaled: np.ndarray | None = None
    factor: float = 1.0


def base_by_alpha(base: float, alpha: float, width: float) -> float:
    """Hunyuan's base for longer contexts, of heads of that width (above 2)."""
    return base * alpha ** (width / (width - 2))


def plain_frequencies(base: float, dims: int) -> np.ndarray:
    """float64[dims / 2]: base^(-2j / dims)"""
    return float(base) ** (-np.arange(0, dims, 2) / dims)


def make_rotation(base: float, dims: int, scaling: Mapping[str, object], length: int) -> Rotation:
    """The rotation of a base scaled as a record says, in a program for sequences of `length`.

    Raises CheckpointError for a kind that is not known, for numbers that are missing or wrong, and for dynamic scaling
    beyond the length of training, where the frequencies change with every text.
    """
    kind = kind_of(scaling)
    if kind == "default":
        return Rotation(base, dims)
    if kind not in KINDS:
        raise CheckpointError(f"rope_scaling of kind {kind!r} is not known; there are {', '.join(sorted(KINDS))}")
    try:
        frequencies, factor = KINDS[kind](plain_frequencies(base, dims), base, _Numbers(kind, scaling), length)
    except (ArithmeticError, ValueError):  # of numbers that no model has, such as a base of 1
        frequencies, factor = np.full(dims // 2, np.nan), 1.0
    with np.errstate(over="ignore"):
        scaled, single = frequencies.astype(np.float32), float(np.float32(factor))
    if not (np.isfinite(scaled).all() and math.isfinite(single) and single > 0):
        raise CheckpointError(f"rope_scaling of kind {kind!r} gives rotations that are not finite")
    return Rotation(base, dims, scaled, single)


def kind_of(scaling: Mapping[str, object]) -> str:
    """ "default" where nothing is scaled."""
    kind = str(scaling.get("rope_type", scaling.get("type", "default")))
    return SYNONYMS.get(kind, kind)


def complete_scaling(
    found: Mapping[str, object], values: Mapping[str, object], assumed: int | None = None
) -> dict[str, object]:
    """The record of a configuration's scaling: what it says, and the lengths that stand elsewhere in its `values`.

    The length of training stands outside where Phi-3 wrote it, else inside, else it is `assumed` or the longest length.
    Raises CheckpointError where its code assumes one instead of reading the one inside.
    """
    kind = kind_of(found)
    if kind == "default" or (kind == "linear" and found.get("factor") == 1):
        return {}
    outside = ("rope_theta", "partial_rotary_factor", "type")
    record: dict[str, object] = {"rope_type": kind}
    record |= {name: value for name, value in found.items() if name not in outside and value is not None}
    record["rope_type"] = kind
    longest = values.get(LENGTH)
    trained = values.get(TRAINED_LENGTH, record.get(TRAINED_LENGTH, assumed or longest))
    wanted = {LENGTH: longest} if kind == "dynamic" else {}
    if kind in ("llama3", "yarn", "longrope"):
        _refuse_inner_length(record, values, assumed)
        wanted |= {TRAINED_LENGTH: trained}
    if kind in ("yarn", "longrope") and "factor" not in record:
        wanted |= {LENGTH: longest}
    return record | {name: value for name, value in wanted.items() if value is not None}


def _refuse_inner_length(record: Mapping[str, object], values: Mapping[str, object], assumed: int | None) -> None:
    inner = record.get(TRAINED_LENGTH, assumed)
    if assumed is not None and TRAINED_LENGTH not in values and inner != assumed:
        raise CheckpointError(
            f"rope_scaling says {TRAINED_LENGTH} {inner}, which the code of its model type does not read there: it "
            f"takes {assumed}; say it beside rope_scaling"
        )


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The numbers of a record, checked when they are asked for."""

    kind: str
    scaling: Mapping[str, object]

    def number(self, name: str, default: float | None = None) -> float:
        value = self.scaling.get(name, default)
        if value is None:
            raise CheckpointError(
                f"rope_scaling of kind {self.kind!r} lacks {name}; give it in the config.json or in the "
                "rope_scaling of an --architecture file"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
            raise CheckpointError(f"rope_scaling: {name} is {value!r}; it must be a number above 0")
        return float(value)

    def numbers(self, name: str, count: int) -> np.ndarray:
        value = self.scaling.get(name)
        good = isinstance(value, list) and len(value) == count
        if not good or not all(type(item) in (int, float) and math.isfinite(item) and item > 0 for item in value):
            raise CheckpointError(f"rope_scaling: {name} must be a list of {count} numbers above 0")
        return np.array(value, np.float64)

    def stretch(self) -> float:
        """How many times longer than in training a context may be."""
        longest = self.scaling.get(LENGTH)
        told = None if longest is None else self.number(LENGTH) / self.number(TRAINED_LENGTH)
        return self.number("factor", told)


Scaled = tuple[np.ndarray, float]  # inverse frequencies, factor of cosines and sines


def _linear(frequencies: np.ndarray, base: float, given: _Numbers, length: int) -> Scaled:
    return frequencies / given.number("factor"), 1.0


def _dynamic(frequencies: np.ndarray, base: float, given: _Numbers, length: int) -> Scaled:
    """Nothing is scaled up to the length of training."""
    given.number("factor")
    trained = given.number(LENGTH)
    if length > trained:
        raise CheckpointError(
            f"rope_scaling of kind 'dynamic' has other rotations for every text longer than {trained:g} tokens; give a "
            "seq_len of at most that in an --architecture file"
        )
    return frequencies, 1.0


def _llama3(frequencies: np.ndarray, base: float, given: _Numbers, length: int) -> Scaled:
    """Waves longer than the context are stretched, those much shorter kept, with a slope in between."""
    factor, low, high = (given.number(name) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    if high <= low:
        raise CheckpointError(f"rope_scaling: high_freq_factor {high:g} is not above low_freq_factor {low:g}")
    waves = given.number(TRAINED_LENGTH) * frequencies / (2 * math.pi)  # in the trained length
    kept = np.clip((waves - low) / (high - low), 0, 1)
    return kept * frequencies + (1 - kept) * frequencies / factor, 1.0


def _yarn(frequencies: np.ndarray, base: float, given: _Numbers, length: int) -> Scaled:
    """Pairs that turn often are kept, those that turn less than once stretched, with a slope in between."""
    factor, trained = given.stretch(), given.number(TRAINED_LENGTH)
    fast, slow = (given.number(name, default) for name, default in YARN_ROTATIONS.items())
    dims = 2 * len(frequencies)
    ends = [dims * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base)) for turns in (fast, slow)]
    first, last = ends if given.scaling.get("truncate") is False else (math.floor(ends[0]), math.ceil(ends[1]))
    first, last = max(first, 0), min(last, dims - 1)
    stretched = np.clip((np.arange(dims // 2) - first) / max(last - first, 0.001), 0, 1)
    return frequencies * (1 - stretched) + frequencies / factor * stretched, _yarn_factor(factor, given)


def _yarn_factor(factor: float, given: _Numbers) -> float:
    """What sharpens attention: told, of one or two given strengths, or of the stretch."""

    def strength(name: str | None) -> float:
        return 0.1 * (given.number(name) if name else 1.0) * math.log(factor) + 1.0 if factor > 1 else 1.0

    if given.scaling.get("attention_factor") is not None:
        return given.number("attention_factor")
    if given.scaling.get("mscale") and given.scaling.get("mscale_all_dim"):
        return strength("mscale") / strength("mscale_all_dim")
    return strength(None)


def _longrope(frequencies: np.ndarray, base: float, given: _Numbers, length: int) -> Scaled:
    """A factor for each frequency, of two sets by the length of the text."""
    trained, factor = given.number(TRAINED_LENGTH), given.stretch()
    both = {name: given.numbers(name, len(frequencies)) for name in ("short_factor", "long_factor")}
    sharpened = math.sqrt(1 + math.log(factor) / math.log(trained)) if factor > 1 else 1.0
    told = given.scaling.get("attention_factor")
    chosen = both["long_factor" if length > trained else "short_factor"]
    return frequencies / chosen, sharpened if told is None else given.number("attention_factor")


KINDS: Mapping[str, Callable[[np.ndarray, float, _Numbers, int], Scaled]] = {
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}

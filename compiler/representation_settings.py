"""The options of a compile that say how else than as one grid a matrix may be stored.

Strategy: records as in settings.py, one for each table of a recipe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar

from .settings import Bound


@dataclass(frozen=True, slots=True)
class TableSettings:
    """Token tables, by what their errors really cost: finer steps, and codewords or factors for rows.

    tokens : of held-out text, on which the loss of a table is measured
    most_octaves : by which its steps may be finer than the byte price has them
    codewords : offer codewords for rows, or two thin factors, and a grid of what they leave; least_saving : share of a
        table's bytes that they must save
    most_weights : of a table that is offered codewords, not factors alone. Clusters of rows take time
    rare_rows : try steps that keep large errors of rare tokens' logits as cheap as small ones
    """

    enabled: bool = True
    tokens: int = 4096
    most_octaves: float = 1.0
    codewords: bool = True
    least_saving: float = 0.01
    most_weights: int = 1 << 21
    rare_rows: bool = True
    table: ClassVar[str] = "fit-tables"
    NEWER: ClassVar[tuple[str, ...]] = ("rare_rows",)
    bounds: ClassVar[Mapping[str, Bound]] = {
        "tokens": (1, 1e12),
        "most_octaves": (0.0, 10.0),
        "least_saving": (0.0, 1.0),
        "most_weights": (0, 1e12),
    }


@dataclass(frozen=True, slots=True)
class FactorSettings:
    """Two thin factors for matrices that are no token tables, alone or under a grid of what they leave.

    tokens : of held-out text, on which the largest choices are measured; confirmed : how many these are
    least_saving : share of a matrix's bytes that factors must save at equal loss
    most_weights : of a matrix that is offered them, since a singular value decomposition takes time
    """

    enabled: bool = True
    tokens: int = 2048
    confirmed: int = 8
    least_saving: float = 0.005
    most_weights: int = 1 << 22
    table: ClassVar[str] = "offer-factors"
    bounds: ClassVar[Mapping[str, Bound]] = {
        "tokens": (1, 1e12),
        "confirmed": (0, 1e6),
        "least_saving": (0.0, 1.0),
        "most_weights": (0, 1e12),
    }


@dataclass(frozen=True, slots=True)
class MenuSettings:
    """Other kinds of representation that a matrix is offered, and takes where they pay in coded bytes. Experimental.

    One switch for each kind: switch `x_y` is the kind "x-y" in menu/kinds/x_y.py. The kinds in `GONE`
    saved nothing on any checkpoint measured and were taken away; their switches are read and mean
    nothing, so that recipes stay readable and keep their digests.
    least_saving : share of a matrix's bytes that a choice must save at equal loss
    confirmed : how many of the largest choices must also pay in loss measured on held-out text
    """

    enabled: bool = False
    raw: bool = True
    low_rank: bool = True
    rescued_rows: bool = True
    protected_columns: bool = True
    sparse: bool = True
    codebook: bool = True
    alias: bool = True
    token_groups: bool = True
    vq_rows: bool = True
    heads: bool = True
    blocks: bool = True
    decoupled: bool = True
    shared_codebook: bool = True
    shared_columns: bool = True
    least_saving: float = 0.005
    confirmed: int = 8
    table: ClassVar[str] = "choose-candidates"
    GONE: ClassVar[tuple[str, ...]] = ("raw", "token_groups", "heads", "blocks", "decoupled", "shared_codebook")
    bounds: ClassVar[Mapping[str, Bound]] = {"least_saving": (0.0, 1.0), "confirmed": (0, 1e6)}

    @classmethod
    def switches(cls) -> list[str]:
        """Every kind that there is, by the name of its switch."""
        return [f.name for f in fields(cls) if isinstance(f.default, bool) and f.name not in {"enabled", *cls.GONE}]

    def offers(self, kind: str) -> bool:
        """Whether a kind is switched on; kind : its name, in kebab-case."""
        return bool(getattr(self, kind.replace("-", "_")))

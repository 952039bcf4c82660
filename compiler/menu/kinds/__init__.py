"""Kinds of representation, the ways in which one matrix may be stored: one file a kind.

Strategy: the switches of `MenuSettings` are the list of kinds, and the only one. The file of a switch
makes one instance of its class, `KIND`. Kinds for single matrices and kinds for groups stand in one
table each.
"""

from importlib import import_module

from ....format.registry import keyed
from ...representation_settings import MenuSettings
from .protocols import CandidateKind, SharedKind, is_shared
from .shared import Shared
from .unit import Unit

_ALL = [import_module(f".{switch}", __name__).KIND for switch in MenuSettings.switches()]
KINDS: dict[str, CandidateKind] = keyed((kind for kind in _ALL if not is_shared(kind)), "name")
SHARED_KINDS: dict[str, SharedKind] = keyed((kind for kind in _ALL if is_shared(kind)), "name")

__all__ = ["KINDS", "SHARED_KINDS", "CandidateKind", "Shared", "SharedKind", "Unit"]

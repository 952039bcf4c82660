"""Exact rewrites of a model after which less is to be stored.

Strategy: a rewrite takes a model with its statistics and the recipe, and gives both back; the function
of the model stays what it was. The pipeline applies them in the order of `REWRITES`.
"""

from .head_bias import add_head_bias
from .symmetries import exchange_symmetries

REWRITES = (exchange_symmetries, add_head_bias)

__all__ = ["REWRITES", "add_head_bias", "exchange_symmetries"]

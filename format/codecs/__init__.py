"""Codecs of integer matrices: one file a codec (encoder and decoder together), one registry by wire id."""

from . import scale_classes, static_rans
from .registry import INTEGER_CODECS, ExpectedScales

__all__ = ["INTEGER_CODECS", "ExpectedScales", "scale_classes", "static_rans"]

"""Codecs of integer matrices: one file a codec, encoder and decoder together; INTEGER_CODECS has them
all by wire id.
"""

from ..registry import keyed
from .integer_codec import ExpectedScales, IntegerCodec
from .mixing import Mixing
from .scale_classes import ScaleClasses
from .static_rans import StaticRans

INTEGER_CODECS: dict[int, type[IntegerCodec]] = keyed((ScaleClasses, Mixing, StaticRans), "wire_id", "name")

__all__ = ["INTEGER_CODECS", "ExpectedScales", "IntegerCodec"]

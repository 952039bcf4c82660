"""The integer codecs of this package."""

from __future__ import annotations

from ..registry import keyed
from .integer_codec import IntegerCodec
from .mixing import Mixing
from .scale_classes import ScaleClasses
from .static_rans import StaticRans

INTEGER_CODECS: dict[int, type[IntegerCodec]] = keyed((ScaleClasses, Mixing, StaticRans), "wire_id", "name")

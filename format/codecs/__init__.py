"""Codecs of integer matrices: one file a codec, encoder and decoder together; INTEGER_CODECS has ours by wire id, and
`codec_of` knows those of installed packages, too.
"""

from .integer_codec import ExpectedScales, IntegerCodec
from .registry import INTEGER_CODECS
from .third_party import CodecFault, GuardedCodec, codec_of, offered_codecs, unknown_codec

__all__ = [
    "INTEGER_CODECS",
    "CodecFault",
    "ExpectedScales",
    "GuardedCodec",
    "IntegerCodec",
    "codec_of",
    "offered_codecs",
    "unknown_codec",
]

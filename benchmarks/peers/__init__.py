"""What bytecap is compared with: the public challenge's published pipelines and other codecs, a file each.

Strategy: a peer turns a state_dict into the bytes of its real container (torch.save and its codec, as
published) and the state_dict that decoding those bytes gives; nothing is estimated. Each peer declares
the settings that its curve is swept over, the published one among them.
"""

from __future__ import annotations

from bytecap.format.registry import keyed

from . import exl3, gguf, hqq, int6_zstd, int8_zlib, nncodec, record, sdclip, watersic
from .peer import Peer

MODULES = (exl3, gguf, hqq, int6_zstd, int8_zlib, nncodec, record, sdclip, watersic)
PEERS: dict[str, Peer] = keyed((peer for module in MODULES for peer in module.PEERS), "name")

"""Profiles: what the integers of an artifact are coded for, size or speed.

Strategy: a profile names the integer codec of a compile's streams; readers know nothing of profiles, since every stream
says which codec it is of. A codec that an installed package offers is a profile by its name.
"""

from __future__ import annotations

from ..errors import CompileError
from ..files.nearest_name import known_names

# Profile -> name of the integer codec; smallest first.
PROFILES = {"max": "mixing", "default": "scale-classes", "fast": "static-rans"}


def profile_codecs() -> dict[str, int]:
    """Wire id of the codec of every profile."""
    from ..format.codecs import INTEGER_CODECS  # loads numba, and the command's help needs the names only

    ids = {codec.name: wire_id for wire_id, codec in INTEGER_CODECS.items()}
    return {profile: ids[name] for profile, name in PROFILES.items()}


def profile_codec(profile: str) -> int:
    """Wire id of a profile's codec; CompileError for a profile that does not exist, or whose package is broken."""
    if profile in PROFILES:
        return profile_codecs()[profile]
    from ..format.codecs import offered_codecs

    offered = {str(each.thing.name): int(each.thing.wire_id) for each in offered_codecs() if not each.fault}
    if profile in offered:
        return offered[profile]
    broken = "".join(f"; {each.sentence}" for each in offered_codecs() if each.fault)
    raise CompileError(f"no profile is named {profile!r}; {known_names(profile, [*PROFILES, *offered])}{broken}")

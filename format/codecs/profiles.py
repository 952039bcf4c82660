"""Profiles: what the integers of an artifact are coded for, size or speed.

Strategy: a profile names the integer codec of a compile's streams; readers know nothing of profiles, since every stream
says which codec it is of. A profile whose codec this installation lacks is refused when it is asked for, not before.
"""

from __future__ import annotations

from ...errors import CompileError

# Profile -> name of the integer codec; smallest first.
PROFILES = {"max": "mixing", "default": "scale-classes", "fast": "static-rans"}


def registered_profiles() -> dict[str, int]:
    """Wire id of the codec of every profile whose codec is there."""
    from . import INTEGER_CODECS

    ids = {codec.name: wire_id for wire_id, codec in INTEGER_CODECS.items()}
    return {profile: ids[name] for profile, name in PROFILES.items() if name in ids}


def profile_codec(profile: str) -> int:
    """Wire id of a profile's codec; CompileError for a profile that does not exist or whose codec is not there."""
    if profile not in PROFILES:
        raise CompileError(f"no profile is named {profile!r}; there are {', '.join(PROFILES)}")
    found = registered_profiles()
    if profile not in found:
        raise CompileError(
            f"profile {profile!r} needs the integer codec {PROFILES[profile]!r}, which is not there; use {' or '.join(found)}"
        )
    return found[profile]

"""What is said where a model reads more tokens at once than it was made for.

Strategy: the program has the length. Rotations whose frequencies are a tensor were scaled for texts of that length: the
code of some models (LongRoPE, dynamic scaling) turns longer texts otherwise, which a program cannot.
"""

from __future__ import annotations

from ..format.program.operations import Rotate
from ..format.program.program import Program


def beyond_its_length(program: Program, length: int, read: str) -> tuple[str, ...]:
    """A note where `length` tokens are more than the program was made for; `read` says in words what takes them."""
    made_for = program.sequence_length
    if length <= made_for:
        return ()
    scaled = any(isinstance(each, Rotate) and each.frequencies is not None for each in program.instructions)
    stay = f"; its scaled rotations stay those of texts of {made_for:,} tokens" if scaled else ""
    return (f"the model was made for {made_for:,} tokens, and {read} {length:,}{stay}",)

"""What is said where a model reads more tokens at once than it was made for, and of rotations that were scaled."""

from __future__ import annotations

import pytest
from golden_logits import golden_logits

from bytecap.runtime.trained_length import beyond_its_length

STAY = "; its scaled rotations stay those of texts of {} tokens"


@pytest.mark.parametrize(("name", "scaled"), [("phi3-longrope", True), ("llama-yarn", True), ("llama", False)])
def test_more_tokens_than_it_was_made_for_are_said_with_what_stays(name, scaled):
    """LongRoPE's code turns longer texts by other factors, and nothing said that the short ones were kept."""
    program = golden_logits(name).model().program
    length = program.sequence_length
    assert beyond_its_length(program, length, "its windows take") == ()
    [note] = beyond_its_length(program, length + 1, "its windows take")
    end = STAY.format(length) if scaled else ""
    assert note == f"the model was made for {length:,} tokens, and its windows take {length + 1:,}{end}"

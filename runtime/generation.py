"""Text from a model: a prompt's tokens in, drawn tokens out, and their text as it comes.

Strategy: what a prompt is in tokens follows the rule of scored texts: the tokenizer says which token begins one, else
the program does. Drawing ends at a token that stands for no text, since that is how these models end a document.
Text is made of the bytes of the pieces, and a character is given out when its last byte is there.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, VerificationError
from ..format.program.program import Program
from .continuation import Continuation
from .interpreter import Interpreter
from .library_threads import limit_library_threads
from .overflow_place import overflow_place
from .sampling import Sampler, SamplingSettings
from .tokenizers import Tokenizer
from .tokens import NO_TOKEN, beginning_token


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """What to generate.

    prompt : tuple of int              at least one token id
    tokens : int                       how many to draw, at most
    ends : frozenset of int            tokens that end the text; they are not part of it
    allowed : int                      ids below it may be drawn: a padded vocabulary has more rows than pieces
    sampling : SamplingSettings
    threads : int                      of the products with matrices
    """

    prompt: tuple[int, ...]
    tokens: int
    ends: frozenset[int]
    allowed: int
    sampling: SamplingSettings
    threads: int = 1


def generate_tokens(interpreter: Interpreter, request: GenerationRequest) -> Iterator[int]:
    """The drawn tokens, one by one; ends early at one of `request.ends`.

    Raises DataError for ids out of range or more tokens than the model's position tables have rows for, before
    anything is drawn; VerificationError when the logits are not finite.
    """
    check_room(interpreter, request)
    growing, sampler = Continuation(interpreter, request.threads), Sampler(request.sampling)
    read, fresh = np.empty(0, np.int64), np.array(request.prompt, np.int64)
    with limit_library_threads(request.threads, blas_only=True):
        for _ in range(request.tokens):
            read = np.append(read, fresh)
            logits = growing.extend(fresh)[: request.allowed]
            if not np.isfinite(logits).all():
                raise VerificationError(
                    f"the model's logits behind {read.size:,} tokens are not finite: "
                    f"{overflow_place(interpreter, read)}; its weights are damaged, or too large for float32"
                )
            token = sampler.draw(logits)
            if token in request.ends:
                return
            yield token
            fresh = np.array([token])


def check_room(interpreter: Interpreter, request: GenerationRequest) -> None:
    """Raise DataError unless the model has a position for every token that it has to read."""
    longest, length = interpreter.shapes.longest_sequence, len(request.prompt) + request.tokens - 1
    if longest is not None and length > longest:
        most = longest + 1 - len(request.prompt)
        remedy = f"generate at most {most:,} tokens" if most > 0 else "give a shorter prompt"
        raise DataError(
            f"a prompt of {len(request.prompt):,} tokens and {request.tokens:,} more are beyond the model's table of "
            f"{longest:,} positions; {remedy}"
        )


def prompt_tokens(prompt: str, tokenizer: Tokenizer, program: Program) -> tuple[int, ...]:
    """Token ids of a prompt, behind the token that begins a text; never none. DataError for what is no text."""
    try:
        prompt.encode()
    except UnicodeEncodeError as error:  # what a shell hands over of bytes that are no UTF-8, and half a character
        raise DataError(
            f"the prompt is no text: its character {error.start + 1:,} is {prompt[error.start]!r}, which UTF-8 cannot "
            "write; give the prompt in UTF-8"
        ) from error
    first = beginning_token(tokenizer, program.boundary_token)
    ids = (*(() if first == NO_TOKEN else (first,)), *(tokenizer.encode_document(prompt) if prompt else ()))
    return ids or (program.boundary_token,)


def parse_token_ids(prompt: str) -> tuple[int, ...]:
    """Ids from "1 403 7" or "1,403,7"; DataError for anything else."""
    try:
        return tuple(int(part) for part in prompt.replace(",", " ").split())
    except ValueError as error:
        raise DataError(
            f"without a tokenizer a prompt is a list of token ids such as 1 403 7, not {prompt!r}; give the tokenizer"
        ) from error


def end_tokens(program: Program, tokenizer: Tokenizer | None) -> frozenset[int]:
    """The program's boundary token, and every piece that stands for no text but the unknown one."""
    if tokenizer is None:
        return frozenset({program.boundary_token})
    pieces = tokenizer.pieces
    return frozenset({program.boundary_token, *np.flatnonzero(pieces.boundary & ~pieces.unknown).tolist()})


class TextStream:
    """The text of tokens that come one by one; a piece's leading space is dropped where it begins a document."""

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int]) -> None:
        """before : the tokens that the text follows."""
        self._pieces = tokenizer.pieces
        self._at_beginning = not before or tokenizer.is_boundary(before[-1])
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        """The characters that a token finishes."""
        data = self._pieces.texts[token]
        if self._at_beginning and self._pieces.leading_space[token]:
            data = data[1:]
        self._at_beginning = bool(self._pieces.boundary[token])
        return self._decoder.decode(data)

    def finish(self) -> str:
        """U+FFFD for a character that was begun and not finished, else nothing."""
        return self._decoder.decode(b"", final=True)

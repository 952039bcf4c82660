"""A model to work with: its logits, and text from it, without torch for an artifact.

model = bytecap.load("model.bcap", tokenizer="tokenizer.model")
print(model.generate("Once upon a time", tokens=100, temperature=0.8, seed=1).text)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..display import ShownByFacts
from ..errors import DataError, WrongTypeError
from .argument_types import described, is_whole
from .arguments import PathLike, optional_path, selection_of
from .file_errors import deliberate
from .loading import ModelFile, load_architecture, load_model_file, tokenizer_path

if TYPE_CHECKING:
    import numpy as np

    from ..format.program.program import Program
    from ..runtime.sampling import SamplingSettings
    from ..runtime.tokenizers import Tokenizer

OnToken = Callable[[int, str], None]  # (token id, the characters that it finishes)


@dataclass(frozen=True, slots=True, repr=False)
class Generation(ShownByFacts):
    """What a model went on with.

    prompt : tuple of int      token ids that it was given, the one that begins a text among them
    tokens : tuple of int      token ids that were drawn
    text : str or None         of the drawn tokens; None without a tokenizer
    ended : bool               the model ended the text before the number of tokens was reached
    seconds : float            wall time, that of reading the prompt included, that of numba's compilation not
    sampling : SamplingSettings
    notes : tuple of str       what was assumed, in sentences
    """

    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    text: str | None
    ended: bool
    seconds: float
    sampling: SamplingSettings
    notes: tuple[str, ...]

    @property
    def tokens_per_second(self) -> float:
        """Tokens that were read and drawn, a second."""
        return (len(self.prompt) + len(self.tokens)) / self.seconds

    def shown_facts(self) -> Mapping[str, str]:
        """The text, or the ids, and what was assumed."""
        drawn = self.text if self.text is not None else " ".join(map(str, self.tokens))
        notes = {"notes": "; ".join(self.notes)} if self.notes else {}
        return {"": drawn, "tokens": f"{len(self.prompt):,} read, {len(self.tokens):,} drawn", **notes}


@deliberate
def load(
    model: PathLike,
    *,
    tokenizer: PathLike | None = None,
    other_tokenizer: bool = False,
    architecture: PathLike | None = None,
    weights: str | None = None,
    ignore: Sequence[str] = (),
    rename: Sequence[str] = (),
) -> LoadedModel:
    """An artifact or a checkpoint, ready to run.

    tokenizer       a file, a folder that holds one, or "bytes"; by default the one in or beside the model, if there is
    other_tokenizer take a tokenizer that is not the model's own; by default it is refused
    architecture    (TOML or JSON) says of a checkpoint what its shapes cannot
    weights, ignore, rename   which tensors of a checkpoint are read, and by which names: see `describe`

    Raises ArtifactError, CheckpointError or DataError.
    """
    from ..runtime.identity import admit_tokenizer
    from ..runtime.tokenizers import load_tokenizer

    known = load_architecture(optional_path(architecture))
    file = load_model_file(Path(model), known, selection_of(weights, ignore, rename))
    path = tokenizer_path(tokenizer, [Path(model)])
    if path is None:
        return LoadedModel(file, None)
    loaded = load_tokenizer(path)
    said = admit_tokenizer(file.identity, file.program.vocabulary_size, loaded, other=other_tokenizer)
    return LoadedModel(file, loaded, found=tokenizer is None, said=said)


class LoadedModel(ShownByFacts):
    """A model in memory; `tokenizer` is None where none was given or found. found : it was not given; said : notes

    kind : "artifact" or "checkpoint"; reading : what was assumed, told, chosen and left out of a checkpoint
    """

    def __init__(
        self, file: ModelFile, tokenizer: Tokenizer | None, found: bool = False, said: Sequence[str] = ()
    ) -> None:
        from ..runtime.interpreter import Interpreter

        self.kind, self.reading = file.kind, file.reading
        self.tokenizer, self._found, self._said = tokenizer, found, tuple(said)
        self._interpreter = Interpreter(file.program, file.tensors, names=file.names)

    @property
    def assumed(self) -> Mapping[str, object]:
        """Hyperparameters of a checkpoint that nothing told, with the values that were taken."""
        return {} if self.reading is None else self.reading.assumed

    @property
    def told(self) -> Mapping[str, str]:
        """Who told the others."""
        return {} if self.reading is None else self.reading.told

    @property
    def program(self) -> Program:
        """What the model computes."""
        return self._interpreter.program

    def shown_facts(self) -> Mapping[str, str]:
        """What it is, whose tokens it reads, and what was assumed of it."""
        found = self.described_tokenizer()
        tokenizer = "none" if found is None else f"{found['source']}, {found['pieces']:,} pieces"
        assumed = ", ".join(f"{name} {value}" for name, value in self.assumed.items())
        more = {"assumed": assumed} if assumed else {}
        return {"": self.kind, **self.program.shown_facts(), "tokenizer": tokenizer, **more}

    def logits(self, tokens: Sequence[int] | np.ndarray) -> np.ndarray:
        """float32 [..., length, vocabulary] for token ids [length] or [batch, length]; row i says what follows token i.

        Raises DataError for an id out of range, WrongTypeError for what are no whole numbers in one or two dimensions.
        """
        ids = _token_ids(tokens)
        return self._interpreter.logits(ids[None])[0] if ids.ndim == 1 else self._interpreter.logits(ids)

    @deliberate
    def generate(
        self,
        prompt: str | Sequence[int] = "",
        *,
        tokens: int = 200,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        ignore_end: bool = False,
        threads: int = 1,
        on_token: OnToken | None = None,
    ) -> Generation:
        """Go on with a prompt: a text, which needs a tokenizer, or token ids, taken as they are.

        tokens        draw so many, or fewer when the model ends the text; with `ignore_end` it may not end it
        temperature   0 takes the likeliest token, 1 draws from the model's own distribution
        top_k, top_p  keep the k likeliest tokens; the fewest whose probabilities reach p
        seed          equal seeds give equal tokens
        threads       CPUs for the products with matrices; more pay for large models on an idle machine
        on_token      called with each token as it comes, and with the characters that it finishes

        Raises DataError for a prompt or options that cannot be, and for more tokens than the model has positions for.
        """
        from ..runtime.generation import GenerationRequest, TextStream, check_room, generate_tokens
        from ..runtime.sampling import SamplingSettings

        if tokens < 1:
            raise DataError(f"{tokens} tokens to generate; give at least 1")
        sampling = SamplingSettings(temperature, top_k, top_p, seed)
        ids = self._prompt(prompt)
        request = GenerationRequest(ids, tokens, *self._ends_and_allowed(ignore_end), sampling, threads)
        check_room(self._interpreter, request)
        for _ in generate_tokens(self._interpreter, replace(request, prompt=ids[:1], tokens=1)):
            pass  # numba compiles what it has to before the clock starts
        start = time.perf_counter()
        stream = None if self.tokenizer is None else TextStream(self.tokenizer, ids)
        drawn: list[int] = []
        parts: list[str] = []
        for token in generate_tokens(self._interpreter, request):
            drawn.append(token)
            parts.append("" if stream is None else stream.add(token))
            if on_token is not None:
                on_token(token, parts[-1])
        seconds = time.perf_counter() - start
        text = None if stream is None else "".join(parts) + stream.finish()
        return Generation(
            ids, tuple(drawn), text, len(drawn) < tokens, seconds, sampling, self._notes(len(ids) + tokens)
        )

    def _prompt(self, prompt: str | Sequence[int]) -> tuple[int, ...]:
        from ..runtime.generation import parse_token_ids, prompt_tokens

        if not isinstance(prompt, str):
            ids = tuple(_token_ids(prompt).tolist())
        elif self.tokenizer is None:
            ids = parse_token_ids(prompt)
        else:
            ids = prompt_tokens(prompt, self.tokenizer, self.program)
        return ids or (self.program.boundary_token,)

    def _ends_and_allowed(self, ignore_end: bool) -> tuple[frozenset[int], int]:
        """Tokens that end a text, and the end of the ids that may be drawn."""
        from ..runtime.generation import end_tokens

        size = self.program.vocabulary_size
        allowed = size if self.tokenizer is None else min(size, self.tokenizer.vocabulary_size)
        return frozenset() if ignore_end else end_tokens(self.program, self.tokenizer), allowed

    def _notes(self, length: int) -> tuple[str, ...]:
        from ..runtime.trained_length import beyond_its_length

        notes = [*self._said, *beyond_its_length(self.program, length, "prompt and text may take")]
        if self.tokenizer is not None:
            pieces, rows = self.tokenizer.vocabulary_size, self.program.vocabulary_size
            if self._found:
                notes.append(f"the tokenizer was not given; {self.tokenizer.source} was found in or beside the model")
            if pieces < rows:
                notes.append(
                    f"the tokenizer has {pieces:,} pieces and the model {rows:,} tokens; the rest is never drawn"
                )
            notes.extend(self.tokenizer.assumed)
        return tuple(notes)

    def described_tokenizer(self) -> Mapping[str, object] | None:
        """Kind, source, digest and number of pieces of the tokenizer."""
        found = self.tokenizer
        if found is None:
            return None
        return {"kind": found.kind, "source": found.source, "digest": found.digest, "pieces": found.vocabulary_size}


def _token_ids(tokens: object) -> np.ndarray:
    """Token ids as an integer array [length] or [batch, length]; WrongTypeError for what is none: 1.5 is not 1."""
    import numpy as np

    found = np.zeros((0, 0, 0))
    if isinstance(tokens, Sequence | np.ndarray) or hasattr(tokens, "__array__"):
        with suppress(ValueError, TypeError, RuntimeError):  # rows of different lengths; what another device holds
            found = np.asarray(tokens)
    of_objects, masked = found.dtype.kind == "O", isinstance(tokens, np.ma.MaskedArray)
    whole = all(map(is_whole, found.flat)) if of_objects else not found.size or found.dtype.kind in "iu"
    if found.ndim not in (1, 2) or not whole or masked:
        raise WrongTypeError(f"tokens are {described(tokens)}; give whole numbers, [length] or [batch, length]")
    try:
        return np.array(found.tolist(), np.int64).reshape(found.shape)
    except OverflowError as error:
        raise DataError("a token id is beyond 64 bits; tokenize with the model's own tokenizer") from error

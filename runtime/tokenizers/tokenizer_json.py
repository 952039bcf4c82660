"""The `tokenizers` library: tokenizer.json, vocab.json with merges.txt, and pipelines that are built from their parts.

Strategy: the library encodes. Which bytes a piece stands for is derived from the decoder that the file names: the
alphabet of byte-level BPE, U+2581 for a space with bytes as "<0x0A>", or the piece itself. What drops or rewrites text
by design (WordPiece, words as tokens) is refused, since no count of bytes could be right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...files.nested_text import parse_json
from .tables import MOST_IDS
from .tokenizer import Pieces, Tokenizer

if TYPE_CHECKING:
    import tokenizers

SPACE = "\u2581"
MODELS = ("BPE", "Unigram")


def byte_alphabet() -> dict[str, int]:
    """The byte that each character of byte-level BPE stands for: itself where it is printable, else one from U+0100 on.

    Source: `bytes_to_unicode` of GPT-2's encoder.py.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in printable]
    return {chr(v): v for v in printable} | {chr(0x100 + number): v for number, v in enumerate(others)}


class LibraryTokenizer(Tokenizer):
    """A pipeline of the `tokenizers` library; `described` is its JSON."""

    kind = "tokenizer.json"

    def __init__(self, library: tokenizers.Tokenizer, source: str, digest: str, kind: str | None = None) -> None:
        super().__init__(source, digest)
        library.no_truncation()
        library.no_padding()
        self._library = library
        self._described: dict[str, Any] = json.loads(library.to_str())
        if kind is not None:
            self.kind = kind
        _refuse_lossy_kinds(self._described, source)
        self.beginning = _beginning(library, self._described)

    @cached_property
    def pieces(self) -> Pieces:
        described, library = self._described, self._library
        spell = _spelling(described)
        size = library.get_vocab_size(with_added_tokens=True)
        vocabulary = library.get_vocab(with_added_tokens=True)
        size = max(size, 1 + max(vocabulary.values(), default=-1))
        texts, boundary = [b""] * size, set(range(size))
        for piece, token in vocabulary.items():
            texts[token] = spell(piece)
            boundary.discard(token)
        for added in described.get("added_tokens") or []:
            texts[added["id"]] = added["content"].encode()
            if added["special"]:
                boundary.add(added["id"])
        spaced = [token for token, text in enumerate(texts) if text.startswith(b" ")] if _adds_space(described) else ()
        return Pieces.of(texts, sorted(boundary), _unknown(described, vocabulary), spaced)

    def encode_document(self, text: str) -> list[int]:
        return self._library.encode(text, add_special_tokens=False).ids

    def encode_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        found = self._library.encode(text, add_special_tokens=False)
        places = [0, *accumulate(len(character.encode("utf-8", "surrogatepass")) for character in text)]
        return found.ids, [(places[start], places[stop]) for start, stop in found.offsets]

    def decode_runs(self, runs: list[list[int]]) -> list[str]:
        return self._library.decode_batch(runs, skip_special_tokens=False)

    def piece(self, token: int) -> str:
        return self._library.id_to_token(token) or "(no piece)"


def read_tokenizer_json(data: bytes, source: str) -> LibraryTokenizer:
    """A tokenizer.json; DataError when the library cannot read it or its bytes cannot be counted."""
    import tokenizers

    try:
        described = parse_json(data.decode("utf-8"))
    except ValueError as error:
        raise DataError(f"{source} is not JSON ({error}); copy it again") from error
    if not isinstance(described, Mapping) or not isinstance(described.get("model"), Mapping):
        raise DataError(f"{source} is no tokenizer.json: it has no model; give the file of that name, or its folder")
    _refuse_lossy_kinds(described, source)
    _check_ids(described["model"].get("vocab"), described.get("added_tokens"), source)
    try:
        library = tokenizers.Tokenizer.from_str(data.decode("utf-8"))
    except Exception as error:  # the library raises Exception itself
        way_out = "give the file that lies with the model"
        raise DataError(f"{source}: the tokenizers library cannot read it: {error}; {way_out}") from error
    return LibraryTokenizer(library, source, hashlib.sha256(data).hexdigest())


def _check_ids(vocabulary: object, added: object, source: str) -> None:
    """DataError for an id beyond any vocabulary, up to which the library would count until the process ends, and for
    pieces of the same id, of which the library takes now the one, now the other.
    """
    ids = list(vocabulary.values()) if isinstance(vocabulary, Mapping) else []
    if len(set(map(str, ids))) != len(ids):
        raise DataError(f"{source} gives two of its pieces the same id; copy it again")
    ids += [token.get("id") for token in added if isinstance(token, Mapping)] if isinstance(added, list) else []
    large = next((token for token in ids if isinstance(token, int) and token >= MOST_IDS), None)
    if large is not None:
        raise DataError(
            f"{source} gives a piece the id {large:,}; no vocabulary has more than {MOST_IDS:,} ids, copy it again"
        )


def byte_level_pipeline(
    vocabulary: Mapping[str, int],
    merges: list[tuple[str, str]],
    patterns: tuple[str, ...],
    special: Mapping[str, bool],
    *,
    whole_words: bool = False,
) -> tokenizers.Tokenizer:
    """A byte-level BPE from its parts: pieces and merges in the byte alphabet, and patterns that cut a text into words.

    special : of each added token, whether it is a control piece (True) or text that is kept whole (False)
    whole_words : a word that is a piece is taken whole, whatever the merges would make of it
    """
    import tokenizers
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers

    library = tokenizers.Tokenizer(models.BPE(dict(vocabulary), merges, ignore_merges=whole_words))
    cuts: list[Any] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [*cuts, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    library.decoder = decoders.ByteLevel()
    added = [AddedToken(piece, special=control, normalized=False) for piece, control in special.items()]
    library.add_special_tokens([token for token in added if token.special])
    library.add_tokens([token for token in added if not token.special])
    return library


def read_vocabulary_and_merges(vocabulary: bytes, merges: bytes, source: str, cut: str) -> LibraryTokenizer:
    """GPT-2's vocab.json and merges.txt; `cut` is the pattern that cuts words. DataError when they do not fit."""
    try:
        pieces = parse_json(vocabulary.decode("utf-8"))
        _check_ids(pieces, None, source)
        lines = [line for line in merges.decode("utf-8").split("\n") if line and not line.startswith("#version")]
        pairs = [(left, right) for left, right in (line.split(" ") for line in lines)]
        special = {piece: True for piece in pieces if piece.startswith("<|") and piece.endswith("|>")}
        library = byte_level_pipeline(pieces, pairs, (cut,), special)
    except DataError:
        raise
    except Exception as error:  # the library raises Exception itself
        raise DataError(f"{source} and merges.txt beside it are no vocabulary of byte-level BPE: {error}") from error
    return LibraryTokenizer(
        library, source, hashlib.sha256(vocabulary + merges).hexdigest(), "vocab.json and merges.txt"
    )


def _refuse_lossy_kinds(described: Mapping[str, Any], source: str) -> None:
    model = described["model"]
    kind = model.get("type") or ("WordPiece" if "max_input_chars_per_word" in model else "BPE")
    if kind not in MODELS:
        raise DataError(
            f"{source} is a {kind} tokenizer, which drops the white space of a text, so that bits per byte cannot be "
            "counted; models with BPE, unigram, bytes or characters can be scored"
        )
    ending = model.get("end_of_word_suffix") or model.get("continuing_subword_prefix")
    if ending:
        raise DataError(
            f"{source} marks words with {ending!r} and drops the white space between them, so that bits per byte "
            "cannot be counted; models with byte-level BPE, metaspace or unigram can be scored"
        )


def _parts(described: Any) -> Iterator[Mapping[str, Any]]:
    """A step of a pipeline and all steps inside it."""
    if isinstance(described, Mapping):
        yield described
        for name in ("normalizers", "pretokenizers", "decoders", "processors"):
            for inner in described.get(name) or []:
                yield from _parts(inner)


def _spelling(described: Mapping[str, Any]):
    """The bytes of text that a piece stands for, as a function of its spelling."""
    steps = [*_parts(described.get("pre_tokenizer")), *_parts(described.get("decoder"))]
    if any(step.get("type") == "ByteLevel" for step in steps):
        alphabet = byte_alphabet()

        def of_bytes(piece: str) -> bytes:
            try:
                return bytes([alphabet[character] for character in piece])
            except KeyError:  # an added token, which stands for itself
                return piece.encode()

        return of_bytes
    fallback = bool(described["model"].get("byte_fallback"))
    spaces = any(
        SPACE in json.dumps(step, ensure_ascii=False) for step in (*steps, *_parts(described.get("normalizer")))
    )

    def of_text(piece: str) -> bytes:
        if fallback and len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return (piece.replace(SPACE, " ") if spaces else piece).encode()

    return of_text


def _adds_space(described: Mapping[str, Any]) -> bool:
    """Whether the pipeline puts a space before a text."""
    steps = [*_parts(described.get("normalizer")), *_parts(described.get("pre_tokenizer"))]
    return any(
        step.get("type") == "Prepend"
        or (step.get("type") == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        or (step.get("type") == "ByteLevel" and step.get("add_prefix_space"))
        for step in steps
    )


def _unknown(described: Mapping[str, Any], vocabulary: Mapping[str, int]) -> int | None:
    model = described["model"]
    unknown = model.get("unk_id") if model.get("unk_id") is not None else model.get("unk_token")
    return vocabulary.get(unknown) if isinstance(unknown, str) else unknown


def _beginning(library: tokenizers.Tokenizer, described: Mapping[str, Any]) -> int | None:
    """The token that the pipeline's last step puts before a text; -1 when it has such a step and it puts none."""
    steps = [step.get("type") for step in _parts(described.get("post_processor"))]
    if "TemplateProcessing" not in steps:
        return None
    ids = library.encode("", add_special_tokens=True).ids
    template = next(step for step in _parts(described["post_processor"]) if step.get("type") == "TemplateProcessing")
    first: Mapping[str, Any] = next(iter(template.get("single") or []), {})
    return ids[0] if ids and "SpecialToken" in first else -1

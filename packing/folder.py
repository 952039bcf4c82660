"""From an artifact to the files of a submission folder, in the order in which it happens.

Strategy: make the script, count, run it on made-up tokens beside the runtime, run it on the user's data where there are
some, and describe what was measured. All of that is in memory and in folders that go again; whoever calls writes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..display import ShownByFacts
from ..errors import CompileError, DataError, VerificationError
from ..files.ledger import Ledger
from ..format.artifact import Artifact, decode_tensors, read_artifact
from ..progress import Progress, silent
from ..runtime.check import Outcome
from ..runtime.evaluation import ScoringData, ScoringOptions, choose_documents, read_scoring_data
from ..runtime.identity import compare_tokenizer
from ..runtime.interpreter import Interpreter
from ..runtime.scoring import score
from ..runtime.tokenizers import SentencepieceTokenizer, Tokenizer
from .decoding_needs import stored_plainly
from .script import artifact_script
from .submission import (
    ARTIFACT_NAME,
    LOG_NAME,
    REQUIREMENTS,
    TABLE_NAME,
    Description,
    MeasuredScore,
    byte_table_entries,
    encode_byte_table,
    readme,
    submission_json,
    submission_ledger,
)
from .trial import Trial, read_score, run_on_data, try_script

LARGEST_SCRIPT = 16_000  # bytes
DIGEST_DIGITS = 16
JOINED, SEPARATE, AUTO = "joined", "separate", "auto"


@dataclass(frozen=True, slots=True)
class PackOptions:
    """How a submission is made.

    cap : int or None          bytes of artifact and code together
    script : str               the script's name
    data : path or None        shards that the script scores: a file, a pattern, a folder of fineweb_val_*.bin
    tokenizer : Tokenizer or None     of the data; `tokenizer_file` is where it lies
    stride : int or None       targets a window; by default all
    documents : str            JOINED, SEPARATE, or AUTO: what scoring would choose on the data, JOINED without
    """

    cap: int | None = None
    script: str = "train_gpt.py"
    data: Path | None = None
    tokenizer: Tokenizer | None = None
    tokenizer_file: Path | None = None
    stride: int | None = None
    documents: str = AUTO
    description: Description = field(default_factory=Description)


@dataclass(frozen=True, slots=True, repr=False)
class Packed(ShownByFacts):
    """The files of a submission and what is known of them.

    files : bytes by name              everything in the folder
    ledger : Ledger                    the bytes that count: artifact, script, table of a tokenizer
    trial : Trial                      the script's loss beside the runtime's on made-up tokens
    score : MeasuredScore or None      what the script scored on the data given
    documents : str                    how the script reads documents unless told otherwise
    notes : tuple of str               what was assumed or is missing, in sentences
    """

    script: str
    files: Mapping[str, bytes]
    ledger: Ledger
    trial: Trial
    score: MeasuredScore | None
    documents: str
    notes: tuple[str, ...]

    def shown_facts(self) -> Mapping[str, str]:
        """What counts, how the script compares with the runtime, and what it scored."""
        nothing = "none, no data were given"
        score = nothing if self.score is None else f"{self.score.bits_per_byte:.6f} bits per byte"
        return {
            **self.ledger.shown_facts(),
            "files": ", ".join(self.files),
            "script against runtime": f"{self.trial.difference:+.2e} nats a token on made-up tokens",
            "score": score,
        }


def pack_artifact(data: bytes, options: PackOptions, progress: Progress | None = None) -> Packed:
    """The files of a submission of an artifact.

    Raises ArtifactError, DataError, CompileError when artifact and code do not fit the cap or the script is larger than
    LARGEST_SCRIPT, VerificationError when the script fails or does not compute what the runtime computes.
    """
    told = progress or silent
    told("decode", 0, 0)
    given, data = len(data), stored_plainly(data)
    content = read_artifact(data)
    tensors = decode_tensors(content)
    table, digest, more = _tokenizer_table(content, options)
    scored, documents, notes = _scoring_data(content, tensors, options)
    constants: dict[str, str | int] = {
        "SHIPPED_ARTIFACT": ARTIFACT_NAME,
        "SHIPPED_TABLE": TABLE_NAME if table else "",
        "SHIPPED_PIECES": digest,
        "SHIPPED_DOCUMENTS": documents,
        "SHIPPED_STRIDE": options.stride or 0,
    }
    code = {options.script: artifact_script(content, constants), **table}
    ledger = submission_ledger(data, code, options.cap)
    _check_sizes(ledger, len(code[options.script]))
    shipped = {ARTIFACT_NAME: data, **code}
    told("run the script beside the runtime", 0, 0)
    trial = try_script(options.script, shipped, content.program, tensors)
    if scored is not None:
        told("score by the script", 0, 0)
    measured, log = _measured(shipped, scored, content, options)
    described = options.description
    files = {
        **shipped,
        "submission.json": submission_json(described, ledger, measured),
        "README.md": readme(described, ledger, measured, options.script, _shown_options(options, bool(table))),
        "requirements.txt": REQUIREMENTS.encode(),
        **log,
    }
    return Packed(
        options.script,
        files,
        ledger,
        trial,
        measured,
        documents,
        (*_larger(len(data) - given), _window(content), *notes, *more, *_missing(described)),
    )


def _window(content: Artifact) -> str:
    return f"the script scores in windows of {content.program.sequence_length:,} tokens, the program's sequence length"


def _check_sizes(ledger: Ledger, script_bytes: int) -> None:
    if script_bytes > LARGEST_SCRIPT:
        raise CompileError(f"the packed script has {script_bytes:,} bytes, and {LARGEST_SCRIPT:,} are allowed")
    if not ledger.fits and ledger.cap is not None:
        raise CompileError(
            f"artifact ({ledger.artifact_bytes:,} bytes) and code ({ledger.code_bytes:,}) are {ledger.total_bytes:,} "
            f"bytes, {ledger.total_bytes - ledger.cap:,} over the cap of {ledger.cap:,}; compile to a cap that leaves "
            "room for the code",
            argument="cap",
        )


def _scoring_data(
    content: Artifact, tensors: Sequence[np.ndarray], options: PackOptions
) -> tuple[ScoringData | None, str, tuple[str, ...]]:
    """The data as the runtime reads them, how documents are read, and what was assumed."""
    if options.data is None:
        assumed = ("documents run on into each other, which no data were given to try",)
        return None, *((JOINED, assumed) if options.documents == AUTO else (options.documents, ()))
    wanted = ScoringOptions(stride=options.stride, documents=options.documents)
    read = read_scoring_data(content.program, data_pattern(options.data), options.tokenizer, wanted)
    if read.tokens.text is not None:
        raise DataError(f"{options.data} is text, and a packed script scores token shards; write its tokens as a shard")
    read = choose_documents(Interpreter(content.program, tensors), read, wanted)
    return read, JOINED if read.documents is None else SEPARATE, read.notes


def data_pattern(data: Path) -> str:
    """What a folder means: the challenge's validation shards in it."""
    return str(data / "fineweb_val_*.bin" if data.is_dir() else data)


def _tokenizer_table(content: Artifact, options: PackOptions) -> tuple[dict[str, bytes], str, tuple[str, ...]]:
    """The table that the script needs of a tokenizer that is no sentencepiece model; the digest of any; and notes."""
    if options.tokenizer is None:
        return {}, "", ("no tokenizer is given: the script takes any that has a piece for every token",)
    check = compare_tokenizer(content.identity, content.program.vocabulary_size, options.tokenizer)
    if check.outcome is Outcome.FAILED:
        raise DataError(f"{check.detail}; give the tokenizer that the model was made with")
    table = options.tokenizer.byte_table()
    digest = hashlib.sha256(byte_table_entries(table)).hexdigest()[:DIGEST_DIGITS]
    if isinstance(options.tokenizer, SentencepieceTokenizer):
        return {}, digest, ()
    note = f"the tokenizer is no sentencepiece model, so the bytes of its pieces are in {TABLE_NAME}, which counts"
    return {TABLE_NAME: encode_byte_table(table)}, digest, (note,)


def _measured(
    shipped: Mapping[str, bytes], read: ScoringData | None, content: Artifact, options: PackOptions
) -> tuple[MeasuredScore | None, dict[str, bytes]]:
    """What the script scores on the data, and its log; tokens and bytes must be those that the runtime would score."""
    if read is None or options.data is None:
        return None, {}
    asked = ["--data", data_pattern(options.data.absolute())]
    if isinstance(options.tokenizer, SentencepieceTokenizer) and options.tokenizer_file is not None:
        asked += ["--tokenizer", str(options.tokenizer_file.absolute())]
    log = run_on_data(options.script, shipped, asked)
    found = read_score(log)
    expected = score(
        _NoLoss(),
        read.tokens,
        text=read.text,
        sequence_length=content.program.sequence_length,
        stride=options.stride,
        documents=read.documents,
    )
    if (found.tokens, found.bytes) != (expected.tokens, expected.bytes):
        raise VerificationError(
            f"the packed script scored {found.tokens:,} tokens of {found.bytes:,} bytes, the runtime would score "
            f"{expected.tokens:,} of {expected.bytes:,}; nothing was written"
        )
    return found, {LOG_NAME: log.encode()}


class _NoLoss:
    """A model that knows every token: scored for the tokens and bytes alone."""

    def token_losses(self, tokens: np.ndarray) -> np.ndarray:
        return np.zeros((tokens.shape[0], tokens.shape[1] - 1))


def _shown_options(options: PackOptions, has_table: bool) -> list[str]:
    """The options that somebody else would run the script with: names without folders."""
    shown = ["--data", "fineweb_val_*.bin" if options.data is None or options.data.is_dir() else options.data.name]
    if not has_table:
        name = "fineweb_1024_bpe.model" if options.tokenizer_file is None else options.tokenizer_file.name
        shown += ["--tokenizer", name]
    return shown


def _missing(described: Description) -> list[str]:
    return ["no author is given: submission.json names none"] if described.author is None else []


def _larger(difference: int) -> list[str]:
    reason = "the script cannot undo zstandard and brotli, so the artifact's sections are stored plainly"
    return [f"{reason}: {difference:+,} bytes"] if difference else []

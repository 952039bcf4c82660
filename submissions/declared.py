"""What a submission.json declares: typed claims out of the hundreds of names that people use.

Strategy: the document is walked once. The words of a key, and the keys around it, say which quantity it is, whose
(one seed's, the mean over seeds, the maximum) and in which unit; a key about somebody else's run, a limit or a
difference is no claim. Nothing is guessed beyond that: a size or score whose role is not clear stays a claim of
role "other", which is told and never judged.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from .declared_numbers import Amount, read_amount

LOOKED_AT = 50_000  # values of one document
LONGEST_KEY = 100
SHOWN_CLAIMS = 500  # claims read from one document; a document of more is no description of a run


class Quantity(enum.Enum):
    """What a claim is about."""

    TOTAL_BYTES = "total bytes"
    MODEL_BYTES = "model bytes"
    CODE_BYTES = "code bytes"
    SCORE = "bits per byte"
    TRAINING_SECONDS = "training time"
    EVALUATION_SECONDS = "evaluation time"


@dataclass(frozen=True, slots=True)
class Claim:
    """One declared number.

    quantity : Quantity
    path : str          where it stands: "seed_results.42.artifact_bytes"
    amount : Amount     its value in bytes, bits per byte or seconds; no value for "pending"
    role : str          "headline", "seed", or "other" (a stage, an ablation: told, never judged)
    seed : str          the seed, "" for a claim over all
    statistic : str     "mean", "max", "min", or ""
    """

    quantity: Quantity
    path: str
    amount: Amount
    role: str
    seed: str = ""
    statistic: str = ""


# Keys about another run, a bound or a difference; any of them anywhere in the path.
_NOT_OURS = frozenset(
    "comparison comparisons baseline baselines base parent lineage previous prior sota record reference delta deltas "
    "vs improvement gain gap std stdev sem var variance stderr ablation ablations target targets limit limits cap "
    "budget headroom margin remaining overhead slack threshold hyperparameters hparams config env old leaderboard "
    "control sweep sweeps history evolution proxy estimate estimated expected ratio saved savings before after "
    "pct percent note notes command commands url tokenizer vocab batch dim hidden seq context window params p "
    "calibration reserve rerun ref digest method authority under status ema decay precision effective reported "
    "by".split()
)
_SCORE_WORDS = frozenset(("bpb", "bpp"))
# A key of a score with any other word is of a stage or a part of the model ("val_bpb_nn_only_mean").
_HEADLINE_SCORE_WORDS = frozenset(
    "val validation bpb bpp bpbs score scores mean avg average median minimum maximum min max final result results "
    "value values test three five seed seeds run runs perseed per all of over".split()
)
_STAGE_WORDS = frozenset(
    "pre prequant prettt quantized quant quantization roundtrip sliding ema swa standard int5 int6 int8 ttt post stage "
    "raw uncompressed float fp32 fp16 bf16 diagnostic train training best worst byte sp1024 neural window sw slot xsa "
    "zstd zlib lzma ngram stack payload without exact official unquantized mc".split()
)
_CONTAINERS = frozenset(
    "results result metrics metric artifact artifacts size sizes submission final summary scores score "
    "compliance official evaluation eval bytes".split()
)
_SEED_WORDS = frozenset("seed seeds runs run perseed".split())
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_SEED_KEY = re.compile(r"(?:seed|s)?[_\- ]?(\d{1,10})", re.IGNORECASE)
_SEED_SUFFIX = re.compile(r"[_\-.]?(?:seed[_\-]?|s)(\d{1,10})$", re.IGNORECASE)


def claims_of(document: object) -> tuple[Claim, ...]:
    """Every claim of a JSON document, in its order; at most SHOWN_CLAIMS, of the first LOOKED_AT values."""
    claims: list[Claim] = []
    for path, value in islice(_leaves(document, ()), LOOKED_AT):
        if (claim := _claim(path, value)) is not None:
            claims.append(claim)
            if len(claims) >= SHOWN_CLAIMS:
                break
    return tuple(claims)


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Path and value of everything that is neither dict nor list; an object with a field "seed" is keyed by it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)[:LONGEST_KEY]))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            seed = item.get("seed") if isinstance(item, dict) else None
            named = isinstance(seed, int | str) and not isinstance(seed, bool) and str(seed).isdigit()
            yield from _leaves(item, (*path, f"seed_{seed}" if named else f"#{index}"))
    else:
        yield path, value


def held_scores(document: Mapping[str, object], claims: Sequence[Claim]) -> str:
    """What stands under a score's name at the top instead of one number, and how it was read; "" where nothing does."""
    for key, value in document.items():
        words = frozenset(words_of(key[:LONGEST_KEY]))
        if not words & _SCORE_WORDS or not words <= _HEADLINE_SCORE_WORDS or not isinstance(value, dict | list):
            continue
        if not value:
            return f"{key} is an empty {'object' if isinstance(value, dict) else 'list'}; give one number"
        held = f"a list of {len(value)}"
        if isinstance(value, dict):
            held = f"an object of {', '.join(repr(name[:LONGEST_KEY]) for name in list(value)[:3])}"
            held += ", ..." if len(value) > 3 else ""
        if any(claim.path.startswith(f"{key}.") for claim in claims):
            return f"{key} is {held}, read as the scores of single runs; the submission's own is one number beside it"
        return f"{key} is {held}, of which none is taken for the submission's score; give one number"
    return ""


def words_of(key: str) -> tuple[str, ...]:
    """The words of a key in lower case: "artifactBytes_mean" gives artifact, bytes, mean; int8 stays one word."""
    words: list[str] = []
    for part in re.split(r"[^A-Za-z0-9]+", key):
        if re.fullmatch(r"[A-Za-z]{1,4}\d{1,4}", part):
            words.append(part.lower())
        else:
            words += [word.lower() for word in _WORD.findall(part)]
    return tuple(words)


def _claim(path: tuple[str, ...], value: object) -> Claim | None:
    if isinstance(value, bool) or not path:
        return None
    names, seed = _without_seeds(path)
    if not names:
        return None
    own = words_of(names[-1])
    above = tuple(word for name in names[:-1] for word in words_of(name))
    if _NOT_OURS.intersection(own + above):
        return None
    quantity = _quantity(own, above, value)
    if quantity is None:
        return None
    amount = read_amount(value, own, sizes=quantity.value.endswith("bytes"), times=quantity.value.endswith("time"))
    if amount is None:
        return None
    statistic = next((word for word in ("mean", "max", "min") if word in own or f"{word}imum" in own), "")
    if "avg" in own or "average" in own:
        statistic = "mean"
    return Claim(quantity, ".".join(path), amount, _role(quantity, own, names, seed), seed, statistic)


def _without_seeds(path: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The keys that are words, and the seed that a key, a list index or the end of a key names."""
    names: list[str] = []
    seed = ""
    for key in path:
        if key.startswith("#"):
            seed = seed or key
        elif match := _SEED_KEY.fullmatch(key):
            seed = match.group(1)
        else:
            if suffix := _SEED_SUFFIX.search(key):
                seed, key = suffix.group(1), key[: suffix.start()]
            names.append(key)
    return tuple(names), seed


def _quantity(own: tuple[str, ...], above: tuple[str, ...], value: object) -> Quantity | None:
    words = frozenset(own)
    if words & _SCORE_WORDS:
        return Quantity.SCORE
    if words & {"bytes", "byte", "mb", "mib", "kb", "size", "artifact"} and not words & {"under", "bpe"}:
        return _size(words)
    if words & {"seconds", "time", "wallclock", "s", "ms"} and not words & {"step", "avg", "per", "stop", "date"}:
        if words & {"eval", "evaluation", "ttt", "evaluating"}:
            return Quantity.EVALUATION_SECONDS
        if words & {"train", "training", "wallclock"} and not words & {"max"}:
            return Quantity.TRAINING_SECONDS
        return None
    only_seeds = words <= _SEED_WORDS | {"results", "scores", "score", "values", "losses", "bpbs"}
    if "losses" not in words and only_seeds and isinstance(value, float) and 0.0 < value < 20.0:
        return Quantity.SCORE
    if not own and _SCORE_WORDS & frozenset(above):
        return Quantity.SCORE
    return None


def _size(words: frozenset[str]) -> Quantity | None:
    if "plus" in words or "total" in words or words & {"artifact", "submission"}:
        return Quantity.TOTAL_BYTES
    if words & {"code", "script", "source"}:
        return Quantity.CODE_BYTES
    if words & {"model", "weights", "compressed", "blob", "ptz", "quantized"}:
        return Quantity.MODEL_BYTES
    return Quantity.TOTAL_BYTES if words <= {"bytes", "size", "mb", "mean", "max", "min", "seed", "seeds"} else None


def _role(quantity: Quantity, own: tuple[str, ...], names: tuple[str, ...], seed: str) -> str:
    """ "headline" at the top or in a container for results, "seed" with a seed, "other" for stages and the rest."""
    if quantity is Quantity.SCORE:
        staged = any(word not in _HEADLINE_SCORE_WORDS and not word.isdigit() for word in own)
    else:
        staged = quantity is Quantity.TOTAL_BYTES and bool(_STAGE_WORDS.intersection(own))
    above = frozenset(word for name in names[:-1] for word in words_of(name))
    if staged or not above <= _CONTAINERS | _SEED_WORDS | {"per", "all"}:
        return "other"
    return "seed" if seed else "headline"

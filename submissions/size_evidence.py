"""Which totals a folder's own numbers explain, and whether a declared one is among them.

Strategy: everything that people write into a total is a short list: a logged total, a logged model with one of
the code sizes, a mean over the seeds, one of these rounded. The list is made once, in the order in which an
explanation convinces; a declared number is explained by the first entry it is equal to. Because the list is short,
a number that is not true is explained by chance about once in ten thousand (tests/submissions/test_size_evidence.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .declared import Claim, Quantity
from .declared_numbers import Amount
from .log_lines import LoggedSize
from .logs import LogFacts, final_models, final_totals
from .shipped_code import ShippedCode

CANDIDATES = 2_000
ROUNDINGS = (100_000, 10_000, 1_000)  # a total that ends with so many zeros may be a rounded one


@dataclass(frozen=True, slots=True)
class Candidate:
    """A total that the folder's numbers give.

    value : float
    kind : str        "logged", "sum", "mean", "declared", "plain" (model before compression), "model" (no code)
    what : str        the same in words: "the logged total int8+zlib"
    place : str       "train.log:1130", "" for what several files give
    """

    value: float
    kind: str
    what: str
    place: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a declared number comes about: the candidate, and " rounded to 1,000" or "" for exactly."""

    candidate: Candidate
    manner: str = ""
    mebibytes: bool = False


def size_candidates(
    logs: Sequence[LogFacts], claims: Sequence[Claim], code: ShippedCode, seeds: Sequence[str]
) -> list[Candidate]:
    """All totals that logs, declared code and shipped code give, the most convincing kind first."""
    codes = _code_sizes(logs, claims, code)
    candidates = [
        Candidate(size.value, "logged", f"the logged total {size.label}".strip(), f"{log.name}:{size.line}")
        for log in logs
        for size in final_totals(log)
    ]
    models = [(log, size) for log in logs for size in final_models(log)]
    candidates += [
        Candidate(size.value + value, "sum", f"the logged model {size.value:,} + {what} {value:,}", log.name)
        for log, size in models
        for value, what in codes.items()
    ]
    candidates += _means(logs, codes, seeds)
    candidates += [
        Candidate(size.value, "model", f"the logged model {size.label}, without code", f"{log.name}:{size.line}")
        for log, size in models
    ]
    candidates += _model_means(logs, seeds)
    candidates += _declared_seeds(claims)
    candidates += [
        Candidate(size.value, "plain", "the logged total of the model before compression", f"{log.name}:{size.line}")
        for log in logs
        for size in log.sizes
        if size.kind == "total" and not size.label
    ]
    return candidates[:CANDIDATES]


def _code_sizes(logs: Sequence[LogFacts], claims: Sequence[Claim], code: ShippedCode) -> dict[int, str]:
    """Sizes of code that a total may count, each with its name."""
    codes: dict[int, str] = {}
    if code.script_bytes:
        codes[code.script_bytes] = f"the shipped {code.script}"
        codes.setdefault(code.closure_bytes, "all shipped code")
    for log in logs:
        for size in log.sizes:
            if size.kind == "code":
                codes.setdefault(size.value, f"the logged code {size.label}".strip())
    for claim in claims:
        if claim.quantity is Quantity.CODE_BYTES and claim.amount.value:
            codes.setdefault(int(claim.amount.value), "the declared code")
    return dict(list(codes.items())[:8])


def _means(logs: Sequence[LogFacts], codes: dict[int, str], seeds: Sequence[str]) -> list[Candidate]:
    candidates = []
    for name, chosen in log_groups(logs, seeds):
        totals = _by_label((log, final_totals(log)) for log in chosen)
        models = _by_label((log, final_models(log)) for log in chosen)
        for values in totals.values():
            if len(values) > 1:
                candidates.append(Candidate(_mean(values), "mean", f"the mean of {len(values)} logged totals{name}"))
        for values in models.values():
            if len(values) > 1:
                candidates += [
                    Candidate(_mean(values) + value, "mean", f"the mean of {len(values)} logged models{name} + {what}")
                    for value, what in codes.items()
                ]
    return candidates


def _model_means(logs: Sequence[LogFacts], seeds: Sequence[str]) -> list[Candidate]:
    return [
        Candidate(_mean(values), "model", f"the mean of {len(values)} logged models{name}, without code")
        for name, chosen in log_groups(logs, seeds)
        for values in _by_label((log, final_models(log)) for log in chosen).values()
        if len(values) > 1
    ]


def _declared_seeds(claims: Sequence[Claim]) -> list[Candidate]:
    """Mean and extremes of the totals that are declared seed by seed; those are judged one by one themselves."""
    by_name: dict[str, list[float]] = {}
    for claim in claims:
        if claim.quantity is Quantity.TOTAL_BYTES and claim.role == "seed" and claim.amount.value is not None:
            by_name.setdefault(claim.path.rpartition(".")[2], []).append(claim.amount.value)
    groups = [values for values in by_name.values() if len(values) > 1]
    if not groups and len(by_name) > 1:  # the seed stands in the name itself: bytes_total_seed42
        groups = [[value for values in by_name.values() for value in values]]
    candidates = []
    for values in groups:
        for what, value in (("mean", _mean(values)), ("largest", max(values)), ("smallest", min(values))):
            candidates.append(Candidate(value, "declared", f"the {what} of the {len(values)} totals declared by seed"))
    return candidates


def log_groups(logs: Sequence[LogFacts], seeds: Sequence[str]) -> list[tuple[str, list[LogFacts]]]:
    """The groups of logs that a mean may be over: all, and those of the declared seeds where they are fewer."""
    groups = [("", list(logs))] if logs else []
    of_seeds = [log for log in logs if log.seed in seeds]
    if 1 < len(of_seeds) < len(logs):
        groups.append((" of the declared seeds", of_seeds))
    return groups


def _by_label(entries: Iterable[tuple[LogFacts, Sequence[LoggedSize]]]) -> dict[str, list[float]]:
    """By label the last size of each log; of a single log, every one: it may hold several runs."""
    entries = list(entries)
    values: dict[str, list[float]] = {}
    for _, sizes in entries:
        last = {size.label: size.value for size in sizes}.items()
        for label, value in last if len(entries) > 1 else [(size.label, size.value) for size in sizes]:
            values.setdefault(label, []).append(value)
    return values


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def explain(amount: Amount, candidates: Sequence[Candidate]) -> Explanation | None:
    """The first candidate that would be written as `amount`: exactly, as a mean, rounded, in MB, in MiB."""
    if amount.value is None:
        return None
    for candidate in candidates:
        if amount.matches(candidate.value, slack=0.0 if float(candidate.value).is_integer() else 0.999):
            return Explanation(candidate, "" if not amount.resolution else f", written as {amount.written}")
    if amount.resolution == 0:
        return _explain_rounded(int(amount.value), candidates)
    if amount.binary_value is not None:
        half = amount.resolution * amount.binary_value / amount.value if amount.value else 0.0
        for candidate in candidates:
            if abs(candidate.value - amount.binary_value) <= half:
                return Explanation(candidate, f", {amount.written} read as MiB", mebibytes=True)
    return None


def _explain_rounded(value: int, candidates: Sequence[Candidate]) -> Explanation | None:
    unit = next((unit for unit in ROUNDINGS if value % unit == 0), 0)
    near = [candidate for candidate in candidates if abs(candidate.value - value) < unit]
    if not near:
        return None
    nearest = min(near, key=lambda candidate: (candidate.kind == "model", abs(candidate.value - value)))
    return Explanation(nearest, f", rounded to {unit:,}")

"""Scores: the declared bits per byte against the numbers in the logs.

Strategy: a declared score is looked for among final scores, means of them over the logs, and numbers printed on
the way, in this order and to the digits that were written. A number from before quantization is a finding, one
that is near but not equal a warning, and one that no log has a failure, unless runs without a log leave room.
The score itself is never recomputed here: without the model nothing can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .declaration import Declaration
from .declared import Claim, Quantity, held_scores
from .declared_numbers import Amount
from .findings import Finding, Level, Rule
from .folder import SubmissionFolder
from .log_lines import LoggedScore, Stage
from .logs import LogFacts
from .shipped_code import ShippedCode
from .size_evidence import log_groups

RULES = (
    Rule("score-declared", (Level.PASS,), "The declared score is a logged one, or the mean of logged ones."),
    Rule("score-not-declared", (Level.WARNING,), "No score is declared, or it is no number."),
    Rule(
        "score-near",
        (Level.WARNING,),
        "The declared score is near a logged one, but not equal, or has too few digits to tell.",
    ),
    Rule("score-unquantized", (Level.FINDING,), "The declared score is logged only before quantization."),
    Rule("score-unmatched", (Level.FAIL, Level.FINDING), "No log has the score; a finding where runs have no log."),
    Rule("score-recomputed", (Level.SKIPPED,), "The score itself was not computed, and why."),
    Rule("score-unlogged", (Level.FAIL, Level.SKIPPED), "No log has scores; a fail where there is no script either."),
)
CANDIDATES = 3_000  # of each kind
SEARCHED_CLAIMS = 5  # whose digits are looked for in whole logs
WEIGHT_SUFFIXES = (".ptz", ".pt", ".pth", ".bin", ".npz", ".safetensors", ".bcap", ".gguf")
NEAR = 0.0005  # bits per byte
FEWEST_PLACES = 3  # behind the point: 1.1 is what 1.1999 is cut off to, and no record
_LOSS_BEFORE = re.compile(r"loss\w*['\"]?\s*[:=|]?\s*$", re.IGNORECASE)
SEED_RANGE = 0.005  # bits per byte: seeds of one configuration lie much closer together


@dataclass(frozen=True, slots=True)
class ScoreCandidate:
    """A score that the logs give: kind "final", "mean", "progress" or "before"; `half` half a unit as printed."""

    value: float
    kind: str
    what: str
    place: str
    half: float


def score_candidates(logs: Sequence[LogFacts], seeds: Sequence[str]) -> list[ScoreCandidate]:
    """All scores of the logs, final ones first."""
    final = [_candidate(log, score, "final") for log in logs for score in log.scores if score.stage is Stage.FINAL]
    progress = [_candidate(log, last, "progress") for log in logs if (last := _last(log, Stage.PROGRESS)) is not None]
    before = {
        score.written: _candidate(log, score, "before")
        for log in logs
        for score in log.scores
        if score.stage in (Stage.BEFORE, Stage.TRAINING)
    }
    return (
        final[:CANDIDATES] + _means(logs, seeds)[:CANDIDATES] + progress[:CANDIDATES] + [*before.values()][:CANDIDATES]
    )


def _candidate(log: LogFacts, score: LoggedScore, kind: str) -> ScoreCandidate:
    what = f"{score.label or 'a score'} {score.written}"
    return ScoreCandidate(score.value, kind, what, f"{log.name}:{score.line}", 0.5 * 10.0**-score.places)


def _last(log: LogFacts, stage: Stage) -> LoggedScore | None:
    return next((score for score in reversed(log.scores) if score.stage is stage), None)


def _means(logs: Sequence[LogFacts], seeds: Sequence[str]) -> list[ScoreCandidate]:
    means = []
    for name, chosen in log_groups(logs, seeds):
        by_label: dict[str, list[LoggedScore]] = {}
        for log in chosen:
            for label, scores in _most_precise(log).items():
                by_label.setdefault(label, []).extend(scores[-1:] if len(chosen) > 1 else scores)
        last = [score for log in chosen if (score := _last(log, Stage.FINAL)) is not None]
        by_label[""] = last
        for label, scores in by_label.items():
            if len(scores) > 1:
                value = sum(score.value for score in scores) / len(scores)
                half = max(0.5 * 10.0**-score.places for score in scores)
                what = f"the mean of {len(scores)} logged scores{name} {label}".rstrip()
                means.append(ScoreCandidate(value, "mean", what, "", half))
    return means


def _most_precise(log: LogFacts) -> dict[str, list[LoggedScore]]:
    """By label the final scores of the most digits: one, or one a run where a log holds several."""
    best: dict[str, list[LoggedScore]] = {}
    for score in log.scores:
        if score.stage is Stage.FINAL:
            known = best.setdefault(score.label, [])
            if known and score.places > known[0].places:
                known.clear()
            if not known or score.places == known[0].places:
                known.append(score)
    return best


def match_score(amount: Amount, candidates: Sequence[ScoreCandidate]) -> ScoreCandidate | None:
    """The candidate that is written like `amount`: rounded or cut off at its last place, or at the log's.

    Of several the first kind, the one with the most digits, the nearest.
    """
    if amount.value is None:
        return None
    best: ScoreCandidate | None = None
    for candidate in candidates:
        below, above = candidate.value - amount.value, amount.value - candidate.value
        if below > max(2 * amount.resolution, candidate.half) + 1e-12:  # cut off at the declared digits
            continue
        if above > max(amount.resolution, candidate.half) + 1e-12:  # rounded up
            continue
        if best is None or (candidate.kind == best.kind and candidate.half < best.half):
            best = candidate
    return best


def judge_scores(
    folder: SubmissionFolder, declaration: Declaration, logs: Sequence[LogFacts], code: ShippedCode
) -> list[Finding]:
    """Every declared score that is judged: the headline, and those by seed."""
    candidates = score_candidates(logs, declaration.seeds)
    claims = [claim for claim in declaration.of(Quantity.SCORE, "headline", "seed") if claim.amount.value is not None]
    headline = [claim for claim in claims if claim.role == "headline"]
    findings = [] if headline else [_not_declared(declaration, logs)]
    passed: list[tuple[Claim, str]] = []
    for claim in claims:
        found = match_score(claim.amount, candidates)
        if found is None and claim.role == "headline":
            found = match_score(claim.amount, _declared_means(claims))
        if found is None or found.kind == "before":
            search = len(findings) < SEARCHED_CLAIMS
            findings.append(_not_passed(folder, declaration, claim, found, candidates, logs, code, search))
        elif claim.amount.resolution > 0.5 * 10.0**-FEWEST_PLACES and not _is_exactly(claim.amount, found):
            findings.append(_too_short(declaration, claim, found))
        else:
            passed.append((claim, f"{found.what} ({found.place})" if found.place else found.what))
    if passed:
        claim, what = passed[0]
        more = f"; {len(passed) - 1} more declared scores are logged" if len(passed) > 1 else ""
        values = {claim.path: what for claim, what in passed[:50]}
        text = f"{claim.amount.written} is {what}{more}"
        findings.append(Finding("score-declared", Level.PASS, text, f"{declaration.name}: {claim.path}", values))
    return [*_first_of_each(findings), _not_recomputed(folder)]


def _is_exactly(amount: Amount, found: ScoreCandidate) -> bool:
    """JSON keeps no zeros at the end: 1.22 may be all digits of 1.2200."""
    return amount.value is not None and abs(found.value - amount.value) <= found.half


def _too_short(declaration: Declaration, claim: Claim, found: ScoreCandidate) -> Finding:
    """A score of so few digits that it may stand for scores far from each other."""
    values = {"declared": claim.amount.value, "nearest": found.value}
    text = f"{claim.amount.written} has too few digits to be compared; it may be {found.what}, {found.value:.5f}"
    return Finding("score-near", Level.WARNING, text, f"{declaration.name}: {claim.path}", values)


def _not_recomputed(folder: SubmissionFolder) -> Finding:
    weights = [file.name for file in folder.files if file.suffix in WEIGHT_SUFFIXES]
    why = f"{weights[0]} is not run" if weights else "no model is in the folder"
    return Finding("score-recomputed", Level.SKIPPED, f"the score itself was not computed: {why}")


def _declared_means(claims: Sequence[Claim]) -> list[ScoreCandidate]:
    by_seed = [claim.amount for claim in claims if claim.role == "seed" and claim.amount.value is not None]
    if len(by_seed) < 2:
        return []
    value = sum(amount.value or 0.0 for amount in by_seed) / len(by_seed)
    half = max(amount.resolution for amount in by_seed)
    return [ScoreCandidate(value, "declared", f"the mean of the {len(by_seed)} scores declared by seed", "", half)]


def _not_declared(declaration: Declaration, logs: Sequence[LogFacts]) -> Finding:
    written = declaration.of(Quantity.SCORE, "headline")
    others = [claim.path for claim in declaration.of(Quantity.SCORE, "other")][:3]
    text = f"val_bpb is {written[0].amount.written}, no score" if written else "no val_bpb is declared"
    text = text if written else held_scores(declaration.document, declaration.claims) or text
    text += f"; other scores are there: {', '.join(others)}" if others else ""
    log, last = next(((log, last) for log in logs if (last := _last(log, Stage.FINAL)) is not None), (None, None))
    if log is not None and last is not None:
        text += f"; the log has {last.label or 'a score of'} {last.written} ({log.name}:{last.line})"
    return Finding("score-not-declared", Level.WARNING, text, declaration.name)


def _not_passed(
    folder: SubmissionFolder,
    declaration: Declaration,
    claim: Claim,
    found: ScoreCandidate | None,
    candidates: Sequence[ScoreCandidate],
    logs: Sequence[LogFacts],
    code: ShippedCode,
    search: bool,
) -> Finding:
    place, value = f"{declaration.name}: {claim.path}", float(claim.amount.value or 0.0)
    if found is not None:
        text = f"{claim.amount.written} is logged only before quantization or on the way: {found.what} ({found.place})"
        return Finding("score-unquantized", Level.FINDING, text, place)
    if not candidates:
        level = Level.FAIL if code.is_missing else Level.SKIPPED
        without = ", and there is no script that could give one" if code.is_missing else ""
        text = f"{claim.amount.written} cannot be compared: no log in the folder tells a score{without}"
        return Finding("score-unlogged", level, text, place, {"declared": value})
    nearest = min(candidates, key=lambda candidate: abs(candidate.value - value))
    difference = value - nearest.value
    told = f"{claim.amount.written} is in no log; the nearest is {nearest.what} ({difference:+.5f})"
    values = {"declared": value, "nearest": nearest.value}
    printed = _printed_in(folder, logs, claim.amount.written) if search else ""
    if printed:
        return Finding("score-declared", Level.PASS, f"{claim.amount.written} is printed in {printed}", place)
    if claim.role == "seed" and _run_is_unlogged(declaration, claim, logs, difference):
        seed = "" if claim.seed.startswith("#") else f" of seed {claim.seed}"
        text = f"{claim.amount.written} is in no log, and no log is of its run{seed}"
        return Finding("score-unmatched", Level.FINDING, text, place, values)
    if abs(difference) <= NEAR:
        return Finding("score-near", Level.WARNING, told, place, values)
    if all(candidate.kind == "before" for candidate in candidates):
        text = f"{told}; the logs end before a final score"
        return Finding("score-unmatched", Level.FINDING, text, place, values)
    if _run_is_unlogged(declaration, claim, logs, difference):
        text = f"{told}; {declaration.seed_count} runs are declared, {len(logs)} are logged"
        return Finding("score-unmatched", Level.FINDING, text, place, values)
    return Finding("score-unmatched", Level.FAIL, told, place, values)


def _run_is_unlogged(declaration: Declaration, claim: Claim, logs: Sequence[LogFacts], difference: float) -> bool:
    """Whether the number may be of a run without a log: one seed's, or a mean near the logged scores."""
    if claim.role == "seed" and not claim.seed.startswith("#"):
        return claim.seed not in {log.seed for log in logs}
    missing = declaration.seed_count > len(logs)
    return missing and (claim.role == "seed" or abs(difference) <= SEED_RANGE)


def _printed_in(folder: SubmissionFolder, logs: Sequence[LogFacts], written: str) -> str:
    """The first log that has a number of these digits in a form that was not understood, "" if none; a loss, which is
    nats a token, is no score.
    """
    if len(written.partition(".")[2]) < 4:
        return ""
    number = re.compile(rf"(?<![\d.]){re.escape(written)}")
    for log in logs:
        text = folder.read_text(log.name).text
        if any(not _LOSS_BEFORE.search(text[max(0, m.start() - 40) : m.start()]) for m in number.finditer(text)):
            return log.name
    return ""


def _first_of_each(findings: list[Finding]) -> list[Finding]:
    """At most three findings of a rule and level."""
    kept: list[Finding] = []
    for finding in findings:
        if sum(1 for other in kept if (other.rule, other.level) == (finding.rule, finding.level)) < 3:
            kept.append(finding)
    return kept

"""A model that lies in the folder itself: an artifact is verified, its bytes are summed, and it is scored when asked.

Strategy: where the folder holds the model, nothing has to be believed. The artifact's levels are those of `bytecap
verify`; its bytes with the code and the named data are the total, and the declared one is held against it. With
validation data a model of a known architecture is run, without the folder's code; what its script does at
evaluation beyond that (training on the text, sliding windows) is not, so a small difference is a finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import BytecapError, CheckpointError
from .blob_kinds import Blob, read_blob
from .blobs import BlobFacts
from .claims import ClaimFacts
from .declared import Quantity
from .findings import Finding, Level, Rule
from .folder import SubmissionFile, SubmissionFolder
from .judgement import JudgeOptions

RULES = (
    Rule("blob-artifact", (Level.PASS, Level.FAIL), "An artifact's structure, checksums, tensors and digest."),
    Rule(
        "blob-total",
        (Level.PASS, Level.FINDING, Level.FAIL),
        "The model in the folder with the code and the named data: against the cap, and against the declared total.",
    ),
    Rule(
        "blob-score",
        (Level.PASS, Level.FINDING, Level.FAIL, Level.SKIPPED),
        "With --data: the model in the folder is run without the folder's code, and its score held against the "
        "declared one.",
    ),
)
ANSWERS = {
    "blob-total": ("size-unlogged", "bytes-as-counted", "bytes-as-shipped"),
    "blob-score": ("score-recomputed", "score-unlogged"),
}
OF_EVALUATION = 0.05  # bits per byte that training on the text and sliding windows have been worth


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The models in the folder (`blobs.models_of`), and the one whose bytes are counted."""

    models: tuple[Blob, ...] = ()
    counted: Blob | None = None


def judge_models(
    folder: SubmissionFolder, claims: ClaimFacts | None, blobs: BlobFacts | None, options: JudgeOptions
) -> tuple[ModelFacts, list[Finding]]:
    """Judge the models of a folder."""
    if blobs is None:
        return ModelFacts(), []
    findings: list[Finding] = []
    models = blobs.models
    for blob in models:
        findings += _artifact_findings(folder, blob) if blob.kind == "artifact" else []
    counted = None if claims is None else counted_model(models, claims)
    if counted is not None and claims is not None:
        findings += total_findings(counted, claims, blobs, options.cap)
    if options.data is not None:
        findings += [_score_finding(folder, blob, claims, options) for blob in models]
    return ModelFacts(models, counted), findings


def counted_model(models: Sequence[Blob], claims: ClaimFacts) -> Blob | None:
    """The largest model that the code reads, or of all where it reads none: each of several seeds' has to fit."""
    read = {name for name, _ in claims.code.reads}
    wanted = [blob for blob in models if blob.name in read] or models
    return max(wanted, key=lambda blob: blob.bytes, default=None)


def answered(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those that were skipped for want of a log or a run, where the folder's model gives it."""
    judged = {finding.rule for finding in findings if finding.level is not Level.SKIPPED}
    spared = {rule for answer, rules in ANSWERS.items() if answer in judged for rule in rules}
    return [finding for finding in findings if finding.level is not Level.SKIPPED or finding.rule not in spared]


def _artifact_findings(folder: SubmissionFolder, blob: Blob) -> list[Finding]:
    """The levels of `bytecap verify` that need nothing but the artifact, as one finding; the first that fails."""
    from ..runtime.check import Outcome
    from ..runtime.verification import verify_artifact

    checks = verify_artifact(_content(folder, blob))
    values = {check.name: check.outcome.value for check in checks}
    failed = [check for check in checks if check.outcome is Outcome.FAILED]
    if failed:
        return [Finding("blob-artifact", Level.FAIL, f"{failed[0].name}: {failed[0].detail}", blob.name, values)]
    told = "; ".join(f"{check.name}: {check.detail}" for check in checks if check.outcome is Outcome.PASSED)
    return [Finding("blob-artifact", Level.PASS, told, blob.name, values)]


def total_findings(model: Blob, claims: ClaimFacts, blobs: BlobFacts, cap: int) -> list[Finding]:
    """The total that the folder itself holds, against the cap and the declared totals."""
    code = claims.code
    data = sum(each.bytes for each in blobs.data if each.name not in code.modules)
    total = model.bytes + code.closure_bytes + data
    packed = model.bytes + min(code.packed_bytes or code.closure_bytes, code.closure_bytes) + data
    values = {"model": model.bytes, "code": code.closure_bytes, "data": data, "total": total, "packed": packed}
    parts = f"{model.bytes:,} of {model.name} + {code.closure_bytes:,} of code"
    parts += f" + {data:,} of named data" if data else ""
    text = f"the folder holds {parts} = {total:,} bytes, "
    text += f"{abs(cap - total):,} {'below' if total <= cap else 'over'} the cap"
    if total > cap >= packed:
        text += f"; with the code packed {packed:,}, which fits, but that form is not in the folder"
    told, with_possible = code.with_possible(total, cap, {model.name, *(each.name for each in blobs.data)})
    text, values = text + told, {**values, **({"with_possible": with_possible} if told else {})}
    fits = Level.PASS if with_possible <= cap else Level.FINDING
    level = fits if total <= cap else Level.FINDING if packed <= cap else Level.FAIL
    findings = [Finding("blob-total", level, text, model.name, values)]
    others = [blob for blob in blobs.models if blob.name != model.name]
    if others and level is Level.PASS and total + sum(blob.bytes for blob in others) > cap:
        text = f"of {len(others) + 1} models in the folder one is counted; together with {others[0].name}"
        text += f"{' and more' if len(others) > 1 else ''} they are over the cap"
        findings.append(Finding("blob-total", Level.FINDING, text, model.name, values))
    for claim in claims.declaration.of(Quantity.TOTAL_BYTES, "headline"):
        declared = claim.amount.value
        if declared is None or claim.statistic:
            continue
        place = f"{claims.declaration.name}: {claim.path}"
        if declared == total:
            text = f"{total:,} bytes are declared and in the folder"
            findings.append(Finding("blob-total", Level.PASS, text, place, values))
        else:
            text = f"{declared:,.0f} bytes are declared, {total:,} are in the folder ({declared - total:+,.0f})"
            findings.append(Finding("blob-total", Level.FINDING, text, place, values))
    return findings


def _score_finding(folder: SubmissionFolder, blob: Blob, claims: ClaimFacts | None, options: JudgeOptions) -> Finding:
    """The score of a model in the folder on the given data, against what is declared."""
    try:
        score = _score(folder, blob, options)
    except (BytecapError, ModuleNotFoundError) as error:
        text = f"it was not scored: {error}"
        return Finding("blob-score", Level.SKIPPED, text, blob.name)
    declared = [] if claims is None else claims.declaration.of(Quantity.SCORE, "headline")
    known = [claim.amount.value for claim in declared if claim.amount.value is not None]
    text = f"scored: {score:.6f} bits per byte"
    if not known:
        return Finding("blob-score", Level.FINDING, f"{text}; no score is declared", blob.name, {"score": score})
    nearest = min(known, key=lambda value: abs(value - score))
    values = {"score": score, "declared": nearest, "tolerance": options.tolerance}
    text += f", {score - nearest:+.6f} from the declared {nearest}"
    return Finding("blob-score", _score_level(score, nearest, options.tolerance), text, blob.name, values)


def _score_level(score: float, declared: float, tolerance: float) -> Level:
    if abs(score - declared) <= tolerance:
        return Level.PASS
    return Level.FINDING if abs(score - declared) <= OF_EVALUATION else Level.FAIL


def _score(folder: SubmissionFolder, blob: Blob, options: JudgeOptions) -> float:
    """Bits per byte, by the runtime; the checkpoint's architecture is what its tensors and names tell."""
    from ..runtime.evaluation import evaluate_program

    program, tensors = _program(folder, blob)
    return evaluate_program(program, tensors, str(options.data), options.tokenizer).bits_per_byte


def _content(folder: SubmissionFolder, blob: Blob) -> bytes:
    """The bytes of an artifact, without the compression around it where there is one."""
    return read_blob(folder, SubmissionFile(blob.name, blob.bytes))[1]


def _program(folder: SubmissionFolder, blob: Blob) -> tuple:
    if blob.kind == "artifact":
        from ..format.artifact import decode_tensors, read_artifact

        artifact = read_artifact(_content(folder, blob))
        return artifact.program, decode_tensors(artifact)
    from ..compiler.checkpoints.checkpoint import read_checkpoint
    from ..compiler.frontends import build_model

    if any(file.is_link for file in folder.files):  # what lies beside the weights is read, too
        raise CheckpointError("the folder holds links, which are not followed")
    model = build_model(read_checkpoint(folder.path / blob.name), None)
    return model.program, [tensor.values for tensor in model.tensors]

"""What a perfect verifier says about folders of the public challenge: kept as data, in our own words.

Strategy: an expectation names a folder, its verdict, and findings by rule, level and figures that their text must
have. Figures were recomputed by hand from the files. Folders themselves are not kept here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Expectation:
    """id : as in the census;  pull : pull request, 0 for merged;  folder : part of the folder's name
    verdict : "pass" or "fail";  findings : (rule, level, figures in its text);  ledger : total as counted, as shipped
    """

    id: str
    pull: int
    folder: str
    verdict: str
    findings: tuple[tuple[str, str, tuple[str, ...]], ...]
    ledger: tuple[int | None, int | None] | None = None


EXPECTATIONS = (
    Expectation(
        "G01",
        0,
        "2026-03-17_NaiveBaseline",
        "pass",
        (
            ("size-declared", "pass", ("15863489",)),
            ("score-declared", "pass", ("1.2243657",)),
            ("size-code-field", "pass", ("47,642",)),
            ("bytes-as-counted", "pass", ("15,863,489",)),
            ("bytes-as-shipped", "pass", ("15,815,847", "15,863,489")),
            ("code-unpickling", "information", ("torch.load",)),
            ("code-external-program", "information", ("nvidia-smi",)),
        ),
        (15_863_489, 15_863_489),
    ),
    Expectation(
        "G02",
        0,
        "2026-03-19_MLP3x_QAT_Int6",
        "fail",
        (
            ("score-unmatched", "fail", ("1.15015359", "1.1666")),
            ("size-unexplained", "fail", ("15427455", "15,693,599")),
            ("log-other-script", "finding", ("lines differ",)),
            ("log-code-size", "finding", ("55,752", "60,663")),
            ("log-missing-seeds", "finding", ("3 runs", "1 are logged")),
        ),
    ),
    Expectation(
        "G03",
        0,
        "2026-04-06_SP8192_HessianSDClip",
        "fail",
        (
            ("bytes-logged-over-cap", "fail", ("16,054,963",)),
            ("bytes-as-shipped", "finding", ("16,059,778",)),
            ("code-second-file", "finding", ("80,055",)),
            ("size-model-only", "finding", ("15976275",)),
            ("score-declared", "pass", ("mean of",)),
        ),
        (16_059_704, 16_059_778),
    ),
    Expectation(
        "G04",
        0,
        "2026-04-27_SP8192_LQER",
        "pass",
        (
            ("bytes-as-counted", "pass", ("15,907,550",)),
            ("bytes-as-shipped", "finding", ("16,033,980", "158,429")),
            ("code-external-program", "finding", ("lrzip",)),
            ("code-not-counted", "information", ("lossless_caps.py",)),
            ("code-not-counted", "information", ("tokenizer",)),
            ("log-code-size", "finding", ("157,868", "158,429")),
            ("score-declared", "pass", ("mean of",)),
        ),
        (15_907_550, 16_033_980),
    ),
    Expectation(
        "G05",
        0,
        "2026-03-19_SwiGLU",
        "fail",
        (
            ("code-script-empty", "fail", ("0 bytes",)),
            ("size-unlogged", "fail", ("15327112",)),
            ("score-unlogged", "fail", ("1.32814313",)),
        ),
    ),
    Expectation("G06", 345, "DART", "fail", (("json-invalid", "fail", ("line 22",)),)),
    Expectation(
        "G07",
        1964,
        "AnchorPrefixCodec",
        "pass",
        (
            ("json-byte-order-mark", "warning", ()),
            ("folder-encoding", "information", ("UTF-16",)),
            ("score-not-declared", "warning", ("official_eval_val_bpb",)),
            ("size-not-declared", "warning", ()),
            ("code-started-script", "finding", ("prepare_canonical_units.py",)),
        ),
    ),
    Expectation(
        "G08",
        135,
        "OrthoInit",
        "fail",
        (
            ("size-unexplained", "fail", ("15162375", "17,545,138")),
            ("bytes-logged-over-cap", "fail", ("17,545,138",)),
            ("size-code-field", "finding", ("64,571", "63,056")),
            ("score-declared", "pass", ("1.15385454",)),
        ),
        (17_545_138, 17_545_138),
    ),
    Expectation(
        "G09",
        272,
        "LeaderCore10L_PaidPrefix",
        "fail",
        (
            ("json-absent", "fail", ()),
            ("blob-data", "finding", ("768,000", "counted in the total")),
            ("bytes-logged-over-cap", "warning", ("16,075,045",)),
        ),
    ),
    Expectation(
        "G10",
        209,
        "11LInt6Challenger",
        "fail",
        (
            ("code-missing-module", "fail", ("run_tracking",)),
            ("code-local-module", "finding", ("lowbit_utils.py", "10,877")),
            ("code-local-module", "finding", ("optimizer_variants.py", "6,063")),
            ("code-local-module", "finding", ("validation_utils.py", "6,534")),
            ("code-second-file", "finding", ("66,034",)),
            ("size-code-incomplete", "fail", ("35,761", "lowbit_utils.py")),
            ("size-not-declared", "warning", ()),
        ),
    ),
)

TRUE_FAILURES = (  # of the merged folders, by part of the name, and why
    ("2026-03-19_MLP3x_QAT_Int6", "its score and its total are in no log"),
    ("2026-03-19_SwiGLU", "its script is empty and nothing is logged"),
    ("2026-03-19_int6_STE", "no declaration, and the logged total is 186,500 bytes over the cap"),
    ("2026-03-23_DGAttention", "declares 16,638,468 bytes"),
    ("2026-04-06_SP8192_HessianSDClip", "every logged total is over the cap, the declared ones leave out the code"),
)

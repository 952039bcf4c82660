"""Totals are explained by the folder's numbers, and hardly ever by chance."""

from __future__ import annotations

import random

import pytest

from bytecap.submissions.declared import claims_of
from bytecap.submissions.declared_numbers import read_amount
from bytecap.submissions.log_lines import LoggedSize
from bytecap.submissions.logs import LogFacts
from bytecap.submissions.shipped_code import ShippedCode
from bytecap.submissions.size_evidence import explain, size_candidates

CODE = ShippedCode("train_gpt.py", 60_000, 60_000, (), 20_000, ())


def run_log(seed: int, model: int, code: int = 55_000, label: str = "int8+zlib") -> LogFacts:
    sizes = [
        LoggedSize("model", 80_000_000, "", 1),
        LoggedSize("code", code, "", 2),
        LoggedSize("total", 80_000_000 + code, "", 3),
        LoggedSize("model", model, label, 4),
        LoggedSize("total", model + code, label, 5),
    ]
    return LogFacts(f"train_seed{seed}.log", "utf-8", False, False, sizes=sizes, seed=str(seed), seed_from="log")


def three_seeds(generator: random.Random) -> list[LogFacts]:
    middle = generator.randrange(15_000_000, 15_900_000)
    return [run_log(seed, middle + generator.randrange(-40_000, 40_000)) for seed in (1, 42, 1337)]


def explained(value: object, logs: list[LogFacts], document: object = None, seeds: tuple[str, ...] = ()):
    amount = read_amount(value, ("bytes", "total"), sizes=True, times=False)
    assert amount is not None
    return explain(amount, size_candidates(logs, claims_of(document or {}), CODE, seeds))


@pytest.mark.parametrize("generation", range(20))
def test_the_ways_in_which_people_make_a_total_are_recognized(generation):
    logs = three_seeds(random.Random(generation))
    models = [log.sizes[3].value for log in logs]
    totals = [log.sizes[4].value for log in logs]
    ways = {
        "logged": [*totals, max(totals), min(totals)],
        "sum": [models[0] + 60_000, models[2] + 12_345],
        "mean": [round(sum(totals) / 3), sum(totals) // 3, round(sum(models[:3]) / 3) + 60_000],
        "plain": [80_055_000],
        "model": [models[1], round(sum(models) / 3)],
    }
    for kind, values in ways.items():
        for value in values:
            found = explained(value, logs, {"bytes_code": 12_345})
            assert found is not None and found.candidate.kind == kind, (kind, value)


def test_rounded_totals_say_to_what():
    logs = [run_log(1, 15_632_617)]
    for value, unit in ((15_688_000, "1,000"), (15_690_000, "10,000"), (15_700_000, "100,000")):
        found = explained(value, logs)
        assert found is not None and unit in found.manner
    assert explained(15_688_100, logs) is None  # not round, not equal
    assert explained(15_686_000, logs) is None  # round to 1,000, and 1,617 away


@pytest.mark.parametrize("written", ["15.69 MB", "15.7MB", 15.69, "15,687,617", "15687617"])
def test_totals_in_other_spellings(written):
    found = explained(written, [run_log(1, 15_632_617)])
    assert found is not None and not found.mebibytes


def test_mebibytes_are_told_apart():
    found = explained("14.96 MB", [run_log(1, 15_632_617)])  # 15,687,617 / 2**20 = 14.961
    assert found is not None and found.mebibytes


def test_the_mean_of_totals_declared_by_seed_is_an_explanation():
    document = {"seed_results": {"1": {"artifact_bytes": 15_000_001}, "2": {"artifact_bytes": 15_000_007}}}
    found = explained(15_000_004, [], document)
    assert found is not None and found.candidate.kind == "declared"


def test_a_mean_over_the_declared_seeds_leaves_other_logs_out():
    logs = [run_log(1, 15_000_000), run_log(2, 15_200_000), run_log(3, 15_900_000)]
    assert explained(15_155_000, logs, seeds=("1", "2")).candidate.kind == "mean"
    assert explained(15_155_000, logs) is None


def test_a_random_total_is_explained_by_chance_once_in_thousands():
    """Counted whole: every integer from 15 to 16 million that three logs and two codes explain."""
    generator = random.Random(7)
    shares = []
    for _ in range(20):
        logs = three_seeds(generator)
        claims = claims_of({"bytes_code": generator.randrange(20_000, 90_000)})
        candidates = size_candidates(logs, claims, CODE, ())
        near = {round(candidate.value) + step for candidate in candidates for step in (-1, 0, 1)}
        round_values = set(range(15_000_000, 16_000_001, 1_000))
        hits = sum(
            explain(read_amount(value, ("bytes",), sizes=True, times=False), candidates) is not None
            for value in near | round_values
            if 15_000_000 <= value <= 16_000_000
        )
        shares.append(hits / 1_000_000)
    assert max(shares) < 2e-4
    assert sum(shares) / len(shares) > 1e-5  # the measure itself is not zero

"""What was chosen beside grids is taken from a work folder as it was, and nothing is tried again for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytecap.compiler.menu.allocation import Tried
from bytecap.compiler.menu.kinds.low_rank import LowRankSetting
from bytecap.compiler.menu.kinds.vq_rows import VqRowsSetting
from bytecap.compiler.menu.offers import PLAIN, Offer
from bytecap.compiler.menu.remembered_choices import remembered_choices
from bytecap.compiler.menu.setting import Setting
from bytecap.compiler.resume.work_folder import FORGETFUL, Memory, open_work_folder

GRID = Offer(PLAIN, Setting(), -0.375, 4_000, 0.1 + 0.2, bounded=True)
FACTORS = Offer("low-rank", LowRankSetting("under", 4), 0.0, 3_210, 1e-17)
RESCUED = Offer("low-rank", LowRankSetting("rescued", 4, 17), 0.0, 3_300, 0.25)
CODEWORDS = Offer("vq-rows", VqRowsSetting("plain", 1, 128, 0), -0.375, 3_500, 0.3, bounded=True)
TRIED = Tried({2: [GRID, CODEWORDS], 7: [GRID, FACTORS, RESCUED]}, {2: CODEWORDS, 7: FACTORS}, {2: (0.1, 0.07)})
PRICE = 1 / 3


def never() -> Tried:
    pytest.fail("what is kept was chosen again")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    with open_work_folder(tmp_path / "work") as folder:
        yield folder.bound_to("inputs")


@pytest.mark.parametrize("tried", [TRIED, Tried({}, {}, {})], ids=["some", "nothing"])
def test_a_choice_comes_back_as_it_was(memory: Memory, tried: Tried) -> None:
    assert remembered_choices(memory, "tables", PRICE, lambda: tried) is tried
    assert remembered_choices(memory, "tables", PRICE, never) == tried


def test_another_price_stage_or_input_is_chosen_for_itself(memory: Memory) -> None:
    other = Tried({2: [GRID]}, {}, {})
    remembered_choices(memory, "tables", PRICE, lambda: TRIED)
    for elsewhere in ((memory, "tables", 0.25), (memory, "factors", PRICE), (memory.bound_to("x"), "tables", PRICE)):
        assert remembered_choices(*elsewhere, lambda: other) is other


def test_without_a_folder_nothing_is_kept() -> None:
    assert remembered_choices(FORGETFUL, "tables", PRICE, lambda: TRIED) is TRIED
    with pytest.raises(pytest.fail.Exception, match="again"):
        remembered_choices(FORGETFUL, "tables", PRICE, never)

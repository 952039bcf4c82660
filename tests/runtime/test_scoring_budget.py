"""What scoring takes is known before it starts, bounds on it hold, and within them no number changes."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from tiny_artifacts import tiny_artifact
from tiny_tokenizers import tiny_tokenizer, words

from bytecap.errors import BudgetError
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.format.program import operations as op
from bytecap.format.program.operands import Row
from bytecap.format.program.program import Program, validate_program
from bytecap.format.tensors.terms import Raw, TensorEntry
from bytecap.runtime import attention, machine_memory, rotations, scoring_budget
from bytecap.runtime.bounded_scoring import bound_scoring
from bytecap.runtime.evaluation import ScoringData, ScoringOptions, choose_documents, score_program
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.known_splits import SplitMatch, SplitVerdict
from bytecap.runtime.scoring_budget import (
    CoreClock,
    ScoringBudget,
    check_program_memory,
    scoring_work,
    watched,
)
from bytecap.runtime.token_text import text_of_ids
from bytecap.runtime.tokens import Tokens

ARTIFACT = read_artifact(tiny_artifact())
MODEL = Interpreter(ARTIFACT.program, decode_tensors(ARTIFACT))
WEIGHTS = sum(tensor.nbytes for tensor in MODEL.tensors) + 4 * MODEL.shapes.vector_floats
ROPE = Program((op.Embed(0), op.Rope(0, 1, 1e4, 8, op.RopeLayout.HALF_SPLIT)), 8, 40, 1)


@pytest.fixture
def data():
    tokenizer = tiny_tokenizer()
    ids = np.array([token for seed in range(6) for token in tokenizer.encode_document(" ".join(words(seed, 30)))])
    text = text_of_ids(tokenizer, tokenizer.byte_table(), ids)
    split = SplitMatch(SplitVerdict.UNKNOWN, None, "", {})
    return ScoringData(Tokens(ids, "x", documents=np.zeros(1, np.int64)), tokenizer, text, None, (), split)


def run(data, **budget):
    options = ScoringOptions(sequence_length=16, threads=4, budget=ScoringBudget(**budget))
    model, chosen, work = bound_scoring(MODEL, data, options)
    return score_program(model, choose_documents(model, data, chosen), chosen), work


def test_memory_takes_threads_before_it_refuses_and_changes_no_number(data):
    free, work = run(data)
    assert (work.threads, work.memory_bytes) == (4, WEIGHTS + 4 * work.sequence_bytes)
    assert work.multiply_adds > MODEL.shapes.multiply_adds * free.tokens / 2
    least = WEIGHTS + work.sequence_bytes
    tight, alone = run(data, memory_bytes=least + 5)
    assert alone.threads == 1
    assert tight.nats == free.nats
    with pytest.raises(BudgetError, match=r"weights and one sequence of 16 tokens take .*the budget is") as caught:
        run(data, memory_bytes=least - 1)
    assert caught.value.argument == "memory"


def test_a_budget_to_the_byte_is_enough(data):
    """The weights here are those of the tensors and of the vectors that an instruction expands."""
    least = WEIGHTS + run(data)[1].sequence_bytes
    assert run(data, memory_bytes=least)[1].threads == 1
    norm = Program((op.Embed(0), op.Scale(0, Row(1)), op.Linear(1, 0)), 3, 4, 0)
    shapes = [(3, 2), (1,)]
    directory = tuple(TensorEntry(f"t{k}", shape, "float32", (Raw("float32"),)) for k, shape in enumerate(shapes))
    needed = 4 * (6 + 1 + validate_program(norm, shapes).vector_floats)
    assert needed > 4 * 7
    check_program_memory(norm, directory, ScoringBudget(memory_bytes=needed))
    with pytest.raises(
        BudgetError, match=r"the weights take 48 bytes of memory, and the budget is 47 bytes; allow more$"
    ):
        check_program_memory(norm, directory, ScoringBudget(memory_bytes=needed - 1))


def test_a_clock_counts_from_its_start_and_allows_every_second_of_its_own():
    with patch.object(scoring_budget.time, "process_time", side_effect=[100.0, 110.0, 102.0, 110.1]):
        clock = CoreClock(10)
        clock.check()
        clock.check_forecast(1, 7)
        with pytest.raises(BudgetError, match="took the 10 seconds"):
            clock.check()
    assert watched(MODEL, None) is MODEL and watched(MODEL, clock).clock is clock and MODEL.clock is None


def test_what_a_sequence_takes_is_what_it_allocates():
    """Registers, one range of logits and the scores, to a few kilobytes."""
    wide = Program(
        (
            op.Embed(0),
            op.Broadcast(0, 4096, op.BroadcastKind.TILED),
            op.Attention(1, 1, 1, 64, 64, 1.0),
            op.Slice(2, 0, 8),
            op.Linear(3, 0),
        ),
        8,
        256,
        1,
    )
    model = Interpreter(wide, [np.eye(8, dtype=np.float32)])
    work = scoring_work(model, 256, 256, 1, ScoringBudget())
    scores = attention.score_floats(wide.instructions[2], 256)
    assert scores == 64 * 64 * 256
    capacities = 8 + 4096 * 2
    assert abs(work.sequence_bytes - 4 * (capacities * 256 + scores + 8 * 256)) < 1 << 14


def test_time_that_no_core_could_keep_is_refused_before_the_start(data):
    with pytest.raises(
        BudgetError, match=r"multiply-adds take at least .* seconds of a core, .* of the tokens"
    ) as caught:
        run(data, seconds=1e-12)
    assert caught.value.argument == "seconds"


def test_time_is_watched_between_instructions_and_by_a_forecast(data):
    with patch.object(scoring_budget, "FASTEST", 1 << 90):
        with pytest.raises(BudgetError, match=r"took the 1e-09 seconds of a core .* was not done"):
            run(data, seconds=1e-9)
        assert run(data, seconds=1e9)[0].nats == run(data)[0].nats
    with patch.object(scoring_budget.time, "process_time", side_effect=[0.0, 2.0, 2.0, 2.0]):
        clock = CoreClock(10)
        clock.check_forecast(1, 7)  # 14 seconds: it may still be in time
        with pytest.raises(BudgetError, match=r"1 of 8 sequences say that all take at least 16 seconds"):
            clock.check_forecast(1, 8)
        clock.check()


def test_weights_beyond_the_memory_are_refused_before_they_are_decoded():
    check_program_memory(ARTIFACT.program, ARTIFACT.directory, ScoringBudget())
    with pytest.raises(BudgetError, match=r"the weights take .*this process may have 1,000 bytes"):
        with patch.object(scoring_budget, "memory_bytes", return_value=1000):
            check_program_memory(ARTIFACT.program, ARTIFACT.directory, ScoringBudget())


def test_the_least_of_machine_container_and_shell_counts(tmp_path):
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "own").write_text("123456\n")
    with patch.object(machine_memory, "CONTAINER_FILES", (tmp_path / "none", tmp_path / "max", tmp_path / "own")):
        assert machine_memory.memory_bytes() == 123_456
    if machine_memory.resource is not None:
        with patch.object(machine_memory.resource, "getrlimit", return_value=(777, -1)):
            assert machine_memory.memory_bytes() == 777


def test_large_tables_of_rotations_are_made_in_blocks_that_give_the_same_numbers():
    table, tokens = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32), np.arange(40)[None] % 8
    expected = Interpreter(ROPE, [table]).logits(tokens)
    before = rotations.kept_table.cache_info().currsize
    with patch.object(rotations, "KEPT_FLOATS", 100), patch.object(rotations, "BLOCK_FLOATS", 12):
        assert np.array_equal(Interpreter(ROPE, [table]).logits(tokens), expected)
    assert rotations.kept_table.cache_info().currsize == before


def test_few_queries_at_once_where_many_heads_see_many_keys():
    assert attention.query_block(8, 1024) == 64
    assert attention.query_block(1 << 20, 128) == 1
    q = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    program = Program((op.Embed(0), op.Attention(0, 0, 0, 2, 2, 1.0)), 8, 40, 1)
    tokens = np.arange(40)[None] % 8
    expected = Interpreter(program, [q]).logits(tokens)
    with patch.object(attention, "MOST_SCORE_FLOATS", 2 * 40 * 3):
        np.testing.assert_allclose(Interpreter(program, [q]).logits(tokens), expected, atol=1e-6)


def test_a_cap_near_zero_warns_of_nothing(recwarn):
    program = Program((op.Embed(0), op.Softcap(0, 1e-45, op.SoftcapKind.TANH)), 8, 40, 1)
    Interpreter(program, [np.eye(8, dtype=np.float32)])
    assert not recwarn.list

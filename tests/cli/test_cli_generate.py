"""`bytecap generate`: exact output for a seed, with text and with token ids, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import bytecap_command
from tiny_artifacts import BOUNDARY, VOCABULARY, tiny_artifact
from tiny_tokenizers import model_bytes, tiny_tokenizer

import bytecap
from bytecap.format.assembly import assemble_artifact
from bytecap.format.program import operations as op
from bytecap.format.program.program import Program
from bytecap.format.tensors.sources import TensorSource
from bytecap.format.tensors.terms import RawValues
from bytecap.runtime.shards import write_shard

FAR = 40.0  # a logit that decides


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "model.bcap"
    path.write_bytes(tiny_artifact())
    return path


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "sentencepiece" / "tokenizer.model"
    path.parent.mkdir()
    path.write_bytes(model_bytes())
    return path


def counting_artifact(positions: int = 0) -> bytes:
    """A model of six tokens that counts upwards and ends with 5, which begins documents; with a table of positions."""
    head = (FAR * np.roll(np.eye(6), 1, axis=0)).astype(np.float32)
    tensors = [("table", np.eye(6, dtype=np.float32)), ("head", head)]
    instructions = [op.Embed(0), op.Linear(0, 1)]
    if positions:
        tensors.append(("positions", np.zeros((positions, 6), np.float32)))
        instructions = [op.Embed(0), op.PositionEmbed(2, 0), op.Add(0, 1), op.Linear(2, 1)]
    sources = [TensorSource(name, values.shape, "float32", (RawValues(values, "float32"),)) for name, values in tensors]
    return assemble_artifact(Program(tuple(instructions), 6, 4, 5), sources)


@pytest.fixture
def counting(tmp_path):
    path = tmp_path / "counting.bcap"
    path.write_bytes(counting_artifact())
    return path


def test_token_ids_without_a_tokenizer(counting):
    outcome = bytecap_command("generate", counting, "--prompt", "0 1", "--tokens", 2)
    assert (outcome.code, outcome.stdout) == (0, "0 1 2 3\n")
    assert outcome.stderr.startswith("bytecap: 2 tokens in ") and "ended" not in outcome.stderr
    assert bytecap_command("generate", counting, "--tokens", 2).stdout == "0 1\n"  # behind the boundary token


def test_the_text_ends_where_the_model_ends_it(counting):
    outcome = bytecap_command("generate", counting, "--prompt", "3,", "--tokens", 9)
    assert outcome.stdout == "3, 4\n"
    assert outcome.stderr.splitlines()[0].endswith("; the model ended the text")
    assert "note: the model was made for 4 tokens, and prompt and text may take 10" in outcome.stderr
    endless = bytecap_command("generate", counting, "--prompt", "3", "--tokens", 4, "--ignore-end")
    assert endless.stdout == "3 4 5 0 1\n"


def test_text_is_the_prompt_and_what_its_tokens_give(tiny, tokenizer):
    arguments = ["generate", tiny, "--tokenizer", tokenizer, "--prompt", "the cat", "--tokens", 9]
    arguments += ["--seed", 4, "--ignore-end"]
    outcome, document = bytecap_command(*arguments), bytecap_command(*arguments, "--json").document
    pieces = tiny_tokenizer()
    assert document["prompt"] == [BOUNDARY, *pieces.encode_document("the cat")]
    assert outcome.stdout == "the cat" + document["text"] + "\n"
    assert document["text"] == pieces.decode(document["tokens"])
    assert (len(document["tokens"]), document["ended"], document["kind"]) == (9, False, "artifact")
    assert document["sampling"] == {"temperature": 0.8, "top_k": None, "top_p": 1.0, "seed": 4}
    assert document["tokenizer"]["kind"] == "sentencepiece"
    assert document["tokens_per_second"] == pytest.approx((len(document["prompt"]) + 9) / document["seconds"])


def test_seeds_and_ways_to_draw(tiny):
    def tokens(*options):
        return bytecap_command("generate", tiny, "--prompt", "7", "--tokens", 20, "--json", *options).document["tokens"]

    assert tokens("--seed", 1) == tokens("--seed", 1) != tokens("--seed", 2)
    greedy = tokens("--temperature", 0)
    assert greedy == tokens("--top-k", 1, "--seed", 5) == tokens("--top-p", 1e-9)
    assert tokens("--threads", 2, "--seed", 1) == tokens("--seed", 1)


def test_the_python_interface_gives_the_same(tiny):
    document = bytecap_command("generate", tiny, "--prompt", "7", "--tokens", 5, "--json").document
    model, seen = bytecap.load(tiny), []
    found = model.generate([7], tokens=5, on_token=lambda token, text: seen.append((token, text)))
    assert list(found.tokens) == document["tokens"] == [token for token, _ in seen]
    assert found.text is None and {text for _, text in seen} == {""}
    logits = model.logits([7, *found.tokens])
    assert logits.dtype == np.float32 and logits.shape == (6, VOCABULARY)
    assert np.array_equal(model.logits([[7, *found.tokens]])[0], logits)
    greedy = model.generate([7], tokens=1, temperature=0).tokens
    assert list(greedy) == [int(model.logits([7])[0].argmax())]


def test_a_tokenizer_beside_the_model_is_found(tmp_path):
    (tmp_path / "model.bcap").write_bytes(tiny_artifact())
    (tmp_path / "tokenizer.model").write_bytes(model_bytes())
    document = bytecap_command("generate", tmp_path / "model.bcap", "--prompt", "a", "--json").document
    assert document["tokenizer"]["source"] == str(tmp_path / "tokenizer.model")
    found = f"the tokenizer was not given; {tmp_path / 'tokenizer.model'} was found in or beside the model"
    assert found in document["notes"]


def test_rows_beyond_the_tokenizer_are_never_drawn(tmp_path):
    """A model whose greatest logit is of a token that its tokenizer of bytes does not have."""
    table, head = np.ones((300, 1), np.float32), np.zeros((300, 1), np.float32)
    head[65], head[299] = 5, 9
    sources = [TensorSource(n, v.shape, "float32", (RawValues(v, "float32"),)) for n, v in (("t", table), ("h", head))]
    data = assemble_artifact(Program((op.Embed(0), op.Linear(0, 1)), 300, 4, 256), sources)
    (tmp_path / "padded.bcap").write_bytes(data)
    arguments = ["generate", tmp_path / "padded.bcap", "--tokens", 3, "--temperature", 0, "--prompt"]
    outcome = bytecap_command(*arguments, "b", "--tokenizer", "bytes")
    assert outcome.stdout == "bAAA\n"
    assert "has 256 pieces and the model 300 tokens; the rest is never drawn" in outcome.stderr
    assert bytecap_command(*arguments, "98").stdout == "98 299 299 299\n"


def refused(*arguments) -> tuple[int, str]:
    outcome = bytecap_command("generate", *arguments)
    assert outcome.stdout == ""
    return outcome.code, outcome.stderr


def test_what_is_refused(counting, tmp_path):
    assert refused(counting, "--prompt", "Once") == (
        8,
        "bytecap: error: without a tokenizer a prompt is a list of token ids such as 1 403 7, not 'Once'; "
        "give the tokenizer\n",
    )
    code, message = refused(counting, "--prompt", "1 6")
    assert code == 8 and "token id 6 at position 1 " in message and "vocabulary size 6" in message
    (tmp_path / "short.bcap").write_bytes(counting_artifact(positions=4))
    assert bytecap_command("generate", tmp_path / "short.bcap", "--prompt", "0", "--tokens", 4).stdout == "0 1 2 3 4\n"
    assert refused(tmp_path / "short.bcap", "--prompt", "0 1", "--tokens", 4) == (
        8,
        "bytecap: error: a prompt of 2 tokens and 4 more are beyond the model's table of 4 positions; "
        "generate at most 3 tokens\n",
    )
    assert "give a shorter prompt" in refused(tmp_path / "short.bcap", "--prompt", "0 1 2 3 4")[1]
    assert refused(counting, "--temperature", "-1")[0] == 2
    assert refused(counting, "--top-p", "0")[0] == 2
    (tmp_path / "empty.bcap").write_bytes(b"\x89BCAP\r\n\x1a")
    code, message = refused(tmp_path / "empty.bcap")
    assert code == 4 and str(tmp_path / "empty.bcap") in message


@pytest.mark.parametrize(
    ("large", "place"),
    [
        ("table", "instruction 1, add behind table"),
        ("fc", "instruction 2, linear of fc"),
        ("head", "instruction 4, linear of head"),
    ],
)
def test_logits_that_are_not_finite_name_operation_and_tensor(tmp_path, large, place):
    """Of a token behind the prompt, which the model draws: what the prompt's own tokens compute is finite."""
    table, head = np.eye(6, dtype=np.float32), FAR * np.roll(np.eye(6), 1, axis=0)
    tensors = {"table": table, "fc": np.eye(6, dtype=np.float32), "head": head.astype(np.float32)}
    tensors[large][{"table": 3, "fc": (slice(None), 3), "head": (5, 3)}[large]] = 3e38
    instructions = (op.Embed(0), op.Add(0, 0), op.Linear(1, 1), op.Add(2, 2), op.Linear(3, 2))
    sources = [TensorSource(name, v.shape, "float32", (RawValues(v, "float32"),)) for name, v in tensors.items()]
    path = tmp_path / "large.bcap"
    path.write_bytes(assemble_artifact(Program(instructions, 6, 4, 5), sources))
    outcome = bytecap_command("generate", path, "--prompt", "0", "--temperature", 0)
    assert outcome.code == 7
    assert outcome.stderr == (
        "bytecap: error: the model's logits behind 4 tokens are not finite: the first such values are those of "
        f"{place}; its weights are damaged, or too large for float32\n"
    )
    write_shard(tmp_path / "text.bin", np.arange(9) % 5)
    outcome = bytecap_command("eval", path, "--data", tmp_path / "text.bin")
    assert outcome.code == 7
    assert outcome.stderr.startswith(f"bytecap: error: {path}: the model's loss is ") and place in outcome.stderr

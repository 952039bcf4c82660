"""Tokens against transformers' tokenizers, and perplexities against its recipe of sliding windows."""

from __future__ import annotations

import math

import pytest
import torch
from command_line import bytecap_command
from tiny_tokenizers import words
from tokenizer_files import byte_level_json, gguf_file, metaspace_json
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers import PreTrainedTokenizerFast as FastTokenizer

from bytecap.runtime.tokenizers import load_tokenizer

TEXTS = [
    " ".join(words(1, 60)),
    "abc  de\n\n  \u4e2d\u00e9 \U0001f600 don't 12345 3.14",
    " leading and trailing ",
    "x<|endoftext|>y</s>z",
]


@pytest.mark.parametrize("name", ["byte-level", "metaspace", "unigram"])
def test_tokenizer_json_encodes_as_transformers_does(name, tmp_path):
    described = {
        "byte-level": byte_level_json(),
        "metaspace": metaspace_json(),
        "unigram": metaspace_json("Unigram"),
    }[name]
    (tmp_path / "tokenizer.json").write_text(described, encoding="utf-8")
    ours, theirs = load_tokenizer(tmp_path), FastTokenizer(tokenizer_file=str(tmp_path / "tokenizer.json"))
    assert ours.vocabulary_size == len(theirs)
    for text in TEXTS:
        assert ours.encode_document(text) == theirs.encode(text, add_special_tokens=False)
    added = theirs.encode("abc", add_special_tokens=True)[: -len(theirs.encode("abc", add_special_tokens=False))]
    assert added == ([] if ours.beginning in (None, -1) else [ours.beginning])


@pytest.mark.parametrize("model", ["llama", "gpt2"])
def test_a_gguf_files_tokenizer_encodes_as_transformers_does(model, tmp_path):
    """transformers builds its own tokenizer from the fields of the file."""
    (tmp_path / "x.gguf").write_bytes(gguf_file(model))
    ours, theirs = load_tokenizer(tmp_path / "x.gguf"), AutoTokenizer.from_pretrained(tmp_path, gguf_file="x.gguf")
    for text in TEXTS[:2]:
        assert ours.encode_document(text) == theirs.encode(text, add_special_tokens=False)


def recipe_of_transformers(model, ids: list[int], max_length: int, stride: int) -> float:
    """The perplexity of fixed-length models as the library's documentation computes it."""
    nats, count, previous = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        end = min(begin + max_length, len(ids))
        window, fresh = torch.tensor([ids[begin:end]]), end - previous
        labels = window.clone()
        labels[:, :-fresh] = -100
        with torch.no_grad():
            valid = int((labels[:, 1:] != -100).sum())
            nats += model(window, labels=labels).loss.item() * valid
        count, previous = count + valid, end
        if end == len(ids):
            break
    return math.exp(nats / count)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_perplexity_is_that_of_the_sliding_windows(family, tmp_path):
    """Its max_length counts the last target, too: --sequence-length is one less."""
    torch.manual_seed(0)
    shape = {"vocab_size": 512, "bos_token_id": 0, "eos_token_id": 0}
    if family == "gpt2":
        model = GPT2LMHeadModel(GPT2Config(n_positions=64, n_embd=32, n_layer=2, n_head=2, **shape))
        tokenizer = byte_level_json()
    else:
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        model = LlamaForCausalLM(LlamaConfig(max_position_embeddings=64, **sizes, **shape))
        tokenizer = metaspace_json()
    model.eval().save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    text = " ".join(words(9, 300)) + " \u4e2d\n"
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    theirs = FastTokenizer(tokenizer_file=str(tmp_path / "tokenizer.json"))
    ids = theirs.encode(text, add_special_tokens=family == "llama")
    command = ["eval", tmp_path, "--data", tmp_path / "text.txt", "--sequence-length", 47, "--json"]
    for stride in (47, 16, 5):
        beginning = [] if family == "llama" else ["--bos", "none"]
        outcome = bytecap_command(*command, "--stride", stride, *beginning)
        score = outcome.document["score"]
        expected = recipe_of_transformers(model, ids, 48, stride)
        assert score["tokens"] == len(ids) - 1
        assert score["perplexity"] == pytest.approx(expected, rel=1e-4)
        nats = math.log(expected) * (len(ids) - 1)
        first_word = family == "gpt2"  # begins under the first token, which nothing predicts
        assert score["words"] == len(text.split()) - first_word
        assert score["word_perplexity"] == pytest.approx(math.exp(nats / score["words"]), rel=1e-3)

"""A pruned vocabulary: every text stays encodable, the byte table stays exact, the rows follow their tokens."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_models import golf_model
from tiny_tokenizers import model_bytes, tiny_tokenizer, words

from bytecap.errors import DataError, OutputError
from bytecap.lab.train.fresh_models import initial_model
from bytecap.lab.train.training import Schedule, train_model
from bytecap.lab.train.vocabulary import kept_pieces, prune_vocabulary, retuned_tensors, write_pruned_tokenizer
from bytecap.runtime.interpreter import Interpreter
from bytecap.runtime.tokenizers import SentencepieceTokenizer
from bytecap.runtime.tokenizers.sentencepiece_model import check_byte_table

DOCUMENTS = [" ".join(words(seed, 60)) for seed in range(40)]
STRANGE = "naïve 字 \U0001f600 zebra 123\n\ttab"


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """The ids that stay, and the tokenizer of 330 of 420 pieces."""
    folder = tmp_path_factory.mktemp("vocabulary")
    (folder / "old.model").write_bytes(model_bytes())
    kept = kept_pieces(tiny_tokenizer(), DOCUMENTS, 330)
    return kept, SentencepieceTokenizer.load(write_pruned_tokenizer(folder / "old.model", kept, folder / "new.model"))


def test_the_pieces_that_stay_keep_their_order(pruned):
    kept, tokenizer = pruned
    old = tiny_tokenizer()
    assert len(kept) == tokenizer.vocabulary_size == 330 and (np.diff(kept) > 0).all()
    assert [tokenizer.piece(new) for new in range(330)] == [old.piece(token) for token in kept.tolist()]
    dropped = set(range(420)) - set(kept.tolist())
    assert all(len(old.piece(token)) > 1 and not old.is_byte(token) and not old.is_boundary(token) for token in dropped)


@pytest.mark.parametrize("text", [STRANGE, *DOCUMENTS[:5]], ids=str.split)
def test_every_text_stays_encodable_with_exact_bytes(pruned, text):
    _, tokenizer = pruned
    ids = np.array([1, *tokenizer.encode_document(text)])
    assert tokenizer.decode(ids[1:]) == tiny_tokenizer().decode(tiny_tokenizer().encode_document(text))
    table = tokenizer.byte_table()
    check_byte_table(tokenizer, table, ids, "text")
    assert table.target_bytes(ids).sum() == len(tokenizer.decode(ids[1:]).encode())


def test_what_is_dropped_is_of_little_use(pruned):
    """A tenth more tokens at most where a fifth of the pieces are gone, and far fewer than when the most used go."""
    kept, tokenizer = pruned
    old = tiny_tokenizer()
    before, after = (sum(len(each.encode_document(text)) for text in DOCUMENTS) for each in (old, tokenizer))
    assert before <= after < 1.2 * before
    counts = np.bincount([token for text in DOCUMENTS for token in old.encode_document(text)], minlength=420)
    assert counts[np.setdiff1d(np.arange(420), kept)].sum() < 0.2 * counts.sum()


def test_no_kept_piece_is_out_of_reach(pruned):
    """Each piece that merging arrived at before is still made when its own text is encoded."""
    kept, tokenizer = pruned
    old = tiny_tokenizer()
    for new, token in enumerate(kept.tolist()):
        piece = old.piece(token)
        if old.is_byte(token) or old.is_boundary(token) or piece == "\u2581":
            continue
        text = piece.replace("\u2581", " ")
        if token in old.encode_document("a" + text):
            assert new in tokenizer.encode_document("a" + text), piece


def test_rows_follow_their_tokens(pruned):
    kept, _ = pruned
    for changes in ({}, {"tie_embeddings": False}, {"embedding_dim": 6}):
        model = golf_model(3, vocab_size=420, **changes)
        small = prune_vocabulary(model, kept)
        tokens = np.random.default_rng(0).integers(330, size=(2, 12))
        expected = Interpreter(model.program, [t.values for t in model.tensors]).logits(kept[tokens])[..., kept]
        np.testing.assert_allclose(
            Interpreter(small.program, [t.values for t in small.tensors]).logits(tokens), expected, atol=1e-5
        )
        assert initial_model(small.architecture, 0).program == small.program


def test_retuning_leaves_the_trunk_alone(pruned):
    kept, tokenizer = pruned
    model = prune_vocabulary(golf_model(3, vocab_size=420, embedding_dim=6), kept)
    names = [model.tensors[i].name for i in retuned_tensors(model)]
    assert sorted(names) == ["embed_proj.weight", "head_proj.weight", "tok_emb.weight"]
    untied = golf_model(3, tie_embeddings=False)
    assert sorted(untied.tensors[i].name for i in retuned_tensors(untied)) == ["lm_head.weight", "tok_emb.weight"]
    ids = np.concatenate([[1, *tokenizer.encode_document(text)] for text in DOCUMENTS])
    tuned = train_model(model, ids, Schedule(12, 8, seed=0), trained=retuned_tensors(model), threads=1)
    changed = [
        a.name for a, b in zip(model.tensors, tuned.tensors, strict=True) if not np.array_equal(a.values, b.values)
    ]
    assert sorted(changed) == sorted(names)
    losses = [
        Interpreter(m.program, [t.values for t in m.tensors]).token_losses(ids[None, :200]).mean()
        for m in (model, tuned)
    ]
    assert losses[1] < losses[0]


def test_sizes_and_tokens_that_cannot_be(pruned, tmp_path):
    for size in (250, 420):
        with pytest.raises(DataError, match=r"a pruned vocabulary has at least 2\d\d pieces and fewer than 420"):
            kept_pieces(tiny_tokenizer(), DOCUMENTS, size)
    with pytest.raises(DataError, match="hold the boundary token 1"):
        prune_vocabulary(golf_model(1), np.array([0, 2, 3]))
    with pytest.raises(DataError, match="must be below 24"):
        prune_vocabulary(golf_model(1), np.array([0, 1, 24]))
    (tmp_path / "a.model").write_bytes(b"no model")
    with pytest.raises(DataError, match="not a sentencepiece model"):
        write_pruned_tokenizer(tmp_path / "a.model", pruned[0], tmp_path / "b.model")
    (tmp_path / "a.model").write_bytes(model_bytes())
    with pytest.raises(OutputError, match="exists"):
        write_pruned_tokenizer(tmp_path / "a.model", pruned[0], tmp_path / "a.model")

"""Tables of bytes by token: a right one passes, and each fault of published scores is named, with its factor."""

from __future__ import annotations

import io
import json
import unicodedata

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st
from tiny_tokenizers import model_bytes, tiny_tokenizer, words
from tokenizer_files import byte_level_json, write_tokenizers

from bytecap.errors import DataError
from bytecap.runtime.byte_table_checks import check_byte_table
from bytecap.runtime.byte_table_faults import FAULTS, operator_bytes
from bytecap.runtime.round_trips import NORMALIZATIONS, explain_change
from bytecap.runtime.shards import write_shard
from bytecap.runtime.tokenizers import SentencepieceTokenizer, load_tokenizer

TOKENIZER = tiny_tokenizer()
TABLE = TOKENIZER.byte_table()
WHOLE = TABLE.base_bytes.astype(int) + TABLE.leading_space
TEXT = "\0".join(" ".join(words(seed, 40)) + " 中 ü" for seed in range(6))


@pytest.fixture
def data(tmp_path):
    (tmp_path / "x.txt").write_text(TEXT, encoding="utf-8")
    return tmp_path / "x.txt"


def checked(table, tokenizer=TOKENIZER, data=None, **options):
    return {check.name: check for check in check_byte_table(table, tokenizer, data, **options)}


def failed(checks) -> list[str]:
    return [name for name, check in checks.items() if check.outcome.value == "failed"]


def with_counts(changes) -> np.ndarray:
    table = WHOLE.copy()
    for token, count in changes.items():
        table[token] = count
    return table


def test_every_right_form_of_a_table_passes(data, tmp_path):
    np.save(tmp_path / "table.npy", WHOLE)
    (tmp_path / "table.json").write_text(json.dumps(WHOLE.tolist()))
    (tmp_path / "x.model").write_bytes(model_bytes())
    triple = (TABLE.base_bytes, TABLE.leading_space, TABLE.boundary)
    for table in (WHOLE, WHOLE.tolist(), triple, TABLE, TOKENIZER, *tmp_path.glob("table.*"), tmp_path / "x.model"):
        checks = checked(table, data=data)
        assert failed(checks) == []
        assert checks["denominator"].values["counted"] == len(TEXT.replace("\0", "").encode())
        assert checks["denominator"].values["factor"] == 1
        assert checks["round trip"].values == {"documents": 6, "equal": 6, "changes": {}}


BYTES = {token for token in range(TOKENIZER.vocabulary_size) if TOKENIZER.is_byte(token)}
SPACED = np.flatnonzero(TABLE.leading_space).tolist()
FAULTY = {
    "space counted twice": with_counts({token: WHOLE[token] + 1 for token in SPACED}),
    "space not counted": with_counts({token: WHOLE[token] - 1 for token in SPACED}),
    "space marker": with_counts({token: len(TOKENIZER.piece(token).encode()) for token in SPACED}),
    "byte pieces": with_counts({token: 3 for token in BYTES if TOKENIZER.pieces.texts[token][0] >= 0x80}),
    "names of byte pieces": with_counts(dict.fromkeys(BYTES, 6)),
    "control pieces": with_counts({1: 3}),
    "other pieces": with_counts({SPACED[0]: 30}),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_named_with_its_factor(name, data):
    checks = checked(FAULTY[name], data=data)
    ids = np.concatenate([TOKENIZER.encode_document(text) for text in TEXT.split("\0")])
    size = len(TEXT.replace("\0", "").encode())
    expected = FAULTY[name][ids].sum() / size
    assert [found for found in failed(checks) if found in {fault.name for fault in FAULTS}] == [name]
    assert checks["denominator"].values["factor"] == pytest.approx(expected)
    assert checks["denominator"].passed == (expected <= 1)
    if name != "other pieces" and name != "control pieces":
        assert checks[name].values["factor"] == pytest.approx(expected)
        assert checks[name].values["added_bytes"] == pytest.approx(expected * size - size)


def test_the_space_in_the_table_and_in_the_loop(data):
    """The published case: +1 in the table, +1 again where a leading space is flagged."""
    triple = (TABLE.base_bytes + TABLE.leading_space, TABLE.leading_space, TABLE.boundary)
    checks = checked(triple, data=data)
    assert failed(checks) == ["space counted twice", "denominator"]
    assert checks["space counted twice"].values["pieces"] == len(SPACED)


def test_a_script_that_looks_for_another_marker(data):
    """`?` in the place of U+2581: the marker counts as its own three bytes, and no space is ever flagged."""
    base = [len(TOKENIZER.piece(token).encode()) for token in range(TOKENIZER.vocabulary_size)]
    base = [0 if TABLE.boundary[t] else 1 if t in BYTES else size for t, size in enumerate(base)]
    flags = [TOKENIZER.piece(token).startswith("?") for token in range(TOKENIZER.vocabulary_size)]
    checks = checked((base, flags, TABLE.boundary), data=data)
    assert failed(checks) == ["space marker", "denominator"] and checks["denominator"].values["factor"] > 1.2


def test_one_number_for_every_token_is_never_accepted(data):
    for table in (3.5, [4] * TOKENIZER.vocabulary_size):
        checks = checked(table, data=data)
        assert failed(checks)[0] == "one number for all"
        given = table if isinstance(table, float) else 4
        values = checks["one number for all"].values
        assert values["factor"] == pytest.approx(given / values["right"])
    assert failed(checked(3.5)) == ["one number for all"]


def test_spaces_without_a_piece_count_three_times(tmp_path):
    tokenizer = tiny_tokenizer("spaceless")
    (tmp_path / "x.txt").write_text("abc def a b", encoding="utf-8")
    write_shard(tmp_path / "x.bin", np.array(tokenizer.encode_document("abc def a b")))
    for path in (tmp_path / "x.txt", tmp_path / "x.bin"):
        checks = checked(tokenizer, tokenizer, path)
        assert {"standalone space", "denominator"} <= set(failed(checks))
        count = checks["standalone space"].values["spaces"]
        assert (
            count > 0 and checks["denominator"].values["counted"] - checks["denominator"].values["right"] == 2 * count
        )
    assert failed(checked(tokenizer, tokenizer)) == ["standalone space"]


@pytest.mark.parametrize("rule, name", [("nmt_nfkc", "NFKC"), ("nmt_nfkc_cf", "NFKC and case folded")])
def test_a_normalizing_tokenizer_is_named(tmp_path, rule, name):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(words(seed, 12)) + " ½ ™ Ⅷ ﬁne BROWN" for seed in range(100)]),
        model_writer=model,
        vocab_size=320,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name=rule,
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "x.model").write_bytes(model.getvalue())
    (tmp_path / "x.txt").write_text("Ｆｕｌｌ ½ ﷺ ﷺ ﷺ The Quick BROWN", encoding="utf-8")
    checks = checked(tmp_path / "x.model", None, tmp_path / "x.txt")
    assert {"denominator", "spelling", "round trip"} == set(failed(checks))
    assert checks["round trip"].values["changes"] == {name: 1}
    assert checks["spelling"].values["factor"] == pytest.approx(checks["denominator"].values["factor"])
    assert checks["spelling"].values["factor"] > 1.1


def test_lost_characters_are_told(tmp_path):
    (tmp_path / "x.txt").write_text("abc 中 def\0abc", encoding="utf-8")
    tokenizer = tiny_tokenizer("unknowns")
    checks = checked(tokenizer, tokenizer, tmp_path / "x.txt")
    assert failed(checks) == ["round trip"]
    assert checks["round trip"].detail == "1 of 2 documents come back equal; characters that have no piece (1)"
    assert "scores come out worse than they are" in checks["denominator"].detail


def test_shards_are_decoded_and_encoded_again(tmp_path):
    ids = [token for seed in range(4) for token in (1, *TOKENIZER.encode_document(" ".join(words(seed, 20))))]
    write_shard(tmp_path / "x.bin", np.array(ids))
    checks = checked(TABLE, data=tmp_path / "x.bin")
    assert failed(checks) == [] and checks["spelling"].outcome.value == "skipped"
    assert checks["round trip"].values == {"documents": 4, "equal": 4}
    letters = [TOKENIZER.token(letter) for letter in "abc"]
    write_shard(tmp_path / "y.bin", np.array([1, *letters, *letters, 1, *ids[1:20]]))
    assert checked(TABLE, data=tmp_path / "y.bin")["round trip"].values["equal"] == 1


def test_a_space_before_the_first_word_is_no_text(tmp_path):
    tokenizer = tiny_tokenizer("prefixed")
    (tmp_path / "x.txt").write_text("abc def\0abc", encoding="utf-8")
    table = tokenizer.byte_table()
    plain = table.base_bytes.astype(int) + table.leading_space
    checks = checked(plain, tokenizer, tmp_path / "x.txt")
    assert failed(checks) == ["first words", "denominator"] and checks["first words"].values["added_bytes"] == 2
    assert failed(checked(table, tokenizer, tmp_path / "x.txt")) == []


def test_case_operators_are_no_text():
    texts = [b"abc", "\ue001".encode(), "\ue002def".encode(), "\ue001".encode()[:2]]
    assert operator_bytes(texts, True).tolist() == [0, 3, 3, 0]
    assert operator_bytes(texts, False).tolist() == [0, 0, 0, 0]


def test_counted_case_operators_are_named(tmp_path):
    model = io.BytesIO()
    lines = ["\ue001 ".join(words(seed, 12)) for seed in range(100)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        vocab_size=330,
        model_type="bpe",
        byte_fallback=True,
        normalization_rule_name="identity",
        user_defined_symbols=["\ue001"],
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (tmp_path / "x.model").write_bytes(model.getvalue())
    tokenizer = SentencepieceTokenizer.load(tmp_path / "x.model")
    ids = tokenizer.encode_document("\ue001abc \ue001de f")
    write_shard(tmp_path / "x.bin", np.array(ids))
    checks = checked(tokenizer, tokenizer, tmp_path / "x.bin")
    assert {"case operators", "denominator"} <= set(failed(checks))
    assert checks["case operators"].values["added_bytes"] == 6


@given(st.text(max_size=20), st.sets(st.sampled_from(sorted(NORMALIZATIONS)), min_size=1))
def test_a_change_is_explained_by_what_made_it(text, names):
    changed = text
    for name in names:
        changed = NORMALIZATIONS[name](changed)
    if changed != text:
        assert explain_change(text, changed) != "other changes" or unicodedata.normalize("NFKC", text) != text


def test_what_is_no_table_is_refused(tmp_path):
    np.save(tmp_path / "table.npy", WHOLE)
    for table, tokenizer, said in (
        (WHOLE[:100], TOKENIZER, "ends at token 99 and the tokenizer has 420 pieces"),
        (np.zeros((2, 420)), TOKENIZER, "is no list of numbers"),
        (WHOLE, None, "is checked against its tokenizer"),
        (tmp_path / "table.npy", None, "says how many bytes a token has, not which"),
    ):
        with pytest.raises(DataError, match=said):
            check_byte_table(table, tokenizer)


def test_the_own_table_of_every_kind_of_tokenizer_is_right(tmp_path):
    """No fault is seen where there is none; round trips are those of the kind."""
    (tmp_path / "x.txt").write_text("abc de f.\0abc cde. \u00e9\u4e2d", encoding="utf-8")
    found = {}
    for name, path in write_tokenizers(tmp_path).items():
        checks = checked(path, None, tmp_path / "x.txt")
        found[name] = [fault for fault in failed(checks) if fault not in ("round trip", "standalone space")]
    assert {name: faults for name, faults in found.items() if faults} == {} and len(found) > 10


def test_the_table_of_a_byte_level_vocabulary_as_it_decodes(tmp_path):
    """Parts of characters decode to U+FFFD alone: 3 bytes where they are 1 or 2."""
    (tmp_path / "tokenizer.json").write_text(byte_level_json(), encoding="utf-8")
    (tmp_path / "x.txt").write_text("abc \u4e2d\u6587 de", encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path / "tokenizer.json")
    table = [len(tokenizer.decode([token]).encode()) for token in range(tokenizer.vocabulary_size)]
    checks = checked(table, tokenizer, tmp_path / "x.txt")
    assert failed(checks) == ["byte pieces", "denominator"]
    ids = tokenizer.encode_document("abc \u4e2d\u6587 de")
    size = len("abc \u4e2d\u6587 de".encode())
    assert checks["byte pieces"].values["factor"] == pytest.approx(sum(table[token] for token in ids) / size)
    assert checks["byte pieces"].values["factor"] > 1.2

"""What lies in a tokenizer's file beside the tokenizer is counted exactly; one as trained has nothing beside it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from submission_folders import write_folder

from bytecap.submissions.blob_tokenizers import bytes_beside
from bytecap.submissions.judge import judge_folder
from bytecap.submissions.judgement import JudgeOptions

TEXT = "The validation text, word for word, hidden where nobody looks. " * 400  # 25 KB
PIECES = {chr(0x100 + number): number for number in range(256)} | {"th": 256, "-" * 128: 257, "\u0120" * 128: 258}
TOKEN = {"id": 0, "content": "<s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
TOKEN["special"] = True
CHARSMAP = base64.b64encode(bytes(range(256)) * 925).decode()  # 237 KB, as NFKC


def tokenizer(**members):
    model = {"type": "BPE", "unk_token": None, "fuse_unk": False, "vocab": PIECES, "merges": ["t h"]}
    document = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [TOKEN], "normalizer": None}
    document |= {"pre_tokenizer": {"type": "ByteLevel", "use_regex": True}, "post_processor": None}
    document |= {"decoder": {"type": "ByteLevel"}, "model": {**model, **members.pop("model", {})}}
    return {**document, **members}


def written(document, **options):
    return json.dumps(document, **options).encode()


def field(number, content):
    length, size = b"", len(content)
    while True:
        length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + length + content


def piece(text, *more):
    return field(1, field(1, text.encode()) + b"\x15\0\0\0\0" + b"".join(more))


NORMALIZER = field(3, field(1, b"nmt_nfkc") + field(2, bytes(237_000)))
SENTENCEPIECE = b"".join(map(piece, ["<unk>", "<s>", "</s>", *"abcdefgh"])) + field(2, field(1, b"in.txt")) + NORMALIZER
RANKS = b"".join(base64.b64encode(bytes([n])) + b" %d\n" % n for n in range(256))
LONG = TEXT.encode()
HIDING = {
    "member": ("tokenizer.json", written(tokenizer(comment=TEXT)), "comment"),
    "member of the model": ("tokenizer.json", written(tokenizer(model={"notes": TEXT})), "model.notes"),
    "member of a token": ("tokenizer.json", written(tokenizer(added_tokens=[{**TOKEN, "x": TEXT}])), "added_tokens.x"),
    "added token": ("tokenizer.json", written(tokenizer(added_tokens=[{**TOKEN, "content": TEXT}])), "added tokens"),
    "piece": ("tokenizer.json", written(tokenizer(model={"vocab": {**PIECES, TEXT: 999}})), "pieces longer"),
    "many pieces": (
        "tokenizer.json",
        written(tokenizer(model={"vocab": PIECES | {TEXT[n : n + 300]: 999 + n for n in range(60)}})),
        "60 pieces longer",
    ),
    "merge": ("tokenizer.json", written(tokenizer(model={"merges": ["t h", TEXT]})), "merges"),
    "normalizer": (
        "tokenizer.json",
        written(tokenizer(normalizer={"type": "Replace", "pattern": {"String": TEXT}, "content": ""})),
        "texts of normalizer",
    ),
    "table of normalization": (
        "tokenizer.json",
        written(tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": CHARSMAP * 3})),
        "texts of normalizer",
    ),
    "key": ("tokenizer.json", written(tokenizer(decoder={"type": "ByteLevel", TEXT: 1})), "texts of decoder"),
    "white space": ("tokenizer.json", written(tokenizer()) + b" \t" * 19000, "white space"),
    "a member twice": (
        "tokenizer.json",
        b'{"version": ' + written(TEXT) + b"," + written(tokenizer())[1:],
        "members that stand twice",
    ),
    "configuration": ("tokenizer_config.json", written({"notes": TEXT}), "texts"),
    "vocabulary": ("vocab.json", written({**PIECES, TEXT: 999}), "pieces longer"),
    "sentencepiece, trainer": ("a.model", SENTENCEPIECE + field(2, LONG), "trainer_spec"),
    "sentencepiece, self test": ("a.model", SENTENCEPIECE + field(4, LONG * 4), "self_test_data"),
    "sentencepiece, field": ("a.model", SENTENCEPIECE + field(9, LONG), "field 9"),
    "sentencepiece, piece": ("a.model", SENTENCEPIECE + piece(TEXT), "pieces longer"),
    "sentencepiece, in a piece": ("a.model", SENTENCEPIECE + piece("x", field(7, LONG)), "fields that no piece has"),
    "sentencepiece, normalizer": ("a.model", SENTENCEPIECE + field(3, field(2, bytes(600_000))), "normalizer_spec"),
    "sentencepiece, tail": ("a.model", SENTENCEPIECE + b"\xff" * 5000, "tail"),
    "tiktoken, comment": ("a.tiktoken", RANKS + b"# " + LONG, "lines that are no pieces"),
    "tiktoken, piece": ("a.tiktoken", RANKS + base64.b64encode(LONG) + b" 256\n", "pieces longer"),
    "merges": ("merges.txt", b"#version: 0.2\nt h\n" + LONG + b"\n", "lines longer"),
}
PLAIN = {
    "compact": ("tokenizer.json", written(tokenizer(), separators=(",", ":"))),
    "indented": ("tokenizer.json", written(tokenizer(), indent=2, ensure_ascii=False)),
    "wide": ("tokenizer.json", written(tokenizer(), indent=4) + b"\n"),
    "normalizing": (
        "tokenizer.json",
        written(tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": CHARSMAP})),
    ),
    "unigram": ("tokenizer.json", written(tokenizer(model={"vocab": [["<unk>", 0.0], ["a", -1.5]], "merges": []}))),
    "pairs": ("tokenizer.json", written(tokenizer(model={"merges": [["t", "h"]]}))),
    "configuration": ("tokenizer_config.json", written({"bos_token": "<s>", "chat_template": "{% if x %}" * 900})),
    "vocabulary": ("vocab.json", written(PIECES)),
    "sentencepiece": ("a.model", SENTENCEPIECE),
    "tiktoken": ("a.tiktoken", RANKS),
    "merges": ("merges.txt", b"#version: 0.2\nt h\n"),
    "pieces and scores": ("a.vocab", b"<unk>\t0\na\t-1.5\n"),
}


def judged(tmp_path, files, **options):
    judgement = judge_folder(write_folder(tmp_path / "folder", files), JudgeOptions(**options))
    return [item for item in judgement.findings if item.rule in ("tokenizer-beside", "blob-text")]


@pytest.mark.parametrize("name", HIDING)
def test_what_no_tokenizer_needs_is_counted(name, tmp_path):
    file, data, words = HIDING[name]
    (finding,) = judged(tmp_path, {"train_gpt.py": "print(1)\n", file: data})
    assert (finding.level.value, finding.place) == ("finding", file)
    assert words in finding.text
    assert finding.values["bytes"] == len(data)
    assert 15_000 < finding.values["beside"] <= len(data) or "tail" in words


@pytest.mark.parametrize("name", PLAIN)
def test_a_tokenizer_as_trained_has_nothing_beside(name, tmp_path):
    file, data = PLAIN[name]
    assert bytes_beside(file, data).bytes == 0
    assert judged(tmp_path, {"train_gpt.py": f"open('{file}').read()\n", file: data}) == []


def test_what_is_beside_is_counted_to_the_byte():
    plain, beside = written(tokenizer()), 5000
    assert bytes_beside("tokenizer.json", written(tokenizer(comment="x" * beside))).what == {"comment": beside + 2}
    assert bytes_beside("a.model", SENTENCEPIECE + field(9, bytes(beside))).bytes == beside
    widest = len(json.dumps(tokenizer(), indent=4)) + 2
    assert bytes_beside("tokenizer.json", plain + b" " * beside).bytes == max(len(plain) + beside - widest, 0)


@pytest.mark.parametrize(("script", "levels"), [("open('tokenizer.txt').read()\n", ["warning"]), ("print(1)\n", [])])
def test_a_name_makes_no_tokenizer(script, levels, tmp_path):
    findings = judged(tmp_path, {"train_gpt.py": script, "tokenizer.txt": TEXT})
    assert [finding.level.value for finding in findings] == levels
    assert all(
        "by their name alone" in finding.text and "train_gpt.py:1 reads it" in finding.text for finding in findings
    )


@pytest.mark.parametrize(
    "data", [b"{", b"{" * 99_999, b'{"model": 3}', b"\n\x0a", b"", b'{"model": {"vocab": 7}}', b"\0"]
)
@pytest.mark.parametrize("file", ["tokenizer.json", "a.model", "a.tiktoken", "vocab.txt"])
def test_odd_files_break_nothing(file, data, tmp_path):
    judgement = judge_folder(write_folder(tmp_path / "folder", {"train_gpt.py": "print(1)\n", file: data}))
    assert judgement.complete


ORDINARY = {
    "as it is": json.dumps(tokenizer(normalizer={"type": "Prepend", "prepend": TEXT[:900]})).encode(),
    "base64": json.dumps(tokenizer(version=base64.b64encode(TEXT[:600].encode()).decode())).encode(),
    "escaped": json.dumps(tokenizer(version="\u00e9" + TEXT[:900])).encode(),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_the_data_are_found_in_what_is_too_short_to_be_counted(name, tmp_path):
    data = tmp_path / "val.txt"
    data.write_text("Other text before it, of another length. \u00e9" + TEXT)
    files = {"train_gpt.py": "print(1)\n", "tokenizer.json": ORDINARY[name]}
    findings = judged(tmp_path, files, data=str(data), tokenizer="bytes")
    assert [finding.place for finding in findings if finding.rule == "blob-text"] == ["tokenizer.json"]
    assert findings[-1].values["bytes"] >= 500
    assert not judged(Path(tmp_path / "again"), files)


def test_a_text_that_is_read_and_not_counted_is_data(tmp_path):
    files = {"train_gpt.py": "open('fineweb_notes.txt').read()\n", "fineweb_notes.txt": TEXT}
    judgement = judge_folder(write_folder(tmp_path / "folder", files))
    assert [item.level.value for item in judgement.findings if item.rule == "blob-data"] == ["finding"]


def test_a_folder_without_artifact_needs_no_compiled_kernels(tmp_path):
    files = {"train_gpt.py": "x = 1\n", "a.model": SENTENCEPIECE, "a.pt": b"\0" * 99, "a.ptz": zlib.compress(bytes(99))}
    folder = write_folder(tmp_path / "folder", files)
    code = "import sys; from bytecap.submissions.judge import judge_folder; judge_folder(sys.argv[1]); "
    code += "print(sorted({'numba', 'torch', 'sentencepiece'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-P", "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert run.stdout == "['sentencepiece']\n"

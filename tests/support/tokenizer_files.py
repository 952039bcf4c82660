"""Tokenizer files of every kind, small ones made on the spot, all of the same words."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
from functools import cache
from pathlib import Path

import numpy as np
from tiny_tokenizers import model_bytes, sentences

CHARACTERS = sorted({*"abcdefghijklmnop .,\n\u00e9\u4e2d"})


def lines() -> list[str]:
    """The text that every vocabulary is trained on."""
    return [" ".join(sentence) + ". \u00e9\u4e2d\n" for sentence in sentences(200)]


@cache
def byte_level_json() -> str:
    """GPT-2's kind of tokenizer.json: 400 pieces, one control piece."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(lines(), trainer)
    return library.to_str()


@cache
def metaspace_json(model: str = "BPE") -> str:
    """Llama's kind of tokenizer.json, BPE with bytes to fall back on; or a unigram vocabulary without them."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = ["<unk>", "<s>", "</s>"]
    if model == "Unigram":
        library = Tokenizer(models.Unigram())
        library.pre_tokenizer = pre_tokenizers.Metaspace()
        library.decoder = decoders.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False
        )
        library.train_from_iterator(lines(), trainer)
        return library.to_str()
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    trained.train_from_iterator(
        lines(),
        trainers.BpeTrainer(
            vocab_size=500, special_tokens=[*special, *(f"<0x{b:02X}>" for b in range(256))], show_progress=False
        ),
    )
    described = json.loads(trained.to_str())
    described["model"] |= {"byte_fallback": True, "fuse_unk": True}
    described["added_tokens"] = described["added_tokens"][: len(special)]
    library = Tokenizer.from_str(json.dumps(described))
    library.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    library.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return library.to_str()


@cache
def ranks() -> dict[bytes, int]:
    """The byte-level vocabulary as bytes by rank."""
    from bytecap.runtime.tokenizers.tokenizer_json import byte_alphabet

    alphabet = byte_alphabet()
    vocabulary = json.loads(byte_level_json())["model"]["vocab"]
    del vocabulary["<|endoftext|>"]
    ordered = sorted(vocabulary, key=lambda piece: vocabulary[piece])
    single = [bytes([b]) for b in range(256)]
    longer = [bytes([alphabet[character] for character in piece]) for piece in ordered]
    return {text: rank for rank, text in enumerate([*single, *(text for text in longer if len(text) > 1)])}


def rank_file() -> bytes:
    """A .tiktoken file."""
    return b"".join(base64.b64encode(text) + b" %d\n" % rank for text, rank in ranks().items())


def pickled_encoding() -> bytes:
    """What nanochat writes: a pickled tiktoken.Encoding."""
    import tiktoken

    size = len(ranks())
    return pickle.dumps(
        tiktoken.Encoding(
            "own", pat_str=r"\w+|\W", mergeable_ranks=ranks(), special_tokens={"<|bos|>": size, "<|user|>": size + 1}
        )
    )


def meta_pickle() -> bytes:
    """What nanoGPT writes of a character vocabulary."""
    ids = {character: token for token, character in enumerate(CHARACTERS)}
    return pickle.dumps({"vocab_size": len(ids), "itos": {v: k for k, v in ids.items()}, "stoi": ids})


def scored_pieces() -> list[tuple[str, float, int]]:
    """Piece, score and type of the sentencepiece model `prefixed`, by id."""
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_proto=llama_model())
    types = {processor.is_unknown: 2, processor.is_control: 3, processor.is_byte: 6}
    return [
        (
            processor.id_to_piece(token),
            processor.get_score(token),
            next((kind for asks, kind in types.items() if asks(token)), 1),
        )
        for token in range(processor.vocab_size())
    ]


@cache
def llama_model() -> bytes:
    """A sentencepiece model of Llama's layout: unknown 0, begin 1, end 2, then the bytes; no normalization."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines()),
        model_writer=model,
        model_type="bpe",
        vocab_size=420,
        byte_fallback=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        num_threads=1,
    )
    return model.getvalue()


def llama2c_file() -> bytes:
    """A tokenizer.bin of the same vocabulary."""
    records = []
    for token, (piece, score, _) in enumerate(scored_pieces()):
        text = {1: "\n<s>\n", 2: "\n</s>\n"}.get(token, piece.replace("\u2581", " ")).encode()
        records.append(struct.pack("<fi", score, len(text)) + text)
    return struct.pack("<i", max(map(len, records)) - 8) + b"".join(records)


def gguf_file(model: str = "llama", **changes) -> bytes:
    """A GGUF file of no tensors with the tokenizer of `llama_model` or of `byte_level_json`."""
    if model == "llama":
        pieces = scored_pieces()
        fields = {
            "tokens": [piece for piece, _, _ in pieces],
            "scores": [score for _, score, _ in pieces],
            "token_type": [kind for _, _, kind in pieces],
            "bos_token_id": 1,
            "add_bos_token": True,
        }
    else:
        described = json.loads(byte_level_json())["model"]
        ordered = sorted(described["vocab"], key=lambda piece: described["vocab"][piece])
        fields = {
            "tokens": ordered,
            "token_type": [3 if piece == "<|endoftext|>" else 1 for piece in ordered],
            "merges": [" ".join(pair) for pair in described["merges"]],
            "pre": "gpt-2",
            "bos_token_id": 0,
            "add_bos_token": False,
        }
    return encode_gguf({"general.architecture": "llama"} | prefixed({"model": model} | fields | changes))


def prefixed(fields: dict) -> dict:
    return {f"tokenizer.ggml.{name}": value for name, value in fields.items() if value is not None}


def encode_gguf(fields: dict) -> bytes:
    """A GGUF file of these fields and no tensors."""
    body = b"".join(_string(key) + _typed(value) for key, value in fields.items())
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(fields)) + body


def _string(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _typed(value) -> bytes:
    if isinstance(value, list):
        kind = 8 if isinstance(value[0], str) else 6 if isinstance(value[0], float) else 5
        items = b"".join(_string(v) if kind == 8 else struct.pack("<f" if kind == 6 else "<i", v) for v in value)
        return struct.pack("<IIQ", 9, kind, len(value)) + items
    if isinstance(value, str):
        return struct.pack("<I", 8) + _string(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    return struct.pack("<II", 4, value)


def write_tokenizers(folder: Path) -> dict[str, Path]:
    """A file of each kind, by the kind's name in the tests."""
    described = json.loads(byte_level_json())["model"]
    split = folder / "split"
    split.mkdir()
    (split / "merges.txt").write_text(
        "#version: 0.2\n" + "\n".join(" ".join(pair) for pair in described["merges"]), encoding="utf-8"
    )
    contents = {
        "byte-level": ("bpe.json", byte_level_json().encode()),
        "metaspace": ("metaspace.json", metaspace_json().encode()),
        "unigram": ("unigram.json", metaspace_json("Unigram").encode()),
        "vocab and merges": ("split/vocab.json", json.dumps(described["vocab"]).encode()),
        "ranks": ("own.tiktoken", rank_file()),
        "pickled ranks": ("tokenizer.pkl", pickled_encoding()),
        "gguf llama": ("llama.gguf", gguf_file()),
        "gguf gpt2": ("gpt2.gguf", gguf_file("gpt2")),
        "llama2.c": ("tokenizer.bin", llama2c_file()),
        "sentencepiece": ("own.model", model_bytes("prefixed")),
        "characters": ("meta.pkl", meta_pickle()),
        "character list": ("chars.json", json.dumps(CHARACTERS).encode()),
    }
    for name, data in contents.values():
        (folder / name).write_bytes(data)
    np.save(folder / "token_bytes.npy", np.array([0, 1, 2, 3]))
    return {kind: folder / name for kind, (name, _) in contents.items()} | {"bytes": Path("bytes")}

"""`bytecap eval`: the numbers are those of the library, bad data are named."""

from __future__ import annotations

import hashlib
import io
import re
import sys

import numpy as np
import pytest
from command_line import bytecap_command

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.frontends import build_model, read_architecture
from bytecap.format.artifact import decode_tensors, read_artifact
from bytecap.runtime.evaluation import evaluate_program
from bytecap.runtime.scoring import paired_gap
from bytecap.runtime.shards import read_shard, write_shard


@pytest.fixture(scope="module")
def scores(small_job):
    """Scores of artifact and checkpoint, computed without the command line."""
    artifact = read_artifact(small_job.artifact.read_bytes())
    model = build_model(read_checkpoint(small_job.checkpoint), read_architecture(small_job.architecture))
    files = (small_job.data, small_job.tokenizer)
    return (
        evaluate_program(artifact.program, decode_tensors(artifact), *files),
        evaluate_program(model.program, [tensor.values for tensor in model.tensors], *files),
    )


def test_eval_of_an_artifact_against_its_checkpoint(small_job, scores):
    outcome = bytecap_command(
        "eval", small_job.artifact, *small_job.score_arguments(), "--against", small_job.checkpoint, "--json"
    )
    document, gap = outcome.document, paired_gap(scores[1], scores[0])
    assert (outcome.code, outcome.stderr, document["schema"], document["kind"]) == (0, "", 1, "artifact")
    for name, score in (("score", scores[0]), ("reference", scores[1])):
        assert document[name]["bits_per_byte"] == pytest.approx(score.bits_per_byte, abs=1e-9)
        assert document[name]["standard_error"] == pytest.approx(score.standard_error, abs=1e-9)
        assert (document[name]["tokens"], document[name]["bytes"]) == (score.tokens, score.bytes)
    assert document["gap"]["mbpb"] == pytest.approx(gap.mbpb, abs=1e-6)
    assert document["gap"]["standard_error_mbpb"] == pytest.approx(gap.standard_error_mbpb, abs=1e-6)
    assert document["same_program"] is True
    assert document["score"]["worse_than_guessing"] is True and document["notes"][0].startswith("worse than guessing")


def test_eval_as_text(small_job, scores):
    outcome = bytecap_command(
        "eval", small_job.artifact, *small_job.score_arguments(), "--against", small_job.checkpoint
    )
    lines = re.sub(r", [0-9.]+ s, [0-9,]+ tokens/s\)", ", TIME)", outcome.stdout).splitlines()
    expected = []
    for word, score in (("artifact", scores[0]), ("reference", scores[1])):
        expected += [
            f"{word:<11} {score.bits_per_byte:.5f} ± {score.standard_error:.5f} bits per byte  "
            "(1,600 tokens, 2,485 bytes, TIME)",
            f"            {score.bits_per_token:.5f} bits per token, perplexity {score.perplexity:,.2f} a token, "
            f"{score.word_perplexity:.3g} a word (468 words)",
        ]
    gap = paired_gap(scores[1], scores[0])
    assert lines == [
        *expected,
        f"gap         {gap.mbpb:+.2f} ± {gap.standard_error_mbpb:.2f} mBPB",
        f"tokenizer   {small_job.tokenizer}  (sentencepiece, 420 pieces)",
        "read        windows of 32 tokens, 17 tokens left out",
        f"data        not a known split: 1,618 tokens, sha256 {shard_digest(small_job.data)[:16]}…",
    ]
    assert outcome.stderr.splitlines()[-1] == (
        f"bytecap: note: worse than guessing: {scores[0].bits_per_token:.2f} bits a token, where the same probability "
        "for each of 420 tokens gives 8.71; probably another architecture or tokenizer"
    )


def shard_digest(path) -> str:
    return hashlib.sha256(path.read_bytes()[1024:]).hexdigest()


def test_the_split_is_named_and_other_data_under_its_name_are_told(small_job, tmp_path):
    """eval says it in a line and in `--json`; a cut shard is said to be cut, whatever part of it is scored."""
    table = tmp_path / "splits.toml"
    table.write_text(
        f'[[split]]\nname = "ours"\nkind = "test"\nfiles = "{small_job.data.name}"\ntokens = 1_618\n'
        f'sha256 = "{shard_digest(small_job.data)}"\n'
    )
    arguments = ["eval", small_job.artifact, "--tokenizer", small_job.tokenizer, "--splits", table, "--data"]
    outcome = bytecap_command(*arguments, small_job.data)
    assert outcome.stdout.splitlines()[-1] == "data        ours (test), all of it: 1,618 tokens, sha256 agrees"
    cut = tmp_path / small_job.data.name
    write_shard(cut, read_shard(small_job.data)[:809])
    split = bytecap_command(*arguments, cut, "--max-tokens", 64, "--json").document["text"]["split"]
    assert split["detail"] == "not ours (test), which they are by name: cut, 809 of 1,618 tokens (50.0 %)"
    assert (split["verdict"], split["name"], split["tokens"]) == ("different", "ours", 809)
    outcome = bytecap_command(*arguments, small_job.data, "--split", "theirs")
    assert (outcome.code, outcome.stdout) == (8, "") and "'theirs' is no known split" in outcome.stderr
    verified = bytecap_command("verify", small_job.artifact, *arguments[2:], cut)
    assert verified.code == 7 and "cut, 809 of 1,618 tokens" in verified.stdout.splitlines()[-2]
    assert verified.stdout.splitlines()[-2].startswith("FAIL     score")


def test_eval_of_a_checkpoint_on_text_scores_every_token_of_it(small_job):
    arguments = ["--tokenizer", small_job.tokenizer, "--architecture", small_job.architecture, "--json"]
    on_text, on_shard = (
        bytecap_command("eval", small_job.checkpoint, "--data", path, *arguments, *more).document
        for path, more in ((small_job.text, ["--max-tokens", 1600]), (small_job.data, []))
    )
    assert on_text["kind"] == "checkpoint"
    assert on_text["score"]["bits_per_byte"] == pytest.approx(on_shard["score"]["bits_per_byte"], abs=1e-9)
    assert on_text["reference"] is None and on_text["gap"] is None
    whole = bytecap_command("eval", small_job.checkpoint, "--data", small_job.text, *arguments).document["score"]
    text = small_job.text.read_text()
    assert (whole["bytes"], whole["unscored_tokens"]) == (len(text.replace("\0", "").encode()), 0)
    assert whole["words"] == len(text.replace("\0", " ").split())


def test_the_conventions_of_a_text(small_job, tmp_path):
    """What begins a document, whether documents run on, which windows: as asked, and said."""
    (tmp_path / "x.jsonl").write_text('{"text": "abc de"}\n{"text": "fg abc"}\n')
    (tmp_path / "tokenizer.model").write_bytes(small_job.tokenizer.read_bytes())
    (tmp_path / "model.bcap").write_bytes(small_job.artifact.read_bytes())
    arguments = ["eval", tmp_path / "model.bcap", "--data", tmp_path / "x.jsonl"]
    said = {
        (): "windows of 32 tokens, 2 documents, one running on into the next, token 1 '<s>' before each",
        ("--bos", "none"): "windows of 32 tokens, 2 documents, one running on into the next, no token before them",
        ("--documents", "separate", "--bos", 2, "--sequence-length", 8, "--stride", 4): (
            "windows of 8 tokens, 4 scored in each, 2 documents, each read from its own beginning, "
            "token 2 '</s>' before each, 1 token left out"
        ),
    }
    for options, line in said.items():
        outcome = bytecap_command(*arguments, *options)
        assert outcome.stdout.splitlines()[-2] == f"read        {line}"
    document = bytecap_command(*arguments, "--documents", "separate", "--json").document
    assert document["text"] == {
        "tokenizer": document["text"]["tokenizer"],
        "documents": 2,
        "separate": True,
        "beginning": 1,
        "beginning_piece": "<s>",
        "is_text": True,
        "split": document["text"]["split"],
    }
    assert document["text"]["split"]["verdict"] == "unknown"
    assert document["text"]["tokenizer"]["source"] == str(tmp_path / "tokenizer.model")  # found beside the model
    assert (document["score"]["bytes"], document["score"]["words"]) == (12, 4)
    assert bytecap_command(*arguments, "--bos", "start").code == 8


def test_a_token_before_documents_is_said_to_be_unused_for_shards(small_job):
    arguments = ["eval", small_job.artifact, *small_job.score_arguments()]
    note = f"the token to put before documents was not used: {small_job.data} has its documents' own"
    asked, plain = (bytecap_command(*arguments, "--json", *more).document for more in (["--bos", 500], []))
    assert asked["notes"] == [note, *plain["notes"]]
    assert asked["score"]["bits_per_byte"] == plain["score"]["bits_per_byte"]
    assert f"bytecap: note: {note}\n" in bytecap_command(*arguments, "--bos", 500).stderr


def test_what_a_tokenizer_hides_is_told(small_job, tmp_path):
    """A text that the tokenizer normalizes: the bytes are the file's, and those that no token spells are counted."""
    text = "abc \uff41\ufb01 de"  # NFKC makes "a" and "fi" of two characters of three bytes
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")
    arguments = [small_job.artifact, "--data", tmp_path / "x.txt", "--tokenizer", small_job.tokenizer]
    score = bytecap_command("eval", *arguments, "--json").document["score"]
    assert (score["bytes"], score["hidden_bytes"] >= 6) == (len(text.encode()), True)
    hidden = score["hidden_bytes"]
    notes = [line for line in bytecap_command("eval", *arguments).stderr.splitlines() if "does not spell" in line]
    assert notes == [
        f"bytecap: note: the tokenizer does not spell {hidden} of the 13 bytes of the text (it rewrites characters or "
        "lacks them), and no model predicts what it hides; bits per byte are of the text's own bytes: "
        f"{100 * hidden / 13:.0f} % of them cost next to nothing, and the score is too low by about that much"
    ]
    verified = bytecap_command("verify", *arguments).stdout
    shown = " ".join(verified.split())
    assert f"13 bytes; the tokenizer does not spell {hidden} bytes of the text: {100 * hidden / 13:.0f} % of" in shown


def test_rare_characters_that_a_tokenizer_hides_are_only_counted(small_job, tmp_path):
    (tmp_path / "x.txt").write_text("abc de " * 100 + "\uff41", encoding="utf-8")
    arguments = [small_job.artifact, "--data", tmp_path / "x.txt", "--tokenizer", small_job.tokenizer]
    said = bytecap_command("eval", *arguments).stderr
    assert "of the 703 bytes of the text (it" in said and "too low" not in said
    assert "too low" not in bytecap_command("verify", *arguments).stdout


def test_rows_without_a_piece_are_told(small_job, tmp_path):
    """A vocabulary padded beyond the tokenizer scores, and what the padding gets is said."""
    from bytecap.compiler.checkpoints.export import export_checkpoint

    found = read_checkpoint(small_job.checkpoint)
    tensors = dict(found.tensors)
    table = tensors["tok_emb.weight"]
    tensors["tok_emb.weight"] = np.concatenate([table, np.zeros((12, table.shape[1]), np.float32)])
    export_checkpoint(
        list(tensors), list(tensors.values()), ["float32"] * len(tensors), tmp_path / "padded.safetensors", False
    )
    outcome = bytecap_command("eval", tmp_path / "padded.safetensors", *small_job.score_arguments(), "--json")
    score = outcome.document["score"]
    assert score["rows_without_piece"] == 12 and 0 < score["probability_without_piece"] < 0.5
    share = f"{100 * score['probability_without_piece']:.2g}"
    assert outcome.document["notes"][-1] == (
        f"12 of the model's 432 rows have no piece in the tokenizer; they get {share} % of the probability"
    )


def test_counts_of_bytes_beside_a_shard_are_used(small_job, tmp_path):
    ids = read_shard(small_job.data)
    (tmp_path / "a_val_0.bin").write_bytes(small_job.data.read_bytes())
    write_shard(tmp_path / "a_val_bytes_0.bin", np.full(len(ids), 2))
    document = bytecap_command("eval", small_job.artifact, "--data", tmp_path / "a_val_0.bin", "--json").document
    assert document["score"]["bytes"] == 2 * document["score"]["tokens"]
    assert document["notes"][0] == f"bytes are those of {tmp_path}/a_val_bytes_0.bin"
    write_shard(tmp_path / "a_val_bytes_0.bin", np.full(len(ids) - 1, 2), force=True)
    refused = bytecap_command("eval", small_job.artifact, "--data", tmp_path / "a_val_0.bin")
    assert refused.code == 8 and "give the counts that were written with these tokens" in refused.stderr


def test_a_shard_without_a_tokenizer_has_bits_per_token(small_job, tmp_path):
    (tmp_path / "model.bcap").write_bytes(small_job.artifact.read_bytes())
    arguments = ["eval", tmp_path / "model.bcap", "--data", small_job.data]
    document = bytecap_command(*arguments, "--json").document
    assert document["score"]["bits_per_byte"] is None and document["score"]["bits_per_token"] > 0
    assert " bits per token  (1,600 tokens, bytes not known, " in bytecap_command(*arguments).stdout
    refused = bytecap_command("eval", tmp_path / "model.bcap", "--data", small_job.text)
    assert refused.code == 8 and "a tokenizer is needed" in refused.stderr


def test_eval_options_limit_what_is_scored(small_job):
    arguments = ["--sequence-length", 16, "--max-tokens", 100, "--json"]
    score = bytecap_command("eval", small_job.artifact, *small_job.score_arguments(), *arguments).document["score"]
    assert (score["tokens"], score["sequence_length"]) == (96, 16)


def test_windows_beyond_what_the_model_was_made_for_are_said(small_job):
    arguments = ["eval", small_job.artifact, *small_job.score_arguments(), "--sequence-length", 64, "--json"]
    note = "the model was made for 32 tokens, and its windows take 64"
    assert note in bytecap_command(*arguments).document["notes"]
    against = bytecap_command(*arguments, "--against", small_job.checkpoint).document
    assert against["notes"].count(note) == 1


def test_a_different_architecture_is_noted(small_job, tmp_path):
    (tmp_path / "architecture.toml").write_text("rope_base = 500.0\n")
    arguments = [
        *small_job.score_arguments(),
        "--against",
        small_job.checkpoint,
        "--architecture",
        tmp_path / "architecture.toml",
    ]
    outcome = bytecap_command("eval", small_job.artifact, *arguments)
    assert outcome.code == 0
    assert outcome.stderr.startswith("bytecap: note: the two models have different programs")
    assert "note: the model and its reference were made with different architecture documents" in outcome.stderr
    same = bytecap_command("eval", small_job.artifact, *arguments[:-1], small_job.architecture)
    assert "architecture documents" not in same.stderr


def damaged_data(small_job, folder, damage):
    """A data file, a tokenizer and the words its error must contain."""
    from tiny_tokenizers import model_bytes

    shard = small_job.data.read_bytes()
    data, tokenizer = folder / "data.bin", folder / "tokenizer.model"
    tokenizer.write_bytes(small_job.tokenizer.read_bytes())
    if damage == "magic":
        data.write_bytes(b"\0" + shard[1:])
    elif damage == "size":
        data.write_bytes(shard[:-2])
    elif damage == "id":
        data.write_bytes(shard[:-2] + (420).to_bytes(2, "little"))
    elif damage == "empty":
        data.write_bytes(b"")
    elif damage == "tokenizer":
        data.write_bytes(shard)
        tokenizer.write_bytes(model_bytes("unknowns"))
    return data, tokenizer


@pytest.mark.parametrize("damage", ["magic", "size", "id", "empty", "tokenizer"])
@pytest.mark.parametrize("command", ["eval", "verify"])
def test_bad_data_gets_one_line_that_names_the_file(small_job, tmp_path, damage, command):
    data, tokenizer = damaged_data(small_job, tmp_path, damage)
    outcome = bytecap_command(command, small_job.artifact, "--data", data, "--tokenizer", tokenizer)
    if (command, damage) == ("verify", "tokenizer"):  # a verdict, and no error
        assert (outcome.code, outcome.stderr) == (7, "") and f"{tokenizer} (" in outcome.stdout
        return
    assert (outcome.code, outcome.stdout, outcome.stderr.count("\n")) == (8, "", 1)
    assert str(tokenizer if damage == "tokenizer" else data) in outcome.stderr


@pytest.fixture
def other_tokenizer(tmp_path):
    """A tokenizer of as many pieces as the job's, and not the same ones."""
    from tiny_tokenizers import model_bytes

    (tmp_path / "other.model").write_bytes(model_bytes("prefixed"))
    return tmp_path / "other.model"


@pytest.mark.parametrize("command", [["eval", "--data", "{data}"], ["generate"], ["export", "-o", "{output}"]])
def test_another_tokenizer_of_the_same_size_is_refused_unless_it_is_wanted(
    small_job, other_tokenizer, tmp_path, command
):
    files = {"{data}": small_job.data, "{output}": tmp_path / "out.gguf"}
    name, *options = [files.get(word, word) for word in command]
    arguments = [name, small_job.artifact, *options, "--tokenizer", other_tokenizer]
    refused = bytecap_command(*arguments, "--json")
    error = refused.document["error"]
    assert (refused.code, error["name"], error["place"]["option"]) == (8, "DataError", "--other-tokenizer")
    assert refused.stderr.count("420 pieces, digest ") == 2 and str(other_tokenizer) in refused.stderr
    assert "or --other-tokenizer to take this one" in refused.stderr
    if name != "export":  # a GGUF file is of known architectures only
        taken = bytecap_command(*arguments, "--other-tokenizer", "--json")
        assert taken.code == 0
        assert "another tokenizer than the model's own was wanted" in taken.document["notes"][0]


def test_pieces_without_a_row_are_refused_for_a_checkpoint_too(small_job, tmp_path):
    """A vocabulary cut to 300 rows, and a shard of ids below: only the sizes tell."""
    from bytecap.compiler.checkpoints.export import export_checkpoint

    tensors = dict(read_checkpoint(small_job.checkpoint).tensors)
    tensors["tok_emb.weight"] = tensors["tok_emb.weight"][:300]
    names, values = list(tensors), [np.ascontiguousarray(value) for value in tensors.values()]
    export_checkpoint(names, values, ["float32"] * len(names), tmp_path / "cut.safetensors", False)
    ids = read_shard(small_job.data)
    write_shard(tmp_path / "low.bin", ids[ids < 300])
    arguments = ["eval", tmp_path / "cut.safetensors", "--data", tmp_path / "low.bin", "--tokenizer"]
    refused = bytecap_command(*arguments, small_job.tokenizer)
    assert refused.code == 8 and "has 420 pieces but the model has 300 tokens" in refused.stderr
    taken = bytecap_command(*arguments, small_job.tokenizer, "--other-tokenizer", "--sequence-length", 32, "--json")
    assert taken.code == 0 and taken.document["score"]["bits_per_byte"] > 0


def test_text_from_standard_input(small_job, monkeypatch):
    text = small_job.text.read_bytes()
    arguments = ["eval", small_job.artifact, "--tokenizer", small_job.tokenizer, "--json", "--data"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    piped, read = (bytecap_command(*arguments, data).document["score"] for data in ("-", small_job.text))
    timing = {"seconds", "tokens_per_second"}
    assert {name: piped[name] for name in piped.keys() - timing} == {name: read[name] for name in read.keys() - timing}


def test_a_budget_that_is_too_small_is_one_error_with_the_way_out(small_job):
    arguments = ("eval", small_job.artifact, *small_job.score_arguments())
    for option, value, what in (("--memory", "10KB", "weights take"), ("--seconds", "1e-9", "seconds of a core")):
        outcome = bytecap_command(*arguments, option, value)
        assert (outcome.code, outcome.stdout) == (5, "")
        assert what in outcome.stderr
        assert f"{option} says how" in outcome.stderr
    work = bytecap_command(*arguments, "--memory", "1GiB", "--seconds", "1e6", "--json").document["work"]
    assert work["memory_bytes"] == work["weight_bytes"] + work["threads"] * work["sequence_bytes"] < 1 << 30
    assert work["multiply_adds"] > 0


def test_eval_by_torch_says_so_and_by_how_much_it_differs(small_job, scores, tmp_path):
    arguments = (
        "eval",
        small_job.artifact,
        *small_job.score_arguments(),
        "--device",
        "cpu",
        "--resume",
        tmp_path / "kept",
    )
    outcome = bytecap_command(*arguments, "--json")
    document = outcome.document
    assert document["score"]["bits_per_byte"] == pytest.approx(scores[0].bits_per_byte, abs=1e-6)
    told = document["scored_by"]
    assert told["name"].startswith("torch ") and (told["device"], told["backend"]) == ("cpu", None)
    assert told["difference"]["tokens"] == 32 and told["difference"]["largest_nats"] < 1e-5
    assert any("not by bytecap's runtime: on the first 32 tokens" in note for note in document["notes"])
    again = bytecap_command(*arguments)
    assert "scored by" in again.stdout and "all losses were known from before" in again.stderr
    tokens = document["score"]["tokens"]
    assert document["score"]["kept_tokens"] == 0
    assert re.search(rf"{tokens:,} tokens kept from before, the others in \d+\.\d s, 0 tokens/s", again.stdout)


def test_places_to_score_that_do_not_go_together(small_job):
    arguments = ("eval", small_job.artifact, *small_job.score_arguments())
    for more, (code, words) in {
        ("--backend", "dask"): (2, "--backend dask and --scheduler go together"),
        ("--backend", "dask", "--scheduler", "tcp://x:1", "--device", "cpu"): (2, "give one of them"),
        ("--backend", "dask", "--scheduler", "nonsense://there"): (
            6,
            "cannot reach the Dask scheduler nonsense://there",
        ),
        ("--device", "cuda"): (6, "device 'cuda' cannot be used"),
    }.items():
        outcome = bytecap_command(*arguments, *more)
        assert outcome.code == code and words in outcome.stderr

"""What torch.save wrote: sets of weights chosen by name, configurations beside them used, objects of unknown classes
named and left out, and nothing of the file run.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import pickle
import zipfile

import numpy as np
import pytest
import torch

from bytecap.compiler.checkpoints.checkpoint import read_checkpoint
from bytecap.compiler.checkpoints.selection import Selection
from bytecap.errors import CheckpointError


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"a.weight": torch.full((2, 3), float(value)), "b": torch.full((4,), float(value))}


def saved(path, content, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


OPTIMIZER = {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.001, "params": [0]}]}
ENVELOPES = [  # content, the set that is read, and the others
    ({"model": weights(1), "optimizer": OPTIMIZER, "step": 7}, "model", ()),
    ({"model_state": weights(1), "config": {}, "corpus_bytes": 4096}, "model_state", ()),
    ({"ema": weights(2), "model_state_dict": weights(1)}, "model_state_dict", ("ema",)),
    ({"model_ema": weights(2), "state_dict": weights(1), "lr": 0.1}, "state_dict", ("model_ema",)),
    ({"ema_state_dict": weights(1)}, "ema_state_dict", ()),
    ({"checkpoint": {"module": weights(1), "ema": weights(2)}}, "checkpoint.module", ("checkpoint.ema",)),
    ({"ema": {"module": weights(2)}, "net": weights(1), "rng_state": torch.zeros(9)}, "net", ("ema.module",)),
    ({"student": weights(1), "teacher_ema": weights(2)}, "student", ("teacher_ema",)),
]


@pytest.mark.parametrize(("content", "read", "others"), ENVELOPES, ids=[name for _, name, _ in ENVELOPES])
def test_the_usual_set_is_read_and_the_others_are_named(tmp_path, content, read, others):
    path = saved(tmp_path / "m.pt", content)
    found = read_checkpoint(path)
    assert found.weights == read and all((values == 1).all() for values in found.tensors.values())
    note = f"read {read!r}; the file also holds {', '.join(others)} (--weights chooses)"
    assert found.notes == ((note,) if others else ())
    for other in others:
        chosen = read_checkpoint(path, Selection(weights=other))
        assert chosen.weights == other and all((values == 2).all() for values in chosen.tensors.values())
        assert chosen.notes[0].startswith(f"read {other!r}; the file also holds {read}")


def test_tables_within_tables_are_one_model_unless_they_hold_the_same_names(tmp_path):
    """Of Megatron's file one table with one tensor was read."""
    table, rest = torch.ones(2, 2), {"layers.0.a.weight": torch.ones(3), "norm.weight": torch.ones(2)}
    inner = {"embedding": {"words": {"weight": table}}, "encoder": rest, "head": {"weight": torch.ones(2, 2)}}
    path = saved(tmp_path / "m.pt", {"model": {"language_model": inner}, "iteration": 3})
    found = read_checkpoint(path)
    below = {"embedding.words.weight", "head.weight", "encoder.layers.0.a.weight", "encoder.norm.weight"}
    assert {*found.tensors} == {f"language_model.{name}" for name in below}
    assert found.weights == "model" and not found.notes
    part = read_checkpoint(path, Selection(weights="model.language_model.encoder"))
    assert {*part.tensors} == {*rest}
    saved(path, {"model": {"student": weights(1) | {"a.mask": torch.ones(1)}, "teacher": weights(2)}})
    assert read_checkpoint(path).notes == (
        "read 'model.student'; the file also holds model.teacher (--weights chooses)",
    )


def test_a_set_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    path = saved(tmp_path / "m.pt", {"model": weights(1), "ema": weights(2)})
    with pytest.raises(CheckpointError, match=r"m\.pt has no set of weights 'emma'; it holds the sets model, ema"):
        read_checkpoint(path, Selection(weights="emma"))
    bare = saved(tmp_path / "bare.pt", weights(1))
    with pytest.raises(CheckpointError, match="one set without a name; leave out --weights"):
        read_checkpoint(bare, Selection(weights="ema"))


@dataclasses.dataclass
class GPTConfig:
    """As training scripts define one in their own file."""

    n_layer: int = 2
    n_embd: int = 8


BESIDE = [
    ({"args": argparse.Namespace(n_layers=2, d_model=8)}, {"n_layers": 2, "d_model": 8}, "'args' in the file", ""),
    ({"config": GPTConfig()}, {"n_layer": 2, "n_embd": 8}, "'config' in the file", ""),
    ({"args": argparse.Namespace(lr=0.1)}, None, "", "args (argparse.Namespace)"),
    ({"best": np.float64(1.25)}, None, "", "best (numpy._core.multiarray.scalar)"),
    (
        {"model_args": {"n_layer": 2, "n_head": 4}, "config": {"lr": 0.1}},
        {"n_layer": 2, "n_head": 4},
        "'model_args'",
        "",
    ),
    ({"hparams": {"model_dim": 8, "num_layers": 2}}, {"model_dim": 8, "num_layers": 2}, "'hparams' in the file", ""),
    ({"config": {"learning_rate": 0.1}}, None, "", ""),
]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("beside", "values", "source", "left"), BESIDE)
def test_what_stands_beside_the_weights(tmp_path, beside, values, source, left, legacy):
    found = read_checkpoint(saved(tmp_path / "m.pt", {"model": weights(1), **beside}, legacy))
    if values is None:
        assert found.configuration is None
    else:
        assert found.configuration.values == values and source in found.configuration.source
    assert any(left in note for note in found.notes) if left else found.notes == ()


class Touches:
    """What an attacker would pickle, with a function that is neither blocked nor known."""

    def __init__(self, function, argument):
        self.function, self.argument = function, argument

    def __reduce__(self):
        return self.function, (self.argument,)


def opened(path):
    """Never called: the file would, if it were loaded."""
    open(path, "w").close()


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("function", [opened, eval, pickle.loads])
def test_a_call_is_refused_by_key_and_name_and_not_made(tmp_path, function, legacy):
    victim = tmp_path / "touched"
    argument = {opened: str(victim), eval: f"open({str(victim)!r}, 'w')", pickle.loads: b"N."}[function]
    path = saved(tmp_path / "m.pt", {"model": weights(1), "hook": Touches(function, argument)}, legacy)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert f"{path} is refused: it holds more than weights" in str(caught.value)
    assert f"would call {'eval' if function is eval else function.__module__.strip('_')}" in str(caught.value)
    assert ("'hook'" in str(caught.value)) is (function is opened or function is pickle.loads)
    assert not victim.exists()


WHOLE = "a whole pickled model (torch.nn.modules.linear.Linear), which is code and weights in one, not a state_dict; "
LINES = (
    "no code of a file is run here, so save its weights alone where its code is, with the two lines "
    'model = torch.load("m.pt", weights_only=False){} and torch.save(model.state_dict(), "m-weights.pt")'
)
REFUSED = [
    (torch.nn.Linear(2, 2), f"holds {WHOLE}" + LINES.format("")),
    (
        {"model": torch.nn.Linear(2, 2), "epoch": 3},
        f"holds no weights but under 'model': {WHOLE}" + LINES.format("['model']"),
    ),
    (argparse.Namespace(x=1), "holds argparse.Namespace, not a state_dict"),
    (OPTIMIZER, "holds the state of an optimizer, not of a model"),
    (
        {"step": 3, "args": argparse.Namespace()},
        "which none is a set of weights: step (int), args (argparse.Namespace)",
    ),
    ({"a": torch.zeros(2), "b": torch.zeros(2), "note": "text"}, "not plain floating point: note (str)"),
]


@pytest.mark.parametrize(("content", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_what_is_no_set_of_weights_is_named(tmp_path, content, message):
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(saved(tmp_path / "m.pt", content))
    assert message in str(caught.value) and "m.pt" in str(caught.value)


@pytest.mark.parametrize("key", ["", "model"])
def test_the_two_lines_of_a_whole_model_do_what_they_say(tmp_path, monkeypatch, key):
    monkeypatch.chdir(tmp_path)
    whole = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(saved(tmp_path / "m.pt", {key: whole} if key else whole))
    first, second = str(caught.value).partition("the two lines ")[2].split(" and ")
    exec(f"{first}\n{second}", {"torch": torch})
    assert {*read_checkpoint(tmp_path / "m-weights.pt").tensors} == {"weight", "bias"}


def test_archives_that_torch_did_not_write_are_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as archive:
        archive.writestr("a.npy", b"")
        archive.writestr("b.txt", b"")
    for name, inside in (("m.keras", ("config.json", "model.weights.h5")), ("m.pt2", ("m/models/model.json",))):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for each in inside:
                archive.writestr(each, b"")
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "s.pt")
    (tmp_path / "p.pkl").write_bytes(pickle.dumps({"a": 1}))
    buffer = io.BytesIO()
    torch.save(weights(1), buffer)
    (tmp_path / "cut.pt").write_bytes(buffer.getvalue()[:-40])
    for name, message in {
        "m.npz": "is an archive of numpy arrays and others (a.npy, b.txt), not a checkpoint; leave out what is no .npy",
        "m.keras": "is a Keras model (config.json, model.weights.h5), not a checkpoint; save its weights by names as",
        "m.pt2": "is a program that torch.export wrote (m/models/model.json), not a checkpoint; save the state_dict of",
        "s.pt": "is a TorchScript program, code and weights in one; save its state_dict()",
        "p.pkl": "is a pickle that torch.save did not write, which can run any code when loaded",
        "cut.pt": "is not a whole checkpoint",
    }.items():
        with pytest.raises(CheckpointError) as caught:
            read_checkpoint(tmp_path / name)
        assert message in str(caught.value) and name in str(caught.value)


def test_names_can_be_left_out(tmp_path):
    path = saved(tmp_path / "m.pt", {**weights(1), "updates": torch.tensor(7), "h.0.count": 3})
    with pytest.raises(CheckpointError, match=r"updates \(int64\), h\.0\.count \(int\).*--ignore NAME"):
        read_checkpoint(path)
    found = read_checkpoint(path, Selection(ignore=("updates", "*.count")))
    assert found.tensors.keys() == weights(1).keys()
    assert found.notes == ("left out as asked: updates, h.0.count",)
    with pytest.raises(CheckpointError, match=r"has no tensor 'nothing\*' to leave out; there are a\.weight, "):
        read_checkpoint(path, Selection(ignore=("nothing*",)))

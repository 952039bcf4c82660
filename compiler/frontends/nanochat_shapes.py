"""Hyperparameters and tensors of nanochat: what tells each of them, and whether the tensors fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .agreement import EVALUATED_LENGTH, Resolved, who_told
from .architecture_file import Parameter, checked_parameters
from .misfit import misfit
from .untold import UntoldError, usual_questions

FRONTEND_NAME = "nanochat"
TABLE, HEAD, LAYER = "transformer.wte.weight", "lm_head.weight", "transformer.h.{}."
RESIDUAL, FROM_FIRST, BACKOUT = "resid_lambdas", "x0_lambdas", "backout_lambda"
SMEAR, SMEAR_GATE = "smear_lambda", "smear_gate.weight"
VALUE_TABLES = re.compile(r"value_embeds\.(\d{1,4})\.weight")
IN_A_LAYER = re.compile(r"transformer\.h\.(\d{1,4})\.(attn\.(c_q|c_k|c_v|c_proj|ve_gate)|mlp\.(c_fc|c_proj))\.weight")
OWN = re.compile(r"transformer\.h\.\d{1,4}\.attn\.(c_q|c_k|c_v|ve_gate)\.weight")  # no other family has these
SINGLES = (TABLE, HEAD, RESIDUAL, FROM_FIRST, BACKOUT, SMEAR, SMEAR_GATE)
TILE = 128  # windows are whole numbers of it
PARAMETERS = {
    "vocab_size": Parameter(int, least=1),
    "num_hidden_layers": Parameter(int, least=1, most=1024),
    "hidden_size": Parameter(int, least=1),
    "num_attention_heads": Parameter(int, least=1),
    "num_key_value_heads": Parameter(int, least=1),
    "sequence_len": Parameter(int, least=1, most=1 << 20),
    "window_pattern": Parameter(str, choices=()),  # S and L, by layer
    "rope_theta": Parameter(float, least=1),
    "query_key_factor": Parameter(float, least=1e-6),
    "value_gate_factor": Parameter(float),
    "logit_softcap": Parameter(float, least=0),  # 0: none
    "rms_norm_eps": Parameter(float, least=1e-30),
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
    "rope_backward": Parameter(bool),  # as nanochat rotates, and most others do not
    "embedding_norm": Parameter(bool),
}
ALIASES = {
    "n_layer": "num_hidden_layers",
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_kv_head": "num_key_value_heads",
}
ALWAYS = {"rms_norm_eps": 2.0**-23, "window_pattern": "L", "boundary_token": 0}
OF_NANOCHAT = {
    "logit_softcap": 15.0,
    "rope_backward": True,
    "embedding_norm": True,
}  # others' code has its tensors, too
MEANINGS = {
    "logit_softcap": "logit_softcap is 15 in nanochat and 0 where logits are not capped",
    "rope_backward": "rope_backward is true where a rotation gives x1 cos + x2 sin and x2 cos - x1 sin, as nanochat's, "
    "false where it gives x1 cos - x2 sin and x2 cos + x1 sin, as rotate_half does",
    "embedding_norm": "embedding_norm is true where the embedding is normalized before the first layer",
}
SINCE_SMEAR = {"rope_theta": 100_000.0, "query_key_factor": 1.2, "value_gate_factor": 3.0}  # of the code that smears


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One model, complete and consistent; see PARAMETERS."""

    vocab_size: int
    num_hidden_layers: int
    hidden_size: int
    num_attention_heads: int
    num_key_value_heads: int
    sequence_len: int
    window_pattern: str
    rope_theta: float
    query_key_factor: float
    value_gate_factor: float
    logit_softcap: float
    rms_norm_eps: float
    seq_len: int
    boundary_token: int
    rope_backward: bool
    embedding_norm: bool

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def short_window(self) -> int:
        """How many tokens before its own a query sees in the layers S: a quarter of the length, in whole tiles."""
        return -(-self.sequence_len // 4 // TILE) * TILE

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        return {"frontend": FRONTEND_NAME, **asdict(self)}


def recognized(names: Iterable[str]) -> int:
    """How many names are nanochat's; none unless some are nobody else's."""
    names = list(names)
    if not any(OWN.fullmatch(name) for name in names):
        return 0
    return sum(name in SINGLES or bool(IN_A_LAYER.fullmatch(name) or VALUE_TABLES.fullmatch(name)) for name in names)


def parse_given(architecture: Mapping[str, object]) -> dict[str, object]:
    """The caller's hyperparameters, checked one by one; names of nanochat's own configuration are understood."""
    known = {ALIASES.get(name, name): value for name, value in architecture.items()}
    pattern = known.pop("window_pattern", None)
    given = checked_parameters(known, PARAMETERS, FRONTEND_NAME)
    if pattern is not None:
        if not isinstance(pattern, str) or not re.fullmatch("[SLsl]+", pattern):
            raise CheckpointError(
                f"architecture: window_pattern is {pattern!r}; it must be letters S and L, one a layer"
            )
        given["window_pattern"] = pattern.upper()
    return given


def resolve(checkpoint: Checkpoint, given: Mapping[str, object]) -> Resolved[Hyperparameters]:
    """The hyperparameters of a checkpoint; `given` has passed `parse_given`.

    Raises CheckpointError when nothing tells what changes the function, or when heads do not fit.
    """
    shapes, source, told = infer_from_shapes(checkpoint.tensors), "", {}
    if checkpoint.configuration is not None:
        source, values = checkpoint.configuration.source, checkpoint.configuration.values
        told = parse_given({n: v for n, v in values.items() if ALIASES.get(n, n) in PARAMETERS})
    wrong = [n for n in shapes if n in told and n not in given and told[n] != shapes[n]]
    if wrong:
        said = ", ".join(f"{n} {told[n]} ({shapes[n]} in the tensors)" for n in wrong)
        raise CheckpointError(f"{checkpoint.path}: {source} says {said}; give the metadata of this checkpoint")
    assumed: dict[str, object] = {**ALWAYS, **(SINCE_SMEAR if SMEAR_GATE in checkpoint.tensors else {})}
    assumed |= OF_NANOCHAT if _is_nanochats(checkpoint) else {}
    if not any(VALUE_TABLES.fullmatch(name) for name in checkpoint.tensors):
        assumed["value_gate_factor"] = 1.0  # which nothing reads
    known = {**assumed, **told, **shapes, **given}
    if "sequence_len" in known:
        known.setdefault("seq_len", min(int(known["sequence_len"]), EVALUATED_LENGTH))
    untold = [n for n in PARAMETERS if n not in known and n != "seq_len"]
    if untold:
        raise UntoldError(
            f"{checkpoint.path} is a model of nanochat, and nothing tells {', '.join(untold)}, which change what it "
            "computes; put the meta_*.json of this step beside it, or give them in an --architecture file"
            + (f" ({'; '.join(meant)})" if (meant := [MEANINGS[n] for n in untold if n in MEANINGS]) else ""),
            usual_questions(untold, PARAMETERS, int(known["hidden_size"])),  # type: ignore[call-overload]
        )
    h = Hyperparameters(**{n: known[n] for n in PARAMETERS})
    _check(checkpoint, h)
    origins = who_told(PARAMETERS, told, source, shapes, given)
    return Resolved(h, origins, tuple(n for n in PARAMETERS if n not in origins))


def _is_nanochats(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is of nanochat's own code: by what the configuration says, or by tensors that nobody else
    has. Forks of modded-nanogpt's first records have the others, and compute otherwise.
    """
    values: Mapping[str, object] = {} if checkpoint.configuration is None else checkpoint.configuration.values
    own = {RESIDUAL, FROM_FIRST, BACKOUT, SMEAR_GATE} & checkpoint.tensors.keys()
    said = values.get("model_type") == FRONTEND_NAME or {"sequence_len", "n_kv_head"} <= values.keys()
    return bool(own) or said or any(VALUE_TABLES.fullmatch(name) for name in checkpoint.tensors)


def _check(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    rows = len(checkpoint.tensors[TABLE])
    fits = {
        f"num_attention_heads {h.num_attention_heads} does not divide hidden_size {h.hidden_size}": h.hidden_size
        % h.num_attention_heads,
        f"vocab_size {h.vocab_size} is more than the {rows} rows of {TABLE}": h.vocab_size > rows,
        f"boundary_token {h.boundary_token} is not below vocab_size {h.vocab_size}": h.boundary_token >= h.vocab_size,
    }
    for message, broken in fits.items():
        if broken:
            raise CheckpointError(f"architecture: {message}")


def infer_from_shapes(tensors: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What the shapes tell: layers and width."""
    layers = [int(match[1]) for name in tensors if (match := IN_A_LAYER.fullmatch(name))]
    found: dict[str, object] = {"num_hidden_layers": max(layers) + 1} if layers else {}
    if TABLE in tensors and tensors[TABLE].ndim == 2:
        found["hidden_size"] = tensors[TABLE].shape[1]
    return found


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    """Compare the checkpoint with the architecture; CheckpointError that lists what does not fit."""
    tensors, d, keys = checkpoint.tensors, h.hidden_size, h.num_key_value_heads * h.head_dim
    rows = len(tensors[TABLE])
    expected: dict[str, tuple[int, ...]] = {TABLE: (rows, d), HEAD: (rows, d)}
    if {RESIDUAL, FROM_FIRST} & tensors.keys():
        expected |= dict.fromkeys((RESIDUAL, FROM_FIRST), (h.num_hidden_layers,))
    if {SMEAR, SMEAR_GATE} & tensors.keys():
        width = min(tensors[SMEAR_GATE].shape[-1], d) if SMEAR_GATE in tensors else d
        expected |= {SMEAR: (1,), SMEAR_GATE: (1, width)}
    if BACKOUT in tensors:
        expected[BACKOUT] = (1,)
    hidden = tensors.get(LAYER.format(0) + "mlp.c_fc.weight", np.empty((4 * d, d))).shape[0]
    for layer in range(h.num_hidden_layers):
        at, gate = LAYER.format(layer), LAYER.format(layer) + "attn.ve_gate.weight"
        maps = {"c_q": (d, d), "c_k": (keys, d), "c_v": (keys, d), "c_proj": (d, d)}
        expected |= {f"{at}attn.{part}.weight": shape for part, shape in maps.items()}
        expected |= {f"{at}mlp.c_fc.weight": (hidden, d), f"{at}mlp.c_proj.weight": (d, hidden)}
        if {gate, f"value_embeds.{layer}.weight"} & tensors.keys():
            width = min(tensors[gate].shape[-1], d) if gate in tensors else d
            expected |= {f"value_embeds.{layer}.weight": (rows, keys), gate: (h.num_key_value_heads, width)}
    found = misfit(tensors, expected)
    if found:
        size = f"{h.num_hidden_layers} layers of width {d}, {h.num_attention_heads} heads"
        raise CheckpointError(f"{checkpoint.path} does not fit {FRONTEND_NAME} with {size}; {found}")

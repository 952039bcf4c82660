"""Hyperparameters and tensors of modded-nanogpt: what tells each of them, and whether the tensors fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from ...errors import CheckpointError
from ..checkpoints.checkpoint import Checkpoint
from .agreement import EVALUATED_LENGTH
from .architecture_file import Parameter, checked_parameters
from .misfit import misfit
from .modded_nanogpt_variants import BANK, BLOCK, MEMORY, VARIANTS, Variant, value_table
from .untold import UntoldError

FRONTEND_NAME = "modded-nanogpt"
TABLE, HEAD, LAYER = "embed.weight", "lm_head.weight", "blocks.{}."
SCALARS, FROM_FIRST, SKIP_WEIGHTS, SMEAR_GATE = "scalars", "x0_lambdas", "skip_weights", "smear_gate.weight"
IN_A_LAYER = re.compile(
    r"blocks\.(\d{1,4})\.(lambdas|attn\.(qkv_w|qkvo_w|lambdas|c_proj\.weight|attn_gate\.weight)|"
    r"mlp\.(c_fc|c_proj)(\.weight)?)"
)
OWN = re.compile(r"blocks\.\d{1,4}\.attn\.(qkv_w|qkvo_w)")  # no other family has these
VALUE_TABLE = re.compile(r"value_embeds\.(embed\.)?[0-2]\.weight")
SINGLES = (TABLE, HEAD, SCALARS, FROM_FIRST, SKIP_WEIGHTS, SMEAR_GATE)
GATE_WIDTH = 12
PARAMETERS = {
    "variant": Parameter(str, choices=tuple(VARIANTS)),
    "head_dim": Parameter(int, least=4),
    "rms_norm_eps": Parameter(float, least=1e-30),
    "seq_len": Parameter(int, least=1, most=1 << 20),
    "boundary_token": Parameter(int, least=0),
}
END_OF_TEXT = 50_256


@dataclass(frozen=True, slots=True)
class Hyperparameters:
    """One model: what is asked or assumed, and what its tensors tell."""

    variant: str
    head_dim: int
    rms_norm_eps: float
    seq_len: int
    boundary_token: int
    layers: int
    width: int
    hidden: int
    rows: int  # of the head: as many tokens as the model tells apart

    @property
    def heads(self) -> int:
        return self.width // self.head_dim

    def document(self) -> dict[str, object]:
        """As an architecture file would say it."""
        return {"frontend": FRONTEND_NAME} | {name: value for name, value in asdict(self).items() if name in PARAMETERS}


def recognized(names: Iterable[str]) -> int:
    """How many names are modded-nanogpt's; none unless some are nobody else's."""
    names = list(names)
    if not any(OWN.fullmatch(name) for name in names):
        return 0
    return sum(name in SINGLES or bool(IN_A_LAYER.fullmatch(name) or VALUE_TABLE.fullmatch(name)) for name in names)


def resolve(
    checkpoint: Checkpoint, architecture: Mapping[str, object]
) -> tuple[Hyperparameters, dict[str, str], tuple[str, ...]]:
    """(hyperparameters, who told each, names of those assumed). CheckpointError where the variant is not told."""
    given = checked_parameters(architecture, PARAMETERS, FRONTEND_NAME)
    if "variant" not in given:
        raise UntoldError(
            f"{checkpoint.path} has the names of {FRONTEND_NAME}, whose records compute different things with them; "
            f"say which in an --architecture file: variant = one of {', '.join(VARIANTS)} (the dates of the records)",
            [[{"variant": name} for name in VARIANTS]],
        )
    tensors, variant = checkpoint.tensors, VARIANTS[str(given["variant"])]
    sizes = _sizes(checkpoint, variant)
    rows = int(sizes["rows"])
    longest = BLOCK * (variant.windows[-1] // 2) if not variant.long_layers else EVALUATED_LENGTH
    assumed: dict[str, object] = {
        "head_dim": 128,
        "rms_norm_eps": 2.0**-23,
        "seq_len": min(longest, EVALUATED_LENGTH),
        "boundary_token": END_OF_TEXT if rows > END_OF_TEXT else 0,
    }
    gate = next((values for name, values in tensors.items() if name.endswith("attn.attn_gate.weight")), None)
    told = {} if gate is None or gate.ndim != 2 else {"head_dim": int(sizes["width"]) // max(len(gate), 1)}
    h = Hyperparameters(**{**assumed, **told, **given, **sizes})  # type: ignore[arg-type]
    if h.width % h.head_dim or h.head_dim % 4:
        raise CheckpointError(
            f"architecture: head_dim {h.head_dim} does not divide the width {h.width} into heads of 4 n"
        )
    if not variant.long_layers and h.seq_len > longest:
        raise CheckpointError(
            f"architecture: seq_len {h.seq_len} is beyond the {longest} tokens that the windows of {h.variant} leave be"
        )
    if h.boundary_token >= rows:
        raise CheckpointError(f"architecture: boundary_token {h.boundary_token} is not below the {rows} rows of {HEAD}")
    origins = {n: "architecture" if n in given else "shapes" for n in PARAMETERS if n in given or n in told}
    return h, origins, tuple(name for name in PARAMETERS if name not in origins)


def _sizes(checkpoint: Checkpoint, variant: Variant) -> dict[str, int]:
    """Layers, width, hidden units and tokens by the shapes."""
    tensors = checkpoint.tensors
    layers = [int(match[1]) for name in tensors if (match := IN_A_LAYER.fullmatch(name))]
    up = next((values for name, values in tensors.items() if re.search(r"\.mlp\.c_fc(\.weight)?$", name)), None)
    head = tensors.get(HEAD)
    if not layers or head is None or head.ndim != 2 or up is None or up.ndim != 2:
        raise CheckpointError(f"{checkpoint.path} lacks tensors of {FRONTEND_NAME}: {HEAD}, or the MLPs of its blocks")
    hidden = up.shape[1] if variant.mlp_turned == "c_fc" else up.shape[0]
    return {"layers": max(layers) + 1, "width": head.shape[1], "hidden": hidden, "rows": head.shape[0]}


def check_shapes(checkpoint: Checkpoint, h: Hyperparameters) -> None:
    """Compare the checkpoint with the variant; CheckpointError that lists what does not fit."""
    tensors = checkpoint.tensors
    found = misfit(tensors, expected_shapes(h, tensors))
    if found:
        raise CheckpointError(
            f"{checkpoint.path} does not fit {FRONTEND_NAME} of {h.variant} with {h.layers} layers of width {h.width}; "
            f"{found}"
        )


def expected_shapes(h: Hyperparameters, tensors: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor; attention and MLP stand in the layers that have them."""
    variant, d = VARIANTS[h.variant], h.width
    first = variant.fused == BANK
    rows = len(tensors[TABLE]) if first and TABLE in tensors else h.rows
    expected: dict[str, tuple[int, ...]] = {TABLE: (rows, d), HEAD: (h.rows, d)}
    tables = {value_table(variant, layer, h.layers) for layer in range(h.layers)} - {None}
    expected |= {
        f"value_embeds.{'embed.' if first else ''}{table}.weight": (rows, d) for table in sorted(map(int, tables))
    }  # type: ignore[arg-type]
    if first:
        expected[SKIP_WEIGHTS] = (h.layers - h.layers // 2,)
    else:
        packed = tensors[SCALARS].size if SCALARS in tensors else 0
        least = 5 * h.layers + 2 if variant.fused == MEMORY else 3 * h.layers + 3
        expected |= {SMEAR_GATE: (1, GATE_WIDTH), SCALARS: (max(packed, least),)}
    if not first and variant.fused != MEMORY:
        expected[FROM_FIRST] = (h.layers,)
    for layer in range(h.layers):
        expected |= _layer_shapes(h, variant, LAYER.format(layer), tensors)
    return expected


def _layer_shapes(
    h: Hyperparameters, variant: Variant, at: str, tensors: Mapping[str, np.ndarray]
) -> dict[str, tuple[int, ...]]:
    d, hidden = h.width, h.hidden
    if variant.fused == BANK:
        attention = {"qkv_w": (3, d, d), "lambdas": (2,), "c_proj.weight": (d, d)}
        mlp = {"c_fc.weight": (hidden, d), "c_proj.weight": (d, hidden)}
    else:
        fused = (d, 4 * d) if variant.fused == MEMORY else (4 * d, d)
        attention = {"qkvo_w": fused, "attn_gate.weight": (h.heads, GATE_WIDTH)}
        mlp = dict.fromkeys(("c_fc", "c_proj"), (d, hidden) if variant.mlp_turned == "c_fc" else (hidden, d))
    shapes: dict[str, tuple[int, ...]] = {f"{at}lambdas": (2,)} if variant.fused == BANK else {}
    for module, parts in (("attn.", attention), ("mlp.", mlp)):
        if any(at + module + part in tensors for part in parts):
            shapes |= {at + module + part: shape for part, shape in parts.items()}
    return shapes

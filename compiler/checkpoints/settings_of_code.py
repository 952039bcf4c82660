"""Settings that say what a model's code computes, told from those of its training by the words of their names.

Strategy: who changes a code adds an argument for it, and the tensors may stay the same. So a setting that no reader
knows counts when its name has such a word and its value is not the one that everybody's code has: an attention that is
causal, positions that are learned. Words of a training before them (`grad_norm`, `data_parallel`) make it none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from ...files.listing import listed

OF_A_TRAINING = {"learning_rate", "batch_size", "max_iters"}  # where these stand, the rest need not be of the model
CHANGES_NOTHING = re.compile(r"_.*|max_batch_size|.*dropout.*|.*_pdrop|init.*|.*flash.*|device|dtype|compile.*", re.I)
WORDS = (  # a name that has one of them says what a model computes
    *("rope", "rotary", "norm", "window", "cap$", "capping", "alibi", "moe", "expert", "parallel", "scal(e|ing)"),
    *("gate", "residual", "conv", "gain", "mup", "mult(iplier)?s?(_|$)", "attn_temp", "attention_temp"),
    *("xpos", "nope", "no_pos", "relative", "rel_pos", "pos(ition(al)?)?_?(emb|enc|type|kind|bias)", "positional"),
    *("attn_(type|kind|bias|pattern)", "attention_(type|kind|bias|pattern)", "layer_types", "block_(type|pattern)"),
    *("local_att", "linear_att", "sparse", "dilat", "mixer", "(mlp|ffn)_(type|kind)", "causal", "bidirection"),
    *("prefix_lm", "^mla$|use_mla", "latent", "mem(ory)?_(kv|tok)", "num_mem", "loop", "recur", "unet", "skip_conn"),
    *("(shar(e|ed|ing)|tied?)_(layers|blocks)", "(layer|block)_(sharing|tying)", "cross_layer", "hyper_conn"),
    *("token_shift", "smear", "canon", "sandwich", "unit_offset", "zero_cent", "bit(net|linear)", "ternary", "quantiz"),
)
NO_WORDS = r"grad|loss|optim|sched|(^|_)lr(_|$)|(data|tensor|sequence|pipeline)_parallel|worker|eval_|train_|log_|sampl"
SIZES = r"(mlp|ffn?|hidden|dim|expansion|inner)\w*mult"  # of parts, which shapes tell
OF_THE_CODE = re.compile(rf"(?!.*({NO_WORDS}|{SIZES})).*({'|'.join(WORDS)}).*", re.I)
CAUSAL = re.compile(r"(is_|use_)?causal(_attention|_mask)?", re.I)
USUAL = {  # values by which such a setting says what is usual, or what tensors show
    *("full", "full_attention", "softmax", "dot_product", "scaled_dot_product", "mha", "gqa", "mqa", "multi_head"),
    *("causal", "global", "sdpa", "flash", "flash_attention_2", "eager", "standard", "default", "vanilla", "dense"),
    *("none", "no", "multihead", "learned", "learnable", "absolute", "mlp"),
}


def says_something(name: str, value: object) -> bool:
    """Whether a setting that no reader knows may mean another function: empty values do not, but for what is causal."""
    if CHANGES_NOTHING.fullmatch(name):
        return False
    if CAUSAL.fullmatch(name):
        return value is False
    return bool(value) and not _is_usual(value)


def changes_the_model(name: str, value: object) -> bool:
    """Whether it is, by a word of its name, a setting of the model and not of the training, and says something."""
    return OF_THE_CODE.fullmatch(name) is not None and says_something(name, value)


def unread(values: Mapping[str, object], is_read: Callable[[str], bool], source: str) -> tuple[str, ...]:
    """What is said of settings that no reader knows: those that are there beside the model's, of no training."""
    if OF_A_TRAINING & values.keys():
        return ()
    plain = bool | int | float | str
    left = [name for name, value in values.items() if isinstance(value, plain) and not is_read(name)]
    found = [name for name in left if says_something(name, values[name])]
    return (f"of {source} is not read: {listed(found)}",) if found else ()


def _is_usual(value: object) -> bool:
    if isinstance(value, str):
        return re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_") in USUAL
    return isinstance(value, list | tuple) and bool(value) and all(_is_usual(each) for each in value)

"""What the name of a tensor says of its place in a model: the layer it belongs to and the role it has
in every layer.
"""

from __future__ import annotations

import re

# Names that public models use, the first that matches wins: what is read from a program (roles.py) needs none of them.
NAMED_ROLES = tuple(
    (re.compile(pattern), role)
    for pattern, role in (
        (r"(^|[._])(ln|norm|layernorm|rmsnorm)\w*\.?[\w.]*bias$|norm\w*\.bias$", "norm bias"),
        (r"(^|[._])(ln|norm)[_.\w]*|norm\d*\.weight$|layernorm", "norm gain"),
        (r"(scales?|gain|gamma|lambdas?)$", "scale"),
        (r"_mix$", "mix"),
        (r"bias$|\.b$", "bias"),
        (r"(c_attn|qkv|query_key_value)", "attention q+k+v"),
        (r"(q_proj|c_q|\.wq|attn_q|to_q|query)\b", "attention q"),
        (r"(k_proj|c_k|\.wk|attn_k|to_k|key)\b", "attention k"),
        (r"(v_proj|c_v|\.wv|attn_v|to_v|value)\b", "attention v"),
        (r"(o_proj|out_proj|\.wo|attn_output|(attn|attention)\.(c_proj|proj|dense))\b", "attention o"),
        (r"(gate_proj|\.w1|ffn_gate)\b", "mlp gate"),
        (r"(up_proj|\.w3|ffn_up|c_fc|\bfc|fc1|fc_in|dense_h_to_4h)\b", "mlp up"),
        (r"(down_proj|\.w2|ffn_down|fc2|fc_out|dense_4h_to_h|(mlp|ffn|feed_forward)\.(c_proj|proj))\b", "mlp down"),
        (r"(lm_head|embed_out|^output|head)\b", "head"),
        (r"(wpe|pos_emb|embed_positions|position_embd)\b", "position table"),
        (r"(bigram|trigram|hash)\w*\.(embed|emb|weight)", "hash table"),
        (r"(wte|tok_emb\w*|embed_tokens|token_embd|embed_in|word_embeddings)\b", "token table"),
    )
)


def role_of(name: str) -> str:
    """A tensor's name with its numbers replaced: blocks.3.mlp.fc.weight is one of blocks.*.mlp.fc.weight."""
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def layer_of(name: str) -> int | None:
    """The first number in a tensor's name."""
    return next((int(part) for part in name.split(".") if part.isdigit()), None)


def named_role(name: str) -> str:
    """A role by the words in a name, where no program tells; `role_of` for a name without any of them."""
    return next((role for pattern, role in NAMED_ROLES if pattern.search(name)), role_of(name))

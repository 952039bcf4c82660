"""The merged records of Parameter Golf as one plain torch function over a state_dict: the twin of the frontend.

Written from the published descriptions: one sequence at a time, one head at a time, one branch for every part that a
record has. Nothing here comes from the compiler.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from record_states import BANK_ORDER, PLAIN_NAMES, Record
from torch import Tensor

BOUNDARY = 1
EPSILON = 1.1920929e-07


def rms(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt()


class NaiveRecord:
    """Logits [length, vocabulary] of token ids [length]."""

    def __init__(self, r: Record, state: dict[str, Tensor]) -> None:
        self.r, self.p = r, state

    def __call__(self, tokens: Tensor) -> Tensor:
        r, self.tokens = self.r, tokens
        self.document = (tokens == BOUNDARY).cumsum(0)
        self.stem = self.embedding()
        self.seen: dict[int, int] = {}
        x, outputs, self.step = self.stem, [], 0
        for layer in r.encoder:
            x = self.block(layer, x)
            outputs.append(x)
        lanes = None
        for index, layer in enumerate(r.decoder):
            begins = lanes is None and layer >= r.lanes_from
            if begins and r.lanes != "own":
                lanes = [x, x]
            skip = outputs.pop() if outputs and (index < len(self.p["skip_weights"]) or r.late_skips) else None
            if skip is not None:
                if lanes is None:
                    x = self.with_skip(index, x, skip)
                elif r.lane_skips != "none":
                    lanes[0] = self.with_skip(index, lanes[0], skip)
                    lanes[1] = self.with_skip(index, lanes[1], skip) if r.lane_skips == "both" else lanes[1]
            if begins and r.lanes == "own":
                lanes = [x, x]
            if lanes is None:
                x = self.block(layer, x)
            else:
                lanes = self.lane_block(layer, *lanes)
        return self.logits(x if lanes is None else self.joined(*lanes))

    def embedding(self) -> Tensor:
        r, p, t = self.r, self.p, self.tokens
        x = p["tok_emb.weight"][t]
        before = torch.cat([torch.zeros_like(t[:1]), t[:-1]])
        if "bigram sum" in r.parts:
            table = p["bigram_hash.table.weight"]
            x = x + table[(before * 92821 + t) % len(table)] @ p["bigram_hash.proj.weight"].T
            share = p["smeargate.gate"].sigmoid()
            x = share * x + (1 - share) * self.earlier(x)
        if "bigram" in r.parts:
            table = p["bigram.embed.weight"]
            row = (36313 * t ^ 27191 * before) % (len(table) - 1)
            row[0] = len(table) - 1
            x = x + table[row] @ p["bigram.proj.weight"].T * p["bigram.scale"]
        if "smear gate" in r.parts:
            gate = p["smear_lambda"] * (x[:, : r.window] @ p["smear_gate.weight"].T).sigmoid()
            keep = (t != BOUNDARY).float()[:, None] if r.smear_documents else 1.0
            x = x + gate * self.earlier(x) * keep
        if not r.table_width:
            x = rms(x)
        elif "ternary" in r.parts:
            x = rms(x @ p["embed_proj.weight"].T)
        else:
            x = rms(x) @ p["embed_proj.weight"].T
        if "bigram" in r.parts:
            share = p["smear.gate"].sigmoid()
            x = (1 - share) * x + share * self.earlier(x)
        return x

    def earlier(self, x: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(x[:1]), x[:-1]])

    def with_skip(self, index: int, x: Tensor, skip: Tensor) -> Tensor:
        row = min(index, len(self.p["skip_weights"]) - 1)
        skip = self.p["skip_weights"][row] * skip
        if "skip_gates" not in self.r.parts:
            return x + skip
        share = self.p["skip_gates"][row].sigmoid()
        return share * x + (1 - share) * skip

    def next_step(self, layer: int) -> tuple[str, int, int]:
        """Prefix and number of the block whose turn it is, and how often its layer came before."""
        block = self.step if self.r.own_blocks else layer
        passes, self.step = self.seen.get(layer, 0), self.step + 1
        self.seen[layer] = passes + 1
        return f"blocks.{block}.", block, passes

    def block(self, layer: int, x: Tensor) -> Tensor:
        b, block, passes = self.next_step(layer)
        x = self.mixed(b, x)
        attended = self.attention(layer, b, block, self.normed(block, x))
        if layer >= self.r.side_by_side:
            return x + attended + self.mlp(layer, b, passes, self.normed(block, x))
        x = x + attended
        return x + self.mlp(layer, b, passes, self.normed(block, x))

    def lane_block(self, layer: int, first: Tensor, second: Tensor) -> list[Tensor]:
        r = self.r
        b, block, passes = self.next_step(layer)
        if r.lanes == "own":
            first = self.mixed(b, first)
            first = first + self.attention(layer, b, block, self.normed(block, first))
            return [first, second + self.mlp(layer, b, passes, self.normed(block, second))]
        post, keep = self.p["parallel_post_lambdas"][layer], self.p["parallel_resid_lambdas"][layer]
        attended = self.attention(layer, b, block, self.normed(block, self.mixed(b, first)))
        if r.lanes == "in turn":
            first, second = keep[0] * first + post[0, 0] * attended, keep[0] * second + post[0, 1] * attended
            units = self.mlp(layer, b, passes, self.normed(block, self.mixed(b, second)))
            return [keep[1] * first + post[1, 0] * units, keep[1] * second + post[1, 1] * units]
        units = self.mlp(layer, b, passes, self.normed(block, second))
        return [
            keep[0] * first + post[0, 0] * attended + post[1, 0] * units,
            keep[1] * second + post[0, 1] * attended + post[1, 1] * units,
        ]

    def joined(self, first: Tensor, second: Tensor) -> Tensor:
        if self.r.lanes == "own":
            return self.p["lane_merge"] * first + (1 - self.p["lane_merge"]) * second
        return {"mean": (first + second) / 2, "mlp": second, "attn": first}[self.r.final]

    def mixed(self, b: str, x: Tensor) -> Tensor:
        mix = self.p[b + "resid_mix"]
        return mix[0] * x + mix[1] * self.stem

    def normed(self, block: int, x: Tensor) -> Tensor:
        return rms(x) / math.sqrt(block + 1) if self.r.layer_scale else rms(x)

    def matrix(self, layer: int, part: str) -> Tensor:
        r, p, b = self.r, self.p, f"blocks.{layer}."
        if "banks" in r.parts:
            for bank, *names in BANK_ORDER:
                if part in names:
                    return p[bank][r.layers * names.index(part) + layer]
        if "ternary" in r.parts and part in "qkv":
            d, keys = r.width, r.kv_heads * r.head
            start = {"q": 0, "k": d, "v": d + keys}[part]
            return self.weight(b + "attn.c_qkv.weight")[start : start + (d if part == "q" else keys)]
        return self.weight(f"{b}{PLAIN_NAMES[part]}.weight")

    def weight(self, name: str) -> Tensor:
        """A matrix as the layers use it: each group of a ternary one is its signs times its mean magnitude."""
        values, group = self.p[name], self.r.group
        if not group:
            return values
        half = values.bfloat16()
        rows = half.reshape(-1, group)
        scale = rows.abs().mean(1, keepdim=True)
        signs = (rows / scale).round().clamp(-1, 1)
        return (half + ((signs * scale).reshape(half.shape) - half)).float()

    def attention(self, layer: int, b: str, block: int, x: Tensor) -> Tensor:
        r, p, length = self.r, self.p, len(x)
        if block == 0 and not r.first_attention:
            return torch.zeros_like(x)
        raw, v = x @ self.matrix(layer, "q").T, x @ self.matrix(layer, "v").T
        if "values" in r.parts and block in r.values_at:
            extra = p["ve_shared.embed.weight"][self.tokens] @ p["ve_shared.proj.weight"].T * p["ve_shared.scale"]
            v = v + extra * p[f"ve_layer_scales.{r.values_at.index(block)}"]
        q = raw.view(length, r.heads, r.head)
        k = (x @ self.matrix(layer, "k").T).view(length, r.kv_heads, r.head)
        v = v.view(length, r.kv_heads, r.head)
        seen = torch.ones(length, length, dtype=torch.bool).tril()
        if r.documents:
            seen &= self.document[:, None] == self.document[None]
        gates = self.gates(b, x, raw)
        heads = []
        for head in range(r.heads):
            own = head * r.kv_heads // r.heads
            query = self.rotated(rms(q[:, head])) * p[b + "attn.q_gain"][head]
            scores = query @ self.rotated(rms(k[:, own])).T / math.sqrt(r.head)
            y = scores.masked_fill(~seen, -math.inf).softmax(-1) @ v[:, own]
            if block >= self.blocks - r.exclusive:
                along = F.normalize(v[:, own], dim=-1)
                y = y - (y * along).sum(-1, keepdim=True) * along
            heads.append(y * gates[:, head : head + 1])
        y = torch.cat(heads, -1)
        y = rms(y) if "ternary" in r.parts else y
        return p[b + "attn_scale"] * (y @ self.matrix(layer, "o").T)

    @property
    def blocks(self) -> int:
        return len(self.r.order) if self.r.own_blocks else self.r.layers

    def gates(self, b: str, x: Tensor, raw: Tensor) -> Tensor:
        r, p = self.r, self.p
        gates = torch.ones(len(x), r.heads)
        if "gate projection" in r.parts:
            source = raw if r.gate_of_queries else x
            gates = gates * 2 * (source[:, : r.window] @ p[b + "attn.attn_gate_proj.weight"].T).sigmoid()
        if b + "attn.attn_gate_w" in p:
            weight = p[b + "attn.attn_gate_w"]
            gates = gates * (r.gate_scale * (x[:, : weight.shape[1]] @ weight.T)).sigmoid()
        return gates

    def rotated(self, x: Tensor) -> Tensor:
        """The halves of the first elements turn together, backwards."""
        r, half = self.r, self.r.rotary // 2
        frequency = r.base ** (-2 * torch.arange(half, dtype=torch.float64) / r.rotary)
        if r.frequencies is not None:
            frequency = r.frequencies.double()
        angle = torch.arange(len(x), dtype=torch.float64)[:, None] * frequency
        cosine, sine = angle.cos().float(), angle.sin().float()
        first, second, rest = x[:, :half], x[:, half : 2 * half], x[:, 2 * half :]
        return torch.cat([first * cosine + second * sine, second * cosine - first * sine, rest], -1)

    def mlp(self, layer: int, b: str, passes: int, x: Tensor) -> Tensor:
        r, p = self.r, self.p
        up, down = self.matrix(layer, "up"), self.matrix(layer, "down")
        if passes and ("repeat mlp" in r.parts or "pass mlp" in r.parts):
            repeated = sorted({each for each in r.order if r.order.count(each) > 1})
            name = (
                f"repeat_mlp.{repeated.index(layer)}" if "repeat mlp" in r.parts else f"override_mlps.{layer}_p{passes}"
            )
            up, down = p[f"{name}.fc.weight"], p[f"{name}.proj.weight"]
        hidden = x @ up.T
        hidden = F.leaky_relu(hidden, r.slope).square() if r.slope is not None else hidden.relu() ** r.power
        y = (rms(hidden) if "ternary" in r.parts else hidden) @ down.T
        if "mlp gate" in r.parts:
            y = y * 2 * (x[:, : r.window] @ p[b + "mlp.mlp_gate_proj.weight"].T).sigmoid()
        return p[b + "mlp_scale"] * y

    def logits(self, x: Tensor) -> Tensor:
        r, p = self.r, self.p
        x = rms(x)
        if r.table_width:
            x = x @ p["embed_proj_rev.weight" if "ternary" in r.parts else "head_proj.weight"].T
        z = x @ p["tok_emb.weight"].T
        z = (z + p["vocab_bias"] if "ternary" in r.parts else z) / r.cap
        if r.bounded == "tanh":
            return r.cap * z.tanh()
        z = z.clamp(-2, 2)
        return r.cap * (z - z**3 / 3 + z**5 / 15).clamp(-1, 1)

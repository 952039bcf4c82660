"""Small GPTs and Llamas as people write them: the names, layouts and forward passes of widely copied codes.

Strategy: each is a torch module of its own, so that its state_dict has the names that the code gives it.
"""

from __future__ import annotations

import torch
from handwritten_parts import (
    HEADS,
    LAYERS,
    LENGTH,
    VOCABULARY,
    WIDTH,
    RmsNorm,
    Rotation,
    ScaleShift,
    TanhGelu,
    attended,
    container,
    gated,
    halves,
    linear,
    neighbours,
    sines,
)
from torch import Tensor, nn
from torch.nn import functional


class RaschkaGpt(nn.Module):
    """GPTModel of "Build a Large Language Model (From Scratch)", chapter 4."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.trf_blocks = nn.Sequential(*(self.block(bias) for _ in range(LAYERS)))
        self.final_norm, self.out_head = ScaleShift(), linear(WIDTH, VOCABULARY, False)

    @staticmethod
    def block(bias: bool) -> nn.Module:
        maps = {f"W_{kind}": linear(WIDTH, WIDTH, bias) for kind in ("query", "key", "value")}
        att = container(**maps, out_proj=linear(WIDTH, WIDTH))
        att.register_buffer("mask", torch.triu(torch.ones(LENGTH, LENGTH), diagonal=1))
        layers = nn.Sequential(linear(WIDTH, 4 * WIDTH), TanhGelu(), linear(4 * WIDTH, WIDTH))
        return container(att=att, ff=container(layers=layers), norm1=ScaleShift(), norm2=ScaleShift())

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tok_emb(tokens) + self.pos_emb(torch.arange(tokens.shape[1]))
        for block in self.trf_blocks:
            y, att = block.norm1(x), block.att
            x = x + att.out_proj(attended(att.W_query(y), att.W_key(y), att.W_value(y)))
            x = x + block.ff.layers(block.norm2(x))
        return self.out_head(self.final_norm(x))


class RaschkaLlama(nn.Module):
    """Its Llama, with keys and values of fewer heads."""

    def __init__(self, base: float = 500_000.0) -> None:
        super().__init__()
        self.turn, keys = halves(base, WIDTH // HEADS), WIDTH // HEADS
        self.tok_emb = nn.Embedding(VOCABULARY, WIDTH)
        self.trf_blocks = nn.ModuleList()
        for _ in range(LAYERS):
            maps = {"W_query": linear(WIDTH, WIDTH, False), "W_key": linear(WIDTH, keys, False)}
            maps |= {"W_value": linear(WIDTH, keys, False), "out_proj": linear(WIDTH, WIDTH, False)}
            ff = container(**gated("fc1", "fc2", "fc3"))
            self.trf_blocks.append(container(att=container(**maps), ff=ff, norm1=RmsNorm(), norm2=RmsNorm()))
        self.final_norm, self.out_head = RmsNorm(), linear(WIDTH, VOCABULARY, False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tok_emb(tokens)
        for block in self.trf_blocks:
            y, att, ff = block.norm1(x), block.att, block.ff
            x = x + att.out_proj(attended(att.W_query(y), att.W_key(y), att.W_value(y), turn=self.turn))
            y = block.norm2(x)
            x = x + ff.fc3(functional.silu(ff.fc1(y)) * ff.fc2(y))
        return self.out_head(self.final_norm(x))


class TorchEncoder(nn.Module):
    """nn.TransformerEncoder under a causal mask, with positions that are learned, sines, or absent."""

    def __init__(self, norm_first: bool, activation: str, positions: str, scaled: bool = False) -> None:
        super().__init__()
        self.scaled = scaled
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        if positions == "learned":
            self.pos_embedding = nn.Parameter(torch.zeros(1, LENGTH, WIDTH))
        elif positions:
            self.pos_encoder = nn.Module()
            self.pos_encoder.register_buffer("pe", torch.randn(LENGTH, 1, WIDTH) if positions == "first" else sines())
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 40, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_first
        )
        norm = nn.LayerNorm(WIDTH) if norm_first else None
        self.transformer_encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
        self.fc_out = linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.embedding(tokens) * (WIDTH**0.5 if self.scaled else 1.0)
        if hasattr(self, "pos_embedding"):
            x = x + self.pos_embedding[:, :length]
        elif hasattr(self, "pos_encoder"):
            table = self.pos_encoder.pe
            x = x + (table[:length, 0] if table.shape[1] == 1 else table[0, :length])
        mask = nn.Transformer.generate_square_subsequent_mask(length)
        return self.fc_out(self.transformer_encoder(x, mask=mask, is_causal=True))


class LitGpt(nn.Module):
    """litgpt's names, as a GPT-NeoX (side by side, a part of each head rotated) or as a Llama."""

    def __init__(self, llama: bool) -> None:
        super().__init__()
        self.llama, head = llama, WIDTH // HEADS
        self.turn = halves(10_000.0, head if llama else head // 2)
        keys, bias = (head, False) if llama else (WIDTH, True)
        norm = (lambda: RmsNorm(epsilon=1e-6)) if llama else (lambda: nn.LayerNorm(WIDTH))
        self.lm_head = linear(WIDTH, VOCABULARY, False)
        wide = {"fc": linear(WIDTH, 40), "proj": linear(40, WIDTH)}
        blocks = nn.ModuleList()
        for _ in range(LAYERS):
            mlp = gated("fc_1", "fc_2", "proj") if llama else {k: linear(*m.weight.T.shape) for k, m in wide.items()}
            attn = container(qkv=linear(WIDTH, WIDTH + 2 * keys, bias), proj=linear(WIDTH, WIDTH, bias))
            blocks.append(container(norm_1=norm(), attn=attn, norm_2=norm(), mlp=container(**mlp)))
        self.transformer = container(wte=nn.Embedding(VOCABULARY, WIDTH), h=blocks, ln_f=norm())

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.transformer.wte(tokens)
        for block in self.transformer.h:
            qkv = block.attn.qkv(block.norm_1(x))
            keys = (qkv.shape[-1] - WIDTH) // 2
            added = block.attn.proj(attended(*qkv.split([WIDTH, keys, keys], -1), turn=self.turn))
            y = block.norm_2(x + added if self.llama else x)
            x = x + added + self.mlp(block.mlp, y)
        return self.lm_head(self.transformer.ln_f(x))

    def mlp(self, mlp: nn.Module, y: Tensor) -> Tensor:
        if self.llama:
            return mlp.proj(functional.silu(mlp.fc_1(y)) * mlp.fc_2(y))
        return mlp.proj(functional.gelu(mlp.fc(y)))


class LitLlama(nn.Module):
    """lit-llama's names and rotations."""

    def __init__(self) -> None:
        super().__init__()
        self.turn, self.lm_head = neighbours(10_000.0), linear(WIDTH, VOCABULARY, False)
        blocks = nn.ModuleList()
        for _ in range(LAYERS):
            attn = container(c_attn=linear(WIDTH, 3 * WIDTH, False), c_proj=linear(WIDTH, WIDTH, False))
            mlp = container(**gated("c_fc1", "c_fc2", "c_proj"))
            blocks.append(container(rms_1=RmsNorm("scale"), attn=attn, rms_2=RmsNorm("scale"), mlp=mlp))
        self.transformer = container(wte=nn.Embedding(VOCABULARY, WIDTH), h=blocks, ln_f=RmsNorm("scale"))

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.transformer.wte(tokens)
        for block in self.transformer.h:
            qkv = block.attn.c_attn(block.rms_1(x)).chunk(3, -1)
            x = x + block.attn.c_proj(attended(*qkv, turn=self.turn))
            y = block.rms_2(x)
            x = x + block.mlp.c_proj(functional.silu(block.mlp.c_fc1(y)) * block.mlp.c_fc2(y))
        return self.lm_head(self.transformer.ln_f(x))


class TutorialLlama(nn.Module):
    """A Llama of a tutorial: Meta's names for maps, others around them, either rotation, either gate, tied or not."""

    def __init__(
        self, turn: Rotation, *, second_gate: bool = False, tied: bool = False, maps: str = "w1 w3 w2"
    ) -> None:
        super().__init__()
        self.turn, self.second_gate, self.maps = turn, second_gate, maps.split()
        self.token_embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.layers = nn.ModuleList()
        for _ in range(LAYERS):
            attention = container(**{name: linear(WIDTH, WIDTH, False) for name in ("wq", "wk", "wv", "wo")})
            ffn = container(**gated(*self.maps))
            self.layers.append(container(attn_norm=RmsNorm(), attention=attention, ffn_norm=RmsNorm(), ffn=ffn))
        self.norm_f, self.output = RmsNorm(epsilon=1e-6), linear(WIDTH, VOCABULARY, False)
        for layer in self.layers:
            layer.attn_norm.epsilon = layer.ffn_norm.epsilon = 1e-6
        if tied:
            self.output.weight = self.token_embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token_embedding(tokens)
        for layer in self.layers:
            y, a = layer.attn_norm(x), layer.attention
            x = x + a.wo(attended(a.wq(y), a.wk(y), a.wv(y), turn=self.turn))
            y, maps = layer.ffn_norm(x), [getattr(layer.ffn, name) for name in self.maps]
            first, second = maps[0](y).chunk(2, -1) if len(maps) == 2 else (maps[0](y), maps[1](y))
            gate, up = (second, first) if self.second_gate else (first, second)
            x = x + maps[-1](functional.silu(gate) * up)
        return self.output(self.norm_f(x))


class TutorialGpt(nn.Module):
    """A GPT of a tutorial: a joined or separate or headwise attention, its MLP a Sequential, by names of its own."""

    def __init__(self, kind: str, bias: bool = True) -> None:
        super().__init__()
        self.kind, head = kind, WIDTH // HEADS
        self.token_embedding, self.position_embedding = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.transformer_blocks = nn.ModuleList()
        kinds = ("query", "key", "value")
        for _ in range(LAYERS):
            if kind == "heads":
                one = [container(**{k: linear(WIDTH, head, bias) for k in kinds}) for _ in range(HEADS)]
                attention = container(heads=nn.ModuleList(one), proj=linear(WIDTH, WIDTH))
            elif kind in ("joined", "by_head"):
                attention = container(qkv=linear(WIDTH, 3 * WIDTH, bias), out=linear(WIDTH, WIDTH))
            elif kind == "half":
                attention = container(to_q=linear(WIDTH, WIDTH, bias), to_kv=linear(WIDTH, 2 * head, bias))
                attention.to_out = nn.Sequential(linear(WIDTH, WIDTH), nn.Dropout(0.0))
            else:
                attention = container(
                    **{f"{k[0]}_proj": linear(WIDTH, WIDTH, bias) for k in kinds}, o_proj=linear(WIDTH, WIDTH)
                )
            steps = nn.Sequential(linear(WIDTH, 40), nn.ReLU(), nn.Dropout(0.0), linear(40, WIDTH))
            norms = {f"ln{i}": nn.LayerNorm(WIDTH) for i in (1, 2)}
            self.transformer_blocks.append(container(attention=attention, ffn=container(net=steps), **norms))
        self.ln_final, self.unembed = nn.LayerNorm(WIDTH), linear(WIDTH, VOCABULARY)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token_embedding(tokens) + self.position_embedding(torch.arange(tokens.shape[1]))
        for block in self.transformer_blocks:
            x = x + self.attention(block.attention, block.ln1(x))
            x = x + block.ffn.net(block.ln2(x))
        return self.unembed(self.ln_final(x))

    def attention(self, a: nn.Module, y: Tensor) -> Tensor:
        if self.kind == "heads":
            found = [attended(h.query(y), h.key(y), h.value(y), heads=1) for h in a.heads]
            return a.proj(torch.cat(found, -1))
        if self.kind == "joined":
            return a.out(attended(*a.qkv(y).chunk(3, -1)))
        if self.kind == "by_head":
            qkv = a.qkv(y).unflatten(-1, (HEADS, -1)).chunk(3, -1)
            return a.out(attended(*(x.flatten(2) for x in qkv)))
        if self.kind == "half":
            return a.to_out(attended(a.to_q(y), *a.to_kv(y).chunk(2, -1)))
        return a.o_proj(attended(a.q_proj(y), a.k_proj(y), a.v_proj(y)))

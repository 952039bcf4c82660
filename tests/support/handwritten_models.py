"""Small GPTs and Llamas as people write them: the names, layouts and forward passes of widely copied codes.

Strategy: each is a torch module of its own, so that its state_dict has the names that the code gives it; what all of
them do in the same way (attention under a causal mask, rotations) stands once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS = 29, 32, 24, 3, 2
Rotation = Callable[[Tensor], Tensor]


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int = HEADS, turn: Rotation = lambda x: x) -> Tensor:
    """Causal attention of queries [b, t, heads * d] and keys and values [b, t, fewer heads * d]."""
    width = q.shape[-1] // heads
    q, k, v = (x.unflatten(-1, (-1, width)).transpose(1, 2) for x in (q, k, v))
    groups = heads // k.shape[1]
    k, v = turn(k).repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    return functional.scaled_dot_product_attention(turn(q), k, v, is_causal=True).transpose(1, 2).flatten(2)


def _angles(x: Tensor, dims: int, base: float) -> Tensor:
    frequencies = base ** (-torch.arange(0, dims, 2, dtype=torch.float32) / dims)
    return torch.arange(x.shape[-2], dtype=torch.float32)[:, None] * frequencies


def halves(base: float, dims: int) -> Rotation:
    """The rotation of the first `dims` elements of a head that pairs those of its two halves."""

    def turn(x: Tensor) -> Tensor:
        angles = _angles(x, dims, base).repeat(1, 2)
        a, b = x[..., :dims].chunk(2, -1)
        turned = x[..., :dims] * angles.cos() + torch.cat([-b, a], -1) * angles.sin()
        return torch.cat([turned, x[..., dims:]], -1)

    return turn


def neighbours(base: float) -> Rotation:
    """The rotation that takes neighbouring elements for the parts of complex numbers."""

    def turn(x: Tensor) -> Tensor:
        angles = _angles(x, x.shape[-1], base)
        pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)

    return turn


class RmsNorm(nn.Module):
    """Keeps its gain under a name of the caller's."""

    def __init__(self, name: str = "weight", epsilon: float = 1e-5) -> None:
        super().__init__()
        self.name, self.epsilon = name, epsilon
        self.register_parameter(name, nn.Parameter(torch.ones(WIDTH)))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + self.epsilon) * getattr(self, self.name)


class ScaleShift(nn.Module):
    """LayerNorm as Raschka's book has it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.zeros(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        return self.scale * centred / torch.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5) + self.shift


class TanhGelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.gelu(x, approximate="tanh")


def linear(inputs: int, outputs: int, bias: bool = True) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=bias)


def container(**modules: nn.Module) -> nn.Module:
    found = nn.Module()
    for name, module in modules.items():
        found.add_module(name, module)
    return found


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


def gated(gate: str, up: str, down: str, hidden: int = 40) -> dict[str, nn.Module]:
    """The maps of a gated MLP by the names that a code gives them."""
    return {
        gate: linear(WIDTH, hidden, False),
        up: linear(WIDTH, hidden, False),
        down: linear(hidden, WIDTH, False),
    }


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


def sines() -> Tensor:
    """[1, LENGTH, WIDTH], as "Attention Is All You Need" has them."""
    angles = torch.arange(LENGTH)[:, None] * torch.exp(torch.arange(0, WIDTH, 2) * (-9.21 / WIDTH))
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[None]


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
            y, (first, second, down) = layer.ffn_norm(x), (getattr(layer.ffn, name) for name in self.maps)
            gate, up = (second, first) if self.second_gate else (first, second)
            x = x + down(functional.silu(gate(y)) * up(y))
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
            elif kind == "joined":
                attention = container(qkv=linear(WIDTH, 3 * WIDTH, bias), out=linear(WIDTH, WIDTH))
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
        return a.o_proj(attended(a.q_proj(y), a.k_proj(y), a.v_proj(y)))


def with_weights(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model with weights large enough that every part of it is seen in its logits."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for values in model.parameters():
            noise = torch.randn(values.shape, generator=random)
            values.copy_(values + 0.3 * noise if values.ndim == 1 else 1.5 * noise / values.shape[-1] ** 0.5)
    return model.eval()

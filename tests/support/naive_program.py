"""Slow, obvious twin of both executors: the operations of spec/program.md as loops over float64."""

from __future__ import annotations

import math

import numpy as np

from bytecap.format.program import operations as op
from bytecap.format.program.program import Program


def naive_logits(program: Program, tensors, tokens) -> np.ndarray:
    """Logits float64 [length, vocabulary] of one sequence of token ids."""
    run = NaiveRun(
        [np.asarray(tensor, np.float64) for tensor in tensors], [int(t) for t in tokens], program.boundary_token
    )
    for instruction in program.instructions:
        method = getattr(run, instruction.name.replace("-", "_"))
        run.registers.append(method(instruction))
    return run.registers[-1]


def naive_losses(logits: np.ndarray, targets) -> list[float]:
    """Loss in nats of each target under its row of logits."""
    return [
        math.log(sum(math.exp(z - max(row)) for z in row)) + max(row) - row[t]
        for row, t in zip(logits, targets, strict=True)
    ]


class NaiveRun:
    """One sequence's registers, and one method per operation."""

    def __init__(self, tensors, tokens, boundary_token):
        self.tensors, self.tokens, self.registers = tensors, tokens, []
        self.document_start = []
        for i, token in enumerate(tokens):
            previous = self.document_start[-1] if i else 0
            self.document_start.append(i if token == boundary_token else previous)

    def vector(self, row, width, default=0.0):
        if row is None:
            return [default] * width
        tensor = self.tensors[row.tensor]
        values = tensor[row.row] if tensor.ndim == 2 else tensor
        return [values[c // (width // len(values))] for c in range(width)]

    def each(self, function, *registers):
        """Apply `function(element index, *elements)` everywhere."""
        inputs = [self.registers[r] for r in registers]
        out = np.zeros_like(inputs[0])
        for i in range(out.shape[0]):
            for c in range(out.shape[1]):
                out[i, c] = function(c, *(x[i, c] for x in inputs))
        return out

    def embed(self, o):
        return np.array([self.tensors[o.table][token] for token in self.tokens])

    def position_embed(self, o):
        return np.array([self.tensors[o.table][i + o.offset] for i in range(len(self.tokens))])

    def hash_embed(self, o):
        table, out = self.tensors[o.table], []
        for i, token in enumerate(self.tokens):
            a = o.multiplier_current * token % 2**32
            b = o.multiplier_previous * (self.tokens[i - 1] if i else 0) % 2**32
            if o.kind == op.HashKind.XOR:
                row = (a ^ b) % (len(table) - 1) if i else len(table) - 1
            else:
                row = (a + b) % 2**32 % len(table)
            out.append(table[row])
        return np.array(out)

    def linear(self, o):
        x, weight = self.registers[o.x], self.tensors[o.weight]
        bias = self.vector(o.bias, len(weight))
        return np.array([[bias[r] + sum(row * weight[r]) for r in range(len(weight))] for row in x])

    def rms_norm(self, o):
        x = self.registers[o.x]
        gain, part, out = self.vector(o.gain, x.shape[1], 1.0), x.shape[1] // o.groups, np.zeros_like(x)
        for i in range(x.shape[0]):
            for c in range(x.shape[1]):
                group = c // part
                mean = sum(x[i, group * part + j] ** 2 for j in range(part)) / part
                out[i, c] = gain[c] * x[i, c] / math.sqrt(mean + o.epsilon)
        return out

    def layer_norm(self, o):
        x = self.registers[o.x]
        width, out = x.shape[1], np.zeros_like(x)
        gain, bias = self.vector(o.gain, width), self.vector(o.bias, width)
        for i, row in enumerate(x):
            mean = sum(row) / width
            variance = sum((value - mean) ** 2 for value in row) / width
            for c in range(width):
                out[i, c] = gain[c] * (row[c] - mean) / math.sqrt(variance + o.epsilon) + bias[c]
        return out

    def scale(self, o):
        vector = self.vector(o.vector, self.registers[o.x].shape[1])
        return self.each(lambda c, x: vector[c] * x, o.x)

    def mix(self, o):
        width = self.registers[o.x].shape[1]
        a, b = self.vector(o.a, width), self.vector(o.b, width)
        return self.each(lambda c, x, y: a[c] * x + b[c] * y, o.x, o.y)

    def add(self, o):
        return self.each(lambda c, x, y: x + y, o.x, o.y)

    def multiply(self, o):
        return self.each(lambda c, x, y: x * y, o.x, o.y)

    def activation(self, o):
        functions = {
            op.ActivationKind.RELU_SQUARED: lambda z: max(z, 0) ** 2,
            op.ActivationKind.LEAKY_RELU_SQUARED: lambda z: z**2 if z > 0 else (o.slope * z) ** 2,
            op.ActivationKind.GELU: lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
            op.ActivationKind.SILU: lambda z: z / (1 + math.exp(-z)),
            op.ActivationKind.SIGMOID: lambda z: 1 / (1 + math.exp(-z)),
            op.ActivationKind.TANH: math.tanh,
            op.ActivationKind.GELU_TANH: lambda z: (
                0.5 * z * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))
            ),
            op.ActivationKind.RELU: lambda z: max(z, 0),
            op.ActivationKind.SOFTPLUS: lambda z: math.log(1 + math.exp(z)),
        }
        return self.each(lambda c, x: functions[o.kind](x), o.x)

    def rope(self, o):
        x = self.registers[o.x]
        out, head_width = x.copy(), x.shape[1] // o.heads
        for i in range(x.shape[0]):
            for head in range(o.heads):
                for j in range(o.rotary_dims // 2):
                    angle = i * o.base ** (-2 * j / o.rotary_dims)
                    pair = (j, j + o.rotary_dims // 2) if o.layout == op.RopeLayout.HALF_SPLIT else (2 * j, 2 * j + 1)
                    p, q = (head * head_width + c for c in pair)
                    out[i, p] = x[i, p] * math.cos(angle) + x[i, q] * math.sin(angle)
                    out[i, q] = x[i, q] * math.cos(angle) - x[i, p] * math.sin(angle)
        return out

    def rotate(self, o):
        x = self.registers[o.x]
        out, head_width = x.copy(), x.shape[1] // o.heads
        frequencies = self.vector(o.frequencies, o.rotary_dims // 2)
        for i in range(x.shape[0]):
            for head in range(o.heads):
                for j in range(o.rotary_dims // 2):
                    angle = i * (o.base ** (-2 * j / o.rotary_dims) if o.frequencies is None else frequencies[j])
                    cosine, sine = o.factor * math.cos(angle), o.factor * math.sin(angle)
                    if o.direction == op.RotationDirection.FORWARD:
                        sine = -sine
                    pair = (j, j + o.rotary_dims // 2) if o.layout == op.RopeLayout.HALF_SPLIT else (2 * j, 2 * j + 1)
                    p, q = (head * head_width + c for c in pair)
                    out[i, p] = x[i, p] * cosine + x[i, q] * sine
                    out[i, q] = x[i, q] * cosine - x[i, p] * sine
        return out

    def attention(self, o):
        q, k, v = (self.registers[r] for r in (o.q, o.k, o.v))
        query_width, value_width = q.shape[1] // o.heads, v.shape[1] // o.kv_heads
        out = np.zeros((q.shape[0], o.heads * value_width))
        for i in range(q.shape[0]):
            first = max(0, i - o.window + 1 if o.window else 0, self.document_start[i] if o.document_reset else 0)
            for head in range(o.heads):
                group = head // (o.heads // o.kv_heads)
                query = q[i, head * query_width : (head + 1) * query_width]
                keys = [k[j, group * query_width : (group + 1) * query_width] for j in range(first, i + 1)]
                scores = [o.scale * sum(query * key) for key in keys]
                weights = [math.exp(score - max(scores)) for score in scores]
                for j, weight in zip(range(first, i + 1), weights, strict=True):
                    value = v[j, group * value_width : (group + 1) * value_width]
                    out[i, head * value_width : (head + 1) * value_width] += weight / sum(weights) * value
        return out

    def capped_attention(self, o):
        q, k, v = (self.registers[r] for r in (o.q, o.k, o.v))
        query_width, value_width = q.shape[1] // o.heads, v.shape[1] // o.kv_heads
        sinks = self.vector(o.sinks, o.heads, -math.inf)
        out = np.zeros((q.shape[0], o.heads * value_width))
        for i in range(q.shape[0]):
            seen = [j for j in range(i + 1) if not o.window or i - j < o.window]
            seen = [j for j in seen if not o.document_reset or j >= self.document_start[i]]
            for head in range(o.heads):
                group = head * o.kv_heads // o.heads
                scores = []
                for j in seen:
                    product = sum(
                        q[i, head * query_width + c] * k[j, group * query_width + c] for c in range(query_width)
                    )
                    scores.append(o.scale * product)
                if o.cap > 0:
                    scores = [o.cap * math.tanh(score / o.cap) for score in scores]
                peak = max([*scores, sinks[head]])
                norm = sum(math.exp(score - peak) for score in [*scores, sinks[head]])
                for c in range(value_width):
                    for j, score in zip(seen, scores, strict=True):
                        weight = math.exp(score - peak) / norm
                        out[i, head * value_width + c] += weight * v[j, group * value_width + c]
        return out

    def delta_scan(self, o):
        x, step, strength, write, read = (self.registers[r] for r in (o.x, o.step, o.strength, o.write, o.read))
        width, size, rates = x.shape[1] // o.heads, write.shape[1] // o.groups, self.tensors[o.log_rates]
        out = np.zeros_like(x)
        for head in range(o.heads):
            group = head // (o.heads // o.groups)
            for c in range(width):
                state = [0.0] * size
                for i in range(x.shape[0]):
                    decay = math.exp(-step[i, head] * math.exp(rates[head]))
                    state = [decay * each for each in state]
                    held = sum(state[n] * write[i, group * size + n] for n in range(size))
                    for n in range(size):
                        state[n] += strength[i, head] * (x[i, head * width + c] - held) * write[i, group * size + n]
                        out[i, head * width + c] += state[n] * read[i, group * size + n]
        return out

    def scan(self, o):
        x, step, write, read = (self.registers[r] for r in (o.x, o.step, o.write, o.read))
        width, size, rates = x.shape[1] // o.heads, write.shape[1] // o.groups, self.tensors[o.log_rates]
        out = np.zeros_like(x)
        for head in range(o.heads):
            group = head // (o.heads // o.groups)
            logarithms = [rates[head, n] if rates.ndim == 2 else rates[head] for n in range(size)]
            for c in range(width):
                state = [0.0] * size
                for i in range(x.shape[0]):
                    for n in range(size):
                        decay = math.exp(-step[i, head] * math.exp(logarithms[n]))
                        intake = step[i, head] * x[i, head * width + c] * write[i, group * size + n]
                        state[n] = decay * state[n] + intake
                        out[i, head * width + c] += state[n] * read[i, group * size + n]
        return out

    def exclude(self, o):
        y, v = self.registers[o.y], self.registers[o.v]
        out, head_width = np.zeros_like(y), y.shape[1] // o.heads
        for i in range(y.shape[0]):
            for head in range(o.heads):
                group = head // (o.heads // o.kv_heads)
                value = v[i, group * head_width : (group + 1) * head_width]
                part = y[i, head * head_width : (head + 1) * head_width]
                share = sum(part * value) / max(sum(value * value), 1e-24)
                out[i, head * head_width : (head + 1) * head_width] = part - share * value
        return out

    def shift(self, o):
        x = self.registers[o.x]
        out = np.zeros_like(x)
        for i in range(x.shape[0]):
            if i - o.by >= (self.document_start[i] if o.reset_at_document else 0):
                out[i] = x[i - o.by]
        return out

    def slice(self, o):
        return self.registers[o.x][:, o.start : o.stop].copy()

    def concat(self, o):
        return np.concatenate([self.registers[r] for r in o.xs], axis=1)

    def softcap(self, o):
        def polynomial(u):
            u = min(max(u, -2), 2)
            return min(max(u - u**3 / 3 + u**5 / 15, -1), 1)

        function = math.tanh if o.kind == op.SoftcapKind.TANH else polynomial
        return self.each(lambda c, x: o.cap * function(x / o.cap), o.x)

    def broadcast(self, o):
        x = self.registers[o.x]
        width = x.shape[1]
        spread = o.kind == op.BroadcastKind.SPREAD
        return np.stack([x[:, c // (o.width // width) if spread else c % width] for c in range(o.width)], axis=1)

    def scale_tiled(self, o):
        tensor = self.tensors[o.vector.tensor]
        values = tensor[o.vector.row] if tensor.ndim == 2 else tensor
        return self.each(lambda c, x: x * values[c % len(values)], o.x)

    def affine(self, o):
        return self.each(lambda c, x: o.factor * x + o.offset, o.x)

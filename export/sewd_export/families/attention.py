"""Disentangled self-attention (He et al. 2021, "DeBERTa", eq. 4), written for inference.

score(i, j) = (q_i·k_j + q_i·K[b(i-j)] + k_j·Q[b(i-j)]) / sqrt(d·terms), where b is the bucket of a distance.
b is odd, so one index gathers both position terms. K and Q are products of weights, hence constants. The
scale is folded into q and Q.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sewd_export.families.layers import Linear, Weights

_FARTHEST = 1 << 17  # in tokens, well over an hour: the distances for which a table is made


def position_span(config: Any) -> tuple[int, int]:
    """Return (span, max_position); the tables have 2·span rows."""
    max_position: int = getattr(config, "max_relative_positions", -1)
    if max_position < 1:
        max_position = config.max_position_embeddings
    buckets: int = config.position_buckets
    return (buckets if buckets > 0 else max_position), max_position


def bucket_table(config: Any) -> Tensor:
    """Return the table row of each distance -farthest … farthest: `(2 * farthest + 1,)` int64.

    Larger distances use the last row. The formula, float32 rounding included, is
    transformers' `make_log_bucket_position` (modeling_sew_d.py), clamped as its attention clamps it.
    """
    span, max_position = position_span(config)
    distance = torch.arange(-_FARTHEST, _FARTHEST + 1)
    if config.position_buckets > 0:
        middle = config.position_buckets // 2
        near = distance.abs() < middle
        size = torch.where(near, torch.tensor(middle - 1), distance.abs())
        log_size = torch.log(size / middle) / torch.log(torch.tensor((max_position - 1) / middle))
        far = torch.ceil(log_size * (middle - 1)) + middle
        distance = torch.where(size <= middle, distance.to(far.dtype), far * distance.sign()).to(torch.long)
    rows = torch.clamp(distance + span, 0, 2 * span - 1)
    changes = torch.nonzero(rows[1:] != rows[:-1]) - _FARTHEST  # between each distance and the next
    farthest = int(torch.maximum(changes.abs(), (changes + 1).abs()).max())
    return rows[_FARTHEST - farthest : _FARTHEST + farthest + 1].clone()


class Relative(NamedTuple):
    """Where each pair of tokens finds its position score.

    by_query: column for (query, key); by_key: for (key, query); each `(batch, heads, tokens, tokens)` int64.
    first, used: first row and number of rows of the position tables that this many tokens need.
    """

    by_query: Tensor
    by_key: Tensor
    first: int
    used: int


class RelativeIndex(nn.Module):
    """The table row of each pair of tokens, repeated for each head; computed once, used by every layer.

    forward: batch, num_tokens → `Relative`. A second of audio needs a tenth of the rows.
    """

    table: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        table = bucket_table(config)
        self.rows = 2 * position_span(config)[0]
        self.heads = config.num_attention_heads
        self.farthest = len(table) // 2
        self.register_buffer("table", table)

    def forward(self, batch: int, num_tokens: int) -> Relative:
        token = torch.arange(num_tokens)
        distance = torch.clamp(token[:, None] - token[None], -self.farthest, self.farthest)
        reach = torch.sym_min(num_tokens - 1, self.farthest)
        first: Any = self.table[self.farthest - reach].item()  # int() would fix it at the traced length
        used: Any = self.table[self.farthest + reach].item() - first + 1
        torch._check(first >= 0)
        torch._check(used >= 0)
        torch._check(first + used <= self.rows)
        flat = torch.gather(self.table, 0, (distance + self.farthest).reshape(-1))
        index = flat.reshape(num_tokens, num_tokens) - first
        shape = (batch, self.heads, num_tokens, num_tokens)
        return Relative(index.expand(shape), index.T.expand(shape), first, used)


def _position_table(weights: Weights, name: str, embeddings: Tensor, heads: int) -> Tensor:
    """Project the embeddings with layer `name`, and split the heads: `(heads, head, rows)`."""
    table = embeddings @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return table.reshape(len(table), heads, -1).permute(1, 2, 0).contiguous()


class Scores(nn.Module):
    """Attention scores before the softmax.

    forward: query, key `(batch, heads, tokens, head)`, relative or None → `(batch, heads, tokens, tokens)`.
    """

    position_key: Tensor | None
    position_query: Tensor | None

    def __init__(self, config: Any, weights: Weights, embeddings: Tensor | None, scale: float) -> None:
        super().__init__()
        tables: dict[str, Tensor | None] = {"position_key": None, "position_query": None}
        if embeddings is not None:
            key, query = (
                ("key_proj", "query_proj") if config.share_att_key else ("pos_key_proj", "pos_query_proj")
            )
            heads = config.num_attention_heads
            if "c2p" in config.pos_att_type:
                tables["position_key"] = _position_table(weights, key, embeddings, heads)
            if "p2c" in config.pos_att_type:
                tables["position_query"] = _position_table(weights, query, embeddings, heads) * scale
        for name, table in tables.items():
            self.register_buffer(name, table)

    def forward(self, query: Tensor, key: Tensor, relative: Relative | None) -> Tensor:
        scores = torch.matmul(query, key.transpose(-1, -2))
        if relative is None:
            return scores
        rows = (relative.first, relative.used)
        if self.position_key is not None:
            by_row = torch.matmul(query, self.position_key.narrow(-1, *rows))
            scores = scores + torch.gather(by_row, -1, relative.by_query)
        if self.position_query is not None:
            by_row = torch.matmul(key, self.position_query.narrow(-1, *rows))
            scores = scores + torch.gather(by_row, -1, relative.by_key).transpose(-1, -2)
        return scores


class Attention(nn.Module):
    """Self-attention.

    forward: hidden `(batch, tokens, hidden)`, relative, bias `(batch, 1, 1, tokens)` → `(batch, tokens,
    hidden)`.
    """

    def __init__(self, config: Any, weights: Weights, embeddings: Tensor | None) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        head_size = config.hidden_size // self.heads
        # the original counts the position terms even if relative attention is off
        terms = 1 + ("c2p" in config.pos_att_type) + ("p2c" in config.pos_att_type)
        scale = 1 / math.sqrt(head_size * terms)
        own = weights.at("self")
        self.query, self.key = (
            Linear((own[f"{name}.weight"] * factor).T, own[f"{name}.bias"] * factor)
            for name, factor in (("query_proj", scale), ("key_proj", 1.0))
        )
        self.value = Linear(own["value_proj.weight"].T, None)
        self.scores = Scores(config, own, embeddings, scale)
        output = weights.at("output", "dense")
        # probabilities sum to one, so the bias of the values passes through unchanged
        self.output = Linear(output["weight"].T, output["bias"] + output["weight"] @ own["value_proj.bias"])

    def forward(self, hidden: Tensor, relative: Relative | None, bias: Tensor) -> Tensor:
        batch, tokens, width = hidden.shape
        query, key, value = (
            linear(hidden).reshape(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        probabilities = torch.softmax(self.scores(query, key, relative) + bias, -1)
        context = torch.matmul(probabilities, value).transpose(1, 2).reshape(batch, tokens, width)
        attended: Tensor = self.output(context)
        return attended

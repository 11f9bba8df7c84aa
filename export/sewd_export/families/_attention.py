"""Disentangled self-attention (He et al. 2021, "DeBERTa", eq. 4), written for inference.

score(i, j) = (q_i·k_j + q_i·K[b(i-j)] + k_j·Q[b(i-j)]) / sqrt(d·terms), with b the bucket of a distance. b
is odd, so both position terms are gathered with one index. K and Q are weights times weights: constants. The
scale is folded into q and Q.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from sewd_export.families._layers import Product
from sewd_export.families._weights import Weights

_FARTHEST = 1 << 17  # distances looked at when a table is made: tokens of well over an hour


def position_span(config: Any) -> tuple[int, int]:
    """Return (span, max_position): the tables have 2·span rows."""
    max_position: int = getattr(config, "max_relative_positions", -1)
    if max_position < 1:
        max_position = config.max_position_embeddings
    buckets: int = config.position_buckets
    return (buckets if buckets > 0 else max_position), max_position


def bucket_table(config: Any) -> Tensor:
    """Return the table row of each distance -farthest … farthest: `(2 * farthest + 1,)` int64.

    Distances beyond the last have the row of the last. The formula, float32 rounding included, is
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


class RelativeIndex(nn.Module):
    """The table row of each pair of tokens, repeated for each head: made once, used by every layer.

    forward: batch, num_tokens → (row by query and key, row by key and query), each `(batch, heads, tokens,
    tokens)` int64.
    """

    table: Tensor

    def __init__(self, config: Any) -> None:
        super().__init__()
        table = bucket_table(config)
        self.heads = config.num_attention_heads
        self.farthest = len(table) // 2
        self.register_buffer("table", table)

    def forward(self, batch: int, num_tokens: int) -> tuple[Tensor, Tensor]:
        token = torch.arange(num_tokens)
        distance = torch.clamp(token[:, None] - token[None], -self.farthest, self.farthest)
        index = self.table[distance + self.farthest]
        shape = (batch, self.heads, num_tokens, num_tokens)
        return index.expand(shape), index.T.expand(shape)


def _position_table(weights: Weights, name: str, embeddings: Tensor, heads: int) -> Tensor:
    """Project the embeddings with `name` and split the heads: `(heads, head, rows)`, ready for a product."""
    table = embeddings @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return table.reshape(len(table), heads, -1).permute(1, 2, 0).contiguous()


class Scores(nn.Module):
    """Attention scores before the softmax.

    forward: query, key `(batch, heads, tokens, head)`, what `RelativeIndex` gives or None → `(batch, heads,
    tokens, tokens)`.
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

    def forward(self, query: Tensor, key: Tensor, index: tuple[Tensor, Tensor] | None) -> Tensor:
        scores = torch.matmul(query, key.transpose(-1, -2))
        if index is None:
            return scores
        by_query, by_key = index
        if self.position_key is not None:
            scores = scores + torch.gather(torch.matmul(query, self.position_key), -1, by_query)
        if self.position_query is not None:
            gathered = torch.gather(torch.matmul(key, self.position_query), -1, by_key)
            scores = scores + gathered.transpose(-1, -2)
        return scores


class Attention(nn.Module):
    """Self-attention with one product for query, key and value.

    forward: hidden `(batch, tokens, hidden)`, index, bias `(batch, 1, 1, tokens)` → `(batch, tokens,
    hidden)`.
    """

    def __init__(self, config: Any, weights: Weights, embeddings: Tensor | None) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        head_size = config.hidden_size // self.heads
        # the original counts the position terms even where relative attention is off
        terms = 1 + ("c2p" in config.pos_att_type) + ("p2c" in config.pos_att_type)
        scale = 1 / math.sqrt(head_size * terms)
        own = weights.at("self")
        parts = [(own[f"{name}_proj.weight"], own[f"{name}_proj.bias"]) for name in ("query", "key", "value")]
        factors = (scale, 1.0, 1.0)
        self.query_key_value = Product(
            torch.cat([weight * factor for (weight, _), factor in zip(parts, factors, strict=True)]).T,
            torch.cat([bias * factor for (_, bias), factor in zip(parts, factors, strict=True)]),
        )
        self.scores = Scores(config, own, embeddings, scale)
        self.output = Product.linear(weights.at("output", "dense"))

    def forward(self, hidden: Tensor, index: tuple[Tensor, Tensor] | None, bias: Tensor) -> Tensor:
        batch, tokens, width = hidden.shape
        projected = self.query_key_value(hidden).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = (projected.permute(2, 0, 3, 1, 4)[i] for i in range(3))
        probabilities = torch.softmax(self.scores(query, key, index) + bias, -1)
        context = torch.matmul(probabilities, value).transpose(1, 2).reshape(batch, tokens, width)
        attended: Tensor = self.output(context)
        return attended

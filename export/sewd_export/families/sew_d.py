"""SEW-D (Wu et al. 2021, arXiv 2109.06870) as a module for tracing: plain torch, the original's weights.

Every operation along time masks each item at its own length, so an item's result does not depend on the rest
of its batch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from sewd_export.checkpoint.geometry import receptive_field
from sewd_export.errors import UnsupportedConfigError
from sewd_export.families.attention import Attention, Relative, RelativeIndex, position_span
from sewd_export.families.convolution import FeatureEncoder, SampleNorm, count_frames
from sewd_export.families.layers import LayerNorm, Linear, MaskedLinear, Weights, activation

_MASKED = -3e4  # added to a score: the probability becomes exactly 0 in float32, and the value fits float16


def check_config(config: Any) -> None:
    """Raise UnsupportedConfigError for fields that would change the result and are not supported."""
    refused = {
        "conv_kernel_size": (
            getattr(config, "conv_kernel_size", 0) > 0,
            "a convolution after the first layer",
        ),
        "add_adapter": (getattr(config, "add_adapter", False), "adapters"),
        "adapter_attn_dim": (getattr(config, "adapter_attn_dim", None) is not None, "language adapters"),
        "attention_head_size": (
            getattr(config, "attention_head_size", None)
            not in (None, config.hidden_size // config.num_attention_heads),
            "heads whose sizes do not add up to hidden_size",
        ),
        "feat_extract_norm": (
            config.feat_extract_norm not in ("group", "layer"),
            "norms other than group and layer",
        ),
        "position_buckets": (
            config.relative_attention and 0 < config.position_buckets < 4,
            "fewer than 4 position buckets",
        ),
        "max_position_embeddings": (
            config.relative_attention and position_span(config)[1] - 1 <= config.position_buckets // 2,
            "fewer positions than half the buckets",
        ),
    }
    for act in ("hidden_act", "feat_extract_activation"):
        value = getattr(config, act)
        refused[act] = (not isinstance(value, str) or value not in ACT2FN, f"the activation {value!r:.99}")
    unsupported = [f"{field} ({what})" for field, (is_refused, what) in refused.items() if is_refused]
    if unsupported:
        raise UnsupportedConfigError(f"config.json: not supported: {', '.join(unsupported)}")


def _is_own(size: int, lengths: Tensor) -> Tensor:
    """Return which positions are within each item: `(batch, size)` bool."""
    return torch.arange(size)[None] < lengths[:, None]


class PositionalConvolution(nn.Module):
    """Grouped convolution at the squeezed rate: `(batch, frames, hidden)`, frames a multiple of squeeze →
    `(batch, tokens, hidden)`."""

    weight: Tensor
    bias: Tensor

    def __init__(self, config: Any, weights: Weights) -> None:
        super().__init__()
        conv = weights.at("conv")
        direction = conv["parametrizations.weight.original1"]
        norm = direction.norm(dim=(0, 1), keepdim=True)  # weight norm over dim 2
        self.register_buffer("weight", direction * (conv["parametrizations.weight.original0"] / norm))
        self.register_buffer("bias", conv["bias"])
        self.stride, self.groups = config.squeeze_factor, config.num_conv_pos_embedding_groups
        self.activation = activation(config.feat_extract_activation, weights.at("activation"))

    def forward(self, frames: Tensor) -> Tensor:
        kernel = self.weight.shape[-1]
        padded = functional.pad(frames.transpose(1, 2), (kernel // 2, (kernel - 1) // 2))
        embedded = functional.conv1d(padded, self.weight, self.bias, stride=self.stride, groups=self.groups)
        activated: Tensor = self.activation(embedded).transpose(1, 2)
        return activated


class FeedForward(nn.Module):
    """Linear layer, activation, linear layer: `(batch, tokens, hidden)` → same."""

    def __init__(self, config: Any, weights: Weights) -> None:
        super().__init__()
        self.intermediate = Linear.from_weights(weights.at("intermediate", "dense"))
        self.activation = activation(config.hidden_act, weights.at("intermediate", "intermediate_act_fn"))
        self.output = Linear.from_weights(weights.at("output", "dense"))

    def forward(self, hidden: Tensor) -> Tensor:
        result: Tensor = self.output(self.activation(self.intermediate(hidden)))
        return result


class Layer(nn.Module):
    """One transformer layer, norms after the residuals: `(batch, tokens, hidden)` → same."""

    def __init__(self, config: Any, weights: Weights, embeddings: Tensor | None) -> None:
        super().__init__()
        eps = config.layer_norm_eps
        self.attention = Attention(config, weights.at("attention"), embeddings)
        self.attention_norm = LayerNorm(weights.at("attention", "output", "LayerNorm"), eps)
        self.feed_forward = FeedForward(config, weights)
        self.feed_forward_norm = LayerNorm(weights.at("output", "LayerNorm"), eps)

    def forward(self, hidden: Tensor, relative: Relative | None, bias: Tensor) -> Tensor:
        attended = self.attention_norm(self.attention(hidden, relative, bias) + hidden)
        result: Tensor = self.feed_forward_norm(self.feed_forward(attended) + attended)
        return result


class Upsampling(nn.Module):
    """Tokens back to frames: `(batch, tokens, hidden)` → `(batch, tokens * squeeze, hidden)`."""

    def __init__(self, config: Any, weights: Weights) -> None:
        super().__init__()
        self.projection = Linear.from_weights(weights.at("projection"))
        self.activation = activation(config.feat_extract_activation, weights.at("activation"))
        self.squeeze = config.squeeze_factor

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, hidden = tokens.shape
        frames: Tensor = self.activation(self.projection(tokens))
        return frames.reshape(batch, length * self.squeeze, hidden)


class SewD(nn.Module):
    """Samples to hidden states.

    forward: input_values `(batch, samples)` float32 in [-1, 1], zero-padded; input_lengths `(batch,)` int64 →
    frames `(batch, frames, hidden)`; computed `(batch, frames, 1)` bool, false for frames that the original
    pads; the hidden states of every layer at the token rate, each `(batch, tokens, hidden)`; num_frames
    `(batch,)` int64.
    """

    def __init__(self, config: Any, weights: Weights, *, do_normalize: bool) -> None:
        super().__init__()
        kernels, strides = tuple(config.conv_kernel), tuple(config.conv_stride)
        self.receptive_field, self.stride = receptive_field(kernels, strides), math.prod(strides)
        self.squeeze = config.squeeze_factor
        self.sample_norm = SampleNorm() if do_normalize else None
        act, norm = config.feat_extract_activation, config.feat_extract_norm
        self.feature_extractor = FeatureEncoder(
            weights.at("feature_extractor", "conv_layers"),
            kernels=kernels,
            strides=strides,
            act=act,
            norm=norm,
        )
        self.layer_norm = LayerNorm(weights.at("layer_norm"), config.feature_layer_norm_eps)
        project = config.conv_dim[-1] != config.hidden_size
        self.feature_projection = (
            Linear.from_weights(weights.at("feature_projection")) if project else nn.Identity()
        )
        self.pos_conv_embed = PositionalConvolution(config, weights.at("encoder", "pos_conv_embed"))
        encoder = weights.at("encoder", "encoder")
        self.relative_index = RelativeIndex(config) if config.relative_attention else None
        embeddings = _relative_embeddings(config, encoder)
        self.layers = nn.ModuleList(
            [Layer(config, encoder.at("layer", i), embeddings) for i in range(config.num_hidden_layers)]
        )
        self.upsample = Upsampling(config, weights.at("encoder", "upsample"))

    def num_frames(self, samples: Tensor) -> Tensor:
        """Return the number of frames for numbers of samples: `(batch,)` int64 → same."""
        return count_frames(samples, self.receptive_field, self.stride)

    def features(self, input_values: Tensor, input_lengths: Tensor) -> Tensor:
        """Return the projected features `(batch, frames, hidden)`, arbitrary past an item's end."""
        if self.sample_norm is not None:
            input_values = self.sample_norm(input_values, input_lengths)
        features = self.feature_extractor(input_values, input_lengths)
        projected: Tensor = self.feature_projection(self.layer_norm(features))
        return projected

    def squeezed(self, features: Tensor, num_frames: Tensor) -> Tensor:
        """Return the tokens `(batch, tokens, hidden)`, including a partial last one, masked later: there is
        always one."""
        length = features.shape[1]
        tokens = (length + self.squeeze - 1) // self.squeeze
        own = torch.where(_is_own(length, num_frames)[..., None], features, 0.0)
        own = functional.pad(own, (0, 0, 0, tokens * self.squeeze - length))
        pooled = own.unflatten(1, (tokens, self.squeeze)).mean(2)
        squeezed: Tensor = pooled + self.pos_conv_embed(own)
        return squeezed

    def forward(
        self, input_values: Tensor, input_lengths: Tensor
    ) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
        num_frames = self.num_frames(input_lengths)
        features = self.features(input_values, input_lengths)
        length = features.shape[1]
        hidden = self.squeezed(features, num_frames)
        num_tokens = num_frames // self.squeeze
        bias = torch.where(_is_own(hidden.shape[1], num_tokens), 0.0, _MASKED)[:, None, None]
        relative = None if self.relative_index is None else self.relative_index(*hidden.shape[:2])
        states = [hidden]
        for layer in self.layers:
            states.append(layer(states[-1], relative, bias))
        frames = self.upsample(states[-1])[:, :length]
        computed = _is_own(length, num_tokens * self.squeeze)[..., None]
        return frames, computed, states, num_frames


def _relative_embeddings(config: Any, encoder: Weights) -> Tensor | None:
    """Return the normalised embeddings of the relative positions: `(2 * span, hidden)`, or None if there are
    none."""
    if not config.relative_attention:
        return None
    embeddings: Tensor = encoder["rel_embeddings.weight"]
    if "layer_norm" not in [part.strip() for part in config.norm_rel_ebd.lower().split("|")]:
        return embeddings
    normalised: Tensor = LayerNorm(encoder.at("LayerNorm"), config.layer_norm_eps)(embeddings)
    return normalised


class SewDForCtc(nn.Module):
    """forward: input_values, input_lengths → logits `(batch, frames, vocab)` float32, output_lengths
    `(batch,)` int64."""

    output_name = "logits"

    def __init__(self, config: Any, state_dict: Mapping[str, Tensor], *, do_normalize: bool) -> None:
        super().__init__()
        weights = Weights(state_dict)
        self.sew_d = SewD(config, weights.at("sew_d"), do_normalize=do_normalize)
        self.lm_head = MaskedLinear(weights.at("lm_head"))

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames, computed, _, num_frames = self.sew_d(input_values, input_lengths)
        return self.lm_head(frames, computed), num_frames


class SewDForSequenceClassification(nn.Module):
    """forward: input_values, input_lengths → class_logits `(batch, classes)` float32, output_lengths
    `(batch,)` int64.

    The mean is over each item's own frames, or with `use_weighted_layer_sum` over its own tokens, as in the
    original.
    """

    output_name = "class_logits"
    layer_weights: Tensor | None

    def __init__(self, config: Any, state_dict: Mapping[str, Tensor], *, do_normalize: bool) -> None:
        super().__init__()
        weights = Weights(state_dict)
        self.squeeze = config.squeeze_factor
        self.sew_d = SewD(config, weights.at("sew_d"), do_normalize=do_normalize)
        weighted = config.use_weighted_layer_sum
        self.register_buffer("layer_weights", weights["layer_weights"].softmax(-1) if weighted else None)
        self.projector = MaskedLinear(weights.at("projector"))
        self.classifier = Linear.from_weights(weights.at("classifier"))

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames, computed, states, num_frames = self.sew_d(input_values, input_lengths)
        count = num_frames
        if self.layer_weights is not None:
            count = num_frames // self.squeeze
            frames = sum(weight * state for weight, state in zip(self.layer_weights, states, strict=True))
            computed = _is_own(frames.shape[1], count)[..., None]
        projected = self.projector(frames, computed)
        own = _is_own(projected.shape[1], count)[..., None]
        pooled = torch.where(own, projected, 0.0).sum(1) / count[:, None].to(projected.dtype)
        return self.classifier(pooled), num_frames


class SewDModel(nn.Module):
    """forward: input_values, input_lengths → hidden_states `(batch, frames, hidden)` float32, output_lengths
    `(batch,)` int64."""

    output_name = "hidden_states"

    def __init__(self, config: Any, state_dict: Mapping[str, Tensor], *, do_normalize: bool) -> None:
        super().__init__()
        self.sew_d = SewD(config, Weights(state_dict), do_normalize=do_normalize)

    def forward(self, input_values: Tensor, input_lengths: Tensor) -> tuple[Tensor, Tensor]:
        frames, computed, _, num_frames = self.sew_d(input_values, input_lengths)
        return torch.where(computed, frames, 0.0), num_frames

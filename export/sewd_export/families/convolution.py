"""The feature encoder: samples to frames, every convolution as one matmul, channels last.

A convolution without padding is a matmul with the windows it sees. If the stride divides the kernel, the
windows are reshaped blocks of one stride each, side by side; otherwise they are gathered.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sewd_export.checkpoint.geometry import receptive_field
from sewd_export.families.layers import LayerNorm, Linear, Weights, activation

_GROUP_NORM_EPS = 1e-5  # torch's default, as in the original
_LAYER_NORM_EPS = 1e-5
_BLOCK = 256


def _blocks(length: int) -> int:
    """Return how many blocks hold this many values."""
    return (length + _BLOCK - 1) // _BLOCK


def _sum_over_time(x: Tensor) -> Tensor:
    """Sum within blocks, then over the blocks: `(batch, length, ...)`, length a multiple of the block →
    `(batch, 1, ...)`.

    onnxruntime adds up a float32 axis one value at a time. Over a minute of audio that alone changed the
    logits by 9e-5, and by 2e-4 for audio with a DC offset.
    """
    total: Tensor = x.unflatten(1, (x.shape[1] // _BLOCK, _BLOCK)).sum(2).sum(1, keepdim=True)
    return total


def count_frames(lengths: Tensor, field: int, stride: int) -> Tensor:
    """Return the number of frames for numbers of samples: `(batch,)` int64 → same; 0 below the field."""
    return (lengths - field + stride).clamp(min=0) // stride


class SampleNorm(nn.Module):
    """Zero mean and unit variance over each item's own samples, zeros past its end.

    forward: input_values `(batch, samples)` float32, lengths `(batch,)` int64 → `(batch, samples)` float32.
    Same as transformers' `Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm`, eps 1e-7.
    """

    def forward(self, input_values: Tensor, lengths: Tensor) -> Tensor:
        length = input_values.shape[1]
        size = _blocks(length) * _BLOCK
        mask = torch.arange(size)[None] < lengths[:, None]
        count = lengths[:, None].to(input_values.dtype)
        samples = torch.where(mask, functional.pad(input_values, (0, size - length)), 0.0)
        centred = torch.where(mask, samples - _sum_over_time(samples) / count, 0.0)
        variance = _sum_over_time(centred * centred) / count
        return (centred / torch.sqrt(variance + 1e-7))[:, :length]


def windows(x: Tensor, frames: int, kernel: int, stride: int) -> Tensor:
    """Return what the first `frames` of a convolution see: `(batch, length, channels)` → `(batch, frames,
    kernel * channels)`."""
    if kernel == stride == 1:
        return x[:, :frames]
    batch, _, channels = x.shape
    if kernel % stride == 0:
        blocks = [
            x[:, i * stride : (i + frames) * stride].reshape(batch, frames, stride * channels)
            for i in range(kernel // stride)
        ]
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks, -1)
    seen = (
        torch.arange(0, frames * stride, stride) + torch.arange(kernel)[:, None]
    )  # short rows would be slow
    return x.index_select(1, seen.T.reshape(-1)).reshape(batch, frames, kernel * channels)


def matmul_weight(weight: Tensor) -> Tensor:
    """Reorder a convolution's `(out, in, kernel)` for `windows`: `(kernel * in, out)`."""
    return weight.permute(2, 1, 0).reshape(-1, weight.shape[0])


class Convolution(nn.Module):
    """Windows, matmul, optional layer norm over the channels, activation.

    forward: `(batch, length, in)`, the number of frames to compute → `(batch, frames, out)`.
    """

    def __init__(self, weights: Weights, kernel: int, stride: int, *, act: str, layer_norm: bool) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.product = Linear(matmul_weight(weights["conv.weight"]), weights.get("conv.bias"))
        self.norm = LayerNorm(weights.at("layer_norm"), _LAYER_NORM_EPS) if layer_norm else nn.Identity()
        self.activation = activation(act, weights.at("activation"))

    def forward(self, x: Tensor, frames: int) -> Tensor:
        activated: Tensor = self.activation(
            self.norm(self.product(windows(x, frames, self.kernel, self.stride)))
        )
        return activated


def _sum_of_own(x: Tensor, mask: Tensor) -> Tensor:
    """Sum the frames in the mask by blocks: `(batch, length, channels)`, mask `(batch, length)` float32,
    length a multiple of the block → `(batch, 1, channels)`."""
    batch, length, channels = x.shape
    rows = mask.reshape(batch, length // _BLOCK, 1, _BLOCK)
    total: Tensor = torch.matmul(rows, x.reshape(batch, length // _BLOCK, _BLOCK, channels)).sum(1)
    return total


def _in_blocks(x: Tensor) -> Tensor:
    """Put the frames of a block in a row: `(batch, length, channels)` → `(batch, blocks, block * channels)`.

    onnxruntime adds and multiplies row by row, and ten channels would make short rows.
    """
    return x.reshape(x.shape[0], x.shape[1] // _BLOCK, _BLOCK * x.shape[2])


def _repeat(x: Tensor) -> Tensor:
    """Repeat for each frame of a block: `(batch, 1, channels)` → `(batch, block, channels)`."""
    return x.expand(x.shape[0], _BLOCK, x.shape[2])


class GroupNormConvolution(nn.Module):
    """The first convolution, each channel normalised over the item's own frames.

    forward: `(batch, samples, 1)`, lengths `(batch,)` int64 → `(batch, frames, out)`, padded to whole blocks.

    The matmul is linear, so the windows can be centred before it, where they are narrow; the convolution's
    bias cancels with the mean.
    """

    weight: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, kernel: int, stride: int, *, act: str) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.register_buffer("weight", matmul_weight(weights["conv.weight"]).contiguous())
        self.register_buffer("scale", weights["layer_norm.weight"])
        self.register_buffer("bias", weights["layer_norm.bias"].repeat(_BLOCK))  # for a row of `_in_blocks`
        self.activation = activation(act, weights.at("activation"))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        length = (x.shape[1] - self.kernel) // self.stride + 1
        blocks = _blocks(length)
        frames = windows(x, length, self.kernel, self.stride)
        frames = functional.pad(frames, (0, 0, 0, blocks * _BLOCK - length))
        own = count_frames(lengths, self.kernel, self.stride)
        mask = (torch.arange(blocks * _BLOCK)[None] < own[:, None]).to(frames.dtype)
        count = own[:, None, None].to(frames.dtype)
        centred = _in_blocks(frames) - _in_blocks(_repeat(_sum_of_own(frames, mask) / count))
        product = torch.matmul(centred.reshape(frames.shape), self.weight)
        variance = _sum_of_own(product * product, mask) / count
        scale = self.scale / torch.sqrt(variance + _GROUP_NORM_EPS)
        normalised = _in_blocks(product) * _in_blocks(_repeat(scale)) + self.bias
        activated: Tensor = self.activation(normalised.reshape(product.shape))
        return activated


class FeatureEncoder(nn.Module):
    """Samples to features: `(batch, samples)`, lengths `(batch,)` int64 → `(batch, frames, channels)`."""

    def __init__(
        self, weights: Weights, *, kernels: tuple[int, ...], strides: tuple[int, ...], act: str, norm: str
    ) -> None:
        super().__init__()
        first, rest = weights.at(0), range(1, len(kernels))
        layer_norm = norm == "layer"
        self.kernels, self.strides = kernels, strides
        self.group_norm = not layer_norm
        self.conv_layers = nn.ModuleList(
            [
                Convolution(first, kernels[0], strides[0], act=act, layer_norm=True)
                if layer_norm
                else GroupNormConvolution(first, kernels[0], strides[0], act=act)
            ]
            + [
                Convolution(weights.at(i), kernels[i], strides[i], act=act, layer_norm=layer_norm)
                for i in rest
            ]
        )

    def forward(self, samples: Tensor, lengths: Tensor) -> Tensor:
        stride = math.prod(self.strides)
        needed = [(samples.shape[1] - receptive_field(self.kernels, self.strides)) // stride + 1]
        for kernel, step in zip(self.kernels[:0:-1], self.strides[:0:-1], strict=True):
            needed.insert(0, (needed[0] - 1) * step + kernel)
        first, *rest = self.conv_layers
        x = samples[..., None]
        features: Tensor = first(x, lengths) if self.group_norm else first(x, needed[0])
        for layer, frames in zip(rest, needed[1:], strict=True):
            features = layer(features, frames)
        return features

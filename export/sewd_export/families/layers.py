"""Layers shared by the families, written for inference: linear layers, norms, activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

_EXACT_GELU = frozenset({"gelu", "gelu_python"})
_TANH_GELU = frozenset({"gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"})


@dataclass(frozen=True, slots=True)
class Weights:
    """A view of a state dict under one prefix; names are the original's."""

    state_dict: Mapping[str, Tensor]
    prefix: str = ""

    def at(self, *names: str | int) -> Weights:
        """Return the view under `names`, as in `weights.at("layer", 3)`."""
        return Weights(self.state_dict, self.prefix + "".join(f"{name}." for name in names))

    def __getitem__(self, name: str) -> Tensor:
        return self.state_dict[self.prefix + name]

    def get(self, name: str) -> Tensor | None:
        """Return the weight, or None if the layer has none (no bias)."""
        return self.state_dict.get(self.prefix + name)

    def as_dict(self) -> dict[str, Tensor]:
        """Return every weight under the prefix, by its name without the prefix."""
        start = len(self.prefix)
        return {
            name[start:]: value for name, value in self.state_dict.items() if name.startswith(self.prefix)
        }


class Linear(nn.Module):
    """A matmul with a constant weight, plus a bias if there is one.

    forward: x `(..., in)` float32 → `(..., out)` float32.
    """

    weight: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Keep `weight (in, out)` and `bias (out,)`."""
        super().__init__()
        self.register_buffer("weight", weight.contiguous())
        self.register_buffer("bias", bias)

    @classmethod
    def from_weights(cls, weights: Weights) -> Linear:
        """Read an `nn.Linear`: `weight (out, in)`, `bias (out,)`."""
        return cls(weights["weight"].T, weights.get("bias"))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.matmul(x, self.weight)
        return y if self.bias is None else y + self.bias


class MaskedLinear(nn.Module):
    """A linear layer whose input counts as zero where the mask is off: the result there is the bias.

    forward: x `(batch, frames, in)`, mask `(batch, frames, 1)` bool → `(batch, frames, out)`. The matmul's
    output is masked instead of its input because it is narrower.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.register_buffer("weight", weights["weight"].T.contiguous())
        self.register_buffer("bias", weights["bias"])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask, torch.matmul(x, self.weight), 0.0) + self.bias


class LayerNorm(nn.Module):
    """Normalise the last axis: `(..., channels)` → same."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weights: Weights, eps: float) -> None:
        super().__init__()
        self.register_buffer("weight", weights["weight"])
        self.register_buffer("bias", weights["bias"])
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


def activation(name: str, weights: Weights) -> nn.Module:
    """Return transformers' activation `name`, with its parameters (prelu, xielu) from `weights`.

    The many variants of GELU become the two of ONNX's Gelu; they differ only by float rounding.
    """
    if name in _EXACT_GELU:
        return nn.GELU()
    if name in _TANH_GELU:
        return nn.GELU(approximate="tanh")
    module: nn.Module = ACT2FN[name]
    module.load_state_dict(weights.as_dict(), strict=True)
    return module.float().eval()

"""Layers shared by the families: products, norms and activations, written for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import ACT2FN

from sewd_export.families.weights import Weights

_EXACT_GELU = frozenset({"gelu", "gelu_python"})
_TANH_GELU = frozenset({"gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"})


class Product(nn.Module):
    """A matrix product with constant weight, and a bias where there is one.

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
    def linear(cls, weights: Weights) -> Product:
        """Read an `nn.Linear`: `weight (out, in)`, `bias (out,)`."""
        return cls(weights["weight"].T, weights.get("bias"))

    def forward(self, x: Tensor) -> Tensor:
        product = torch.matmul(x, self.weight)
        return product if self.bias is None else product + self.bias


class MaskedProduct(nn.Module):
    """A product that sees zeros where the mask is off: the result there is the bias.

    forward: x `(batch, frames, in)`, mask `(batch, frames, 1)` bool → `(batch, frames, out)`. Masking the
    product instead of its input touches the narrower of the two.
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
    """Return transformers' activation `name`, its own parameters (prelu, xielu) read from `weights`.

    The several spellings of GELU become the two that the operator Gelu knows; they differ by float rounding
    only.
    """
    if name in _EXACT_GELU:
        return nn.GELU()
    if name in _TANH_GELU:
        return nn.GELU(approximate="tanh")
    module: nn.Module = ACT2FN[name]
    module.load_state_dict(weights.below(), strict=True)
    return module.float().eval()

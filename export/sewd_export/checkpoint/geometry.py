"""How many samples a frame sees, and how far apart frames are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How samples become frames; all in samples.

    min_samples: the shortest recording that gives a result.
    """

    receptive_field: int
    stride: int
    min_samples: int

    @classmethod
    def from_config(cls, config: Any) -> Geometry:
        """Read it from transformers' SEWDConfig.

        With `use_weighted_layer_sum` a result needs one whole token, `squeeze_factor` frames.
        """
        field = receptive_field(config.conv_kernel, config.conv_stride)
        stride = math.prod(config.conv_stride)
        first_token = (config.squeeze_factor - 1) * stride if config.use_weighted_layer_sum else 0
        return cls(receptive_field=field, stride=stride, min_samples=field + first_token)

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a recording has."""
        return max(0, (num_samples - self.receptive_field) // self.stride + 1)


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Return how many samples one frame sees."""
    return 1 + sum((kernel - 1) * math.prod(strides[:i]) for i, kernel in enumerate(kernels))

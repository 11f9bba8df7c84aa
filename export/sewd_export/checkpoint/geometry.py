"""How many samples a frame sees, and how far apart frames are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sewd_export.errors import UnsupportedConfigError

_MAX_SAMPLES = 1 << 17  # eight seconds at 16 kHz; a frame of speech has 25 ms


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
        Raises UnsupportedConfigError for steps that are not whole numbers > 0, or longer than any speech.
        """
        steps = (*config.conv_kernel, *config.conv_stride, config.squeeze_factor)
        if not all(type(step) is int and 0 < step <= _MAX_SAMPLES for step in steps):
            raise UnsupportedConfigError(
                "config.json: conv_kernel, conv_stride and squeeze_factor must be whole numbers > 0"
            )
        field = receptive_field(config.conv_kernel, config.conv_stride)
        stride = math.prod(config.conv_stride)
        first_token = (config.squeeze_factor - 1) * stride if config.use_weighted_layer_sum else 0
        if max(field, stride) + first_token > _MAX_SAMPLES:
            raise UnsupportedConfigError(
                f"config.json: by conv_kernel and conv_stride a frame has {max(field, stride)} samples, "
                f"more than {_MAX_SAMPLES}"
            )
        return cls(receptive_field=field, stride=stride, min_samples=field + first_token)

    def num_frames(self, num_samples: int) -> int:
        """Return how many frames a recording has."""
        return max(0, (num_samples - self.receptive_field) // self.stride + 1)


def receptive_field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Return how many samples one frame sees."""
    return 1 + sum((kernel - 1) * math.prod(strides[:i]) for i, kernel in enumerate(kernels))

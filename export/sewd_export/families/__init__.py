"""Model families: which module is traced for which task."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from sewd_export.errors import UnsupportedConfigError
from sewd_export.families import sew_d
from sewd_export.families.convolution import receptive_field
from sewd_export.families.sew_d import SewDForCtc, SewDForSequenceClassification, SewDModel

if TYPE_CHECKING:
    from sewd_export.checkpoint.loading import Checkpoint

__all__ = ["FAMILIES", "Family", "Geometry", "build_module", "check_config", "geometry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the checkpoints of one `model_type` become modules.

    modules: task → class, called with (config, state_dict, do_normalize=...), giving `output_name` and the
    output's lengths.
    check: raises UnsupportedConfigError for a configuration that the modules cannot honour.
    """

    modules: dict[str, Callable[..., nn.Module]]
    check: Callable[[Any], None]


FAMILIES = {
    "sew-d": Family(
        modules={"ctc": SewDForCtc, "classification": SewDForSequenceClassification, "encoding": SewDModel},
        check=sew_d.check_config,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How samples become frames, all in samples."""

    receptive_field: int
    stride: int
    min_samples: int


def geometry(config: Any) -> Geometry:
    """Read a configuration's geometry; with `use_weighted_layer_sum` a result needs one whole token."""
    field = receptive_field(tuple(config.conv_kernel), tuple(config.conv_stride))
    stride = math.prod(config.conv_stride)
    first_token = (config.squeeze_factor - 1) * stride if config.use_weighted_layer_sum else 0
    return Geometry(receptive_field=field, stride=stride, min_samples=field + first_token)


def check_config(checkpoint: Checkpoint) -> Family:
    """Return the checkpoint's family; raises UnsupportedConfigError that names what is not supported."""
    family = FAMILIES.get(checkpoint.config.model_type)
    if family is None:
        raise UnsupportedConfigError(
            f"{checkpoint.folder}: model_type {checkpoint.config.model_type!r}; known: {', '.join(FAMILIES)}"
        )
    family.check(checkpoint.config)
    return family


def build_module(checkpoint: Checkpoint) -> nn.Module:
    """Build the module that is traced, in eval mode; raises UnsupportedConfigError."""
    make = check_config(checkpoint).modules[checkpoint.task]
    do_normalize = bool(checkpoint.preprocessor["do_normalize"])
    return make(checkpoint.config, checkpoint.state_dict, do_normalize=do_normalize).eval()

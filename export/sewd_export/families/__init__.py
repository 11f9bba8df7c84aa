"""Model families: the module that is traced for each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from sewd_export.checkpoint.config import one_line
from sewd_export.errors import UnsupportedConfigError
from sewd_export.families import sew_d
from sewd_export.families.sew_d import SewDForCtc, SewDForSequenceClassification, SewDModel

if TYPE_CHECKING:
    from sewd_export.checkpoint.loading import Checkpoint

__all__ = ["FAMILIES", "Family", "build_module", "check_config"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How checkpoints of one `model_type` become modules.

    modules: task → class, called with (config, state_dict, do_normalize=...). It has `output_name`, and its
        forward returns that output and the output's lengths.
    check: raises UnsupportedConfigError for a configuration that the modules do not support.
    """

    modules: dict[str, Callable[..., nn.Module]]
    check: Callable[[Any], None]


FAMILIES = {
    "sew-d": Family(
        modules={"ctc": SewDForCtc, "classification": SewDForSequenceClassification, "encoding": SewDModel},
        check=sew_d.check_config,
    ),
}


def check_config(checkpoint: Checkpoint) -> Family:
    """Return the checkpoint's family; raises UnsupportedConfigError that names the unsupported fields."""
    family = FAMILIES.get(checkpoint.config.model_type)
    if family is None:
        raise UnsupportedConfigError(
            f"{checkpoint.folder}: model_type {checkpoint.config.model_type!r}; known: {', '.join(FAMILIES)}"
        )
    try:
        family.check(checkpoint.config)
    except (TypeError, ValueError, ArithmeticError, AttributeError) as error:  # a value of an unexpected type
        raise UnsupportedConfigError(f"{checkpoint.folder / 'config.json'}: {one_line(error)}") from error
    return family


def build_module(checkpoint: Checkpoint) -> nn.Module:
    """Build the module to trace, in eval mode; raises UnsupportedConfigError."""
    make = check_config(checkpoint).modules[checkpoint.task]
    do_normalize = bool(checkpoint.preprocessor["do_normalize"])
    return make(checkpoint.config, checkpoint.state_dict, do_normalize=do_normalize).eval()

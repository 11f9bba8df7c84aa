"""From log-probabilities to hypotheses: one function per decoder, one row per function."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from sewd_runtime.decode._types import Decoder, Hypothesis
from sewd_runtime.decode.greedy import greedy
from sewd_runtime.decode.softmax import log_softmax

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DECODERS", "Decoder", "Hypothesis", "greedy", "log_softmax"]

DECODERS: Mapping[str, Decoder] = MappingProxyType({"greedy": greedy})

"""From log-probabilities to hypotheses: one decoder a module, one row of ``DECODERS`` each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sewd_runtime.decode.alignment import align_tokens
from sewd_runtime.decode.beam import BeamSearch
from sewd_runtime.decode.decoder import Alternative, Decoder, DecoderState, Hypothesis
from sewd_runtime.decode.greedy import Greedy, greedy
from sewd_runtime.decode.softmax import log_softmax

__all__ = [
    "DECODERS",
    "Alternative",
    "BeamSearch",
    "Decoder",
    "DecoderState",
    "Greedy",
    "Hypothesis",
    "align_tokens",
    "greedy",
    "log_softmax",
]

DECODERS: Mapping[str, type[Decoder]] = MappingProxyType({"greedy": Greedy, "beam": BeamSearch})
"""Name on the command line → options."""

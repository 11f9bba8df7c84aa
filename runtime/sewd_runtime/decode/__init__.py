"""From log-probabilities to hypotheses: one module per decoder, listed in ``DECODERS``."""

from collections.abc import Callable, Mapping
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

DECODERS: Mapping[str, Callable[..., Decoder]] = MappingProxyType({"greedy": Greedy, "beam": BeamSearch})
"""Name on the command line → decoder, called with its options."""

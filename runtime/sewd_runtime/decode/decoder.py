"""The interface of decoders, and their results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sewd_runtime._types import Lengths, LogProbs
from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One reading of an utterance: its tokens and its score."""

    token_ids: tuple[int, ...]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The tokens of one utterance, without repeats and blanks, with the frames of each.

    token_ids: the tokens in order.
    starts: the first frame of each token.
    ends: one past the last frame of each token; the frames from there to the next start are blank.
    log_probs: the mean log-probability of the path over each token's frames.
    alternatives: the best readings, the best first; empty unless the decoder was asked for them.
    """

    token_ids: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    def part(self, first: int, last: int) -> "Hypothesis":
        """Return the tokens from ``first`` up to ``last``, without alternatives."""
        return Hypothesis(
            token_ids=self.token_ids[first:last],
            starts=self.starts[first:last],
            ends=self.ends[first:last],
            log_probs=self.log_probs[first:last],
        )

    def shifted(self, frames: int) -> "Hypothesis":
        """Return the same tokens ``frames`` later."""
        return replace(
            self,
            starts=tuple(start + frames for start in self.starts),
            ends=tuple(end + frames for end in self.ends),
        )


class Decoder(Protocol):
    """A decoder: a frozen dataclass of its options, listed in ``DECODERS``."""

    def decode(self, log_probs: LogProbs, lengths: Lengths, vocabulary: Vocabulary) -> Sequence[Hypothesis]:
        """Return the best hypothesis of every item.

        log_probs: (batch, frames, vocab) float32.
        lengths: (batch,) int64, frames of each item; frames past them are ignored.
        """

    def start(self, vocabulary: Vocabulary) -> "DecoderState":
        """Return the state before the first frame, for an utterance that arrives in parts."""


class DecoderState(Protocol):
    """A decoder's state after part of an utterance.

    Law: however the frames are split, ``best`` is what ``Decoder.decode`` returns for all of them at once.
    """

    def advance(self, log_probs: LogProbs) -> None:
        """Take the next frames, (frames, vocab) float32; there may be none."""

    def best(self) -> Hypothesis:
        """Return the best hypothesis as if the utterance ended here; frames count from its start."""

    def settled(self) -> int:
        """Return how many of the first tokens of ``best`` no later frame can change; never decreases."""

    def copy(self) -> "DecoderState":
        """Return an independent copy, to look ahead without changing this state."""

"""What goes into a decoder and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One reading of an utterance: its tokens, and the score by which readings are ordered."""

    token_ids: tuple[int, ...]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The tokens of one utterance's path, repeats merged and blanks left out, with the frames of each.

    token_ids: the tokens in order.
    starts: the first frame of each token.
    ends: one past its last frame; the frames between a token's end and the next start are blank.
    log_probs: the mean over the token's frames of the log-probability that the path has there, so
        ``exp`` of it is the geometric mean of the frames' probabilities, whatever the token's duration.
    alternatives: the best readings, this one first, where a decoder was asked for them.
    """

    token_ids: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    alternatives: tuple[Alternative, ...] = ()

    def part(self, first: int, last: int) -> Hypothesis:
        """Return the tokens from ``first`` up to ``last``, without alternatives, which are to the whole."""
        return Hypothesis(
            token_ids=self.token_ids[first:last],
            starts=self.starts[first:last],
            ends=self.ends[first:last],
            log_probs=self.log_probs[first:last],
        )

    def later(self, frames: int) -> Hypothesis:
        """Return the same tokens so many frames later."""
        return replace(
            self,
            starts=tuple(start + frames for start in self.starts),
            ends=tuple(end + frames for end in self.ends),
        )


class Decoder(Protocol):
    """A way to choose tokens: a frozen dataclass of its options, a row of ``DECODERS``."""

    def decode(
        self,
        log_probs: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
    ) -> Sequence[Hypothesis]:
        """Return the best hypothesis of every item.

        log_probs: (batch, frames, vocab) float32.
        lengths: (batch,) int64, frames of each item; what lies past them never matters.
        """
        ...

    def start(self, vocabulary: Vocabulary) -> DecoderState:
        """Return the state before the first frame of an utterance that arrives in parts."""
        ...


class DecoderState(Protocol):
    """What a decoder knows of an utterance so far.

    Law: however the frames are parted, ``best`` is what ``Decoder.decode`` gives for all of them at once.
    """

    def advance(self, log_probs: npt.NDArray[np.float32]) -> None:
        """Take the next frames, (frames, vocab) float32; no frames are allowed."""
        ...

    def best(self) -> Hypothesis:
        """Return the best hypothesis as if the utterance ended here; frames count from its start."""
        ...

    def settled(self) -> int:
        """Count the first tokens of ``best`` that no further frame can change; it never falls."""
        ...

    def copy(self) -> DecoderState:
        """Return a state that goes on from here by itself: what might follow, without believing it."""
        ...

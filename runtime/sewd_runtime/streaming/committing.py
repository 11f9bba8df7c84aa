"""Which words of a stream are final, and which may follow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.decode import Decoder, Hypothesis
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Transcript, Word
from sewd_runtime.text.vocabulary import Vocabulary

_LONG_S = 30.0


class Committer:
    """The words of the frames frozen so far; a decoder's state, begun anew with each segment.

    A word is committed when the delimiter after it is settled, or its segment ends. In speech without a pause
    the state begins anew, after half a minute, where a word is complete, and after a whole one anywhere: else
    it would grow without end.
    """

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, clock: FrameClock) -> None:
        self._decoder, self._vocabulary, self._clock = decoder, vocabulary, clock
        self._long = clock.frame(_LONG_S)
        self.begin(0)

    def begin(self, frame: int) -> None:
        """Begin anew at a frame of the stream."""
        self._state = self._decoder.start(self._vocabulary)
        self._begin = frame
        self._frames = 0  # that the state has taken
        self._committed = 0  # tokens

    def advance(self, log_probs: NDArray[np.float32]) -> list[Word]:
        """Take frames that are frozen, (frames, vocab) float32, and return the words complete with them."""
        self._state.advance(log_probs)
        self._frames += len(log_probs)
        best = self._state.best()
        words: list[Word] = []
        settled = best.token_ids[: self._state.settled()]
        if (end := _last(settled, self._vocabulary.word_delimiter_id)) >= self._committed:
            words += self._words(best.part(self._committed, end))
            self._committed = end + 1
        is_complete = self._committed == len(best.token_ids)
        if self._frames >= 2 * self._long or (is_complete and self._frames >= self._long):
            words += self.finish()
            self.begin(self._begin + self._frames)
        return words

    def pending(self, log_probs: NDArray[np.float32]) -> list[Word]:
        """Return the words that follow the committed ones if frames, not yet frozen, are as they seem now."""
        what_if = self._state.copy()
        what_if.advance(log_probs)
        return self._rest_of(what_if.best())

    def finish(self) -> list[Word]:
        """Return the words not yet committed; nothing follows."""
        return self._rest_of(self._state.best())

    def _rest_of(self, best: Hypothesis) -> list[Word]:
        return self._words(best.part(self._committed, len(best.token_ids)))

    def _words(self, hypothesis: Hypothesis) -> list[Word]:
        """Make words of whole stretches of tokens; times count from the start of the stream."""
        found = Transcript.from_hypothesis(
            hypothesis.later(self._begin),
            vocabulary=self._vocabulary,
            clock=self._clock,
            duration_s=math.inf,  # not yet known; nothing of a window lies past its end
        )
        return list(found.words)


def _last(token_ids: Sequence[int], wanted: int | None) -> int:
    """Return the place of the last such token, -1 where there is none."""
    places = [place for place, token_id in enumerate(token_ids) if token_id == wanted]
    return places[-1] if places else -1

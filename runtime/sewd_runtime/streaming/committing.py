"""Which words of a stream are final, and which are pending."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.decode import Decoder, Hypothesis
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.transcript import Transcript, Word, has_spaces, word_spans
from sewd_runtime.text.vocabulary import Vocabulary

_LONG_S = 30.0


class Committer:
    """Makes words of the final frames of a stream, with a new decoder state for each segment.

    A word is committed when the delimiter after it is settled, or when its segment ends. So that the state
    cannot grow without limit in speech without pauses, it is also replaced at the end of a word after half a
    minute, and anywhere after a minute.
    """

    def __init__(self, decoder: Decoder, vocabulary: Vocabulary, clock: FrameClock) -> None:
        self._decoder, self._vocabulary, self._clock = decoder, vocabulary, clock
        self._long = clock.frame(_LONG_S)
        self.begin(0)

    def begin(self, frame: int) -> None:
        """Start a new decoder state at a frame of the stream."""
        self._state = self._decoder.start(self._vocabulary)
        self._begin = frame
        self._frames = 0  # taken by the state
        self._committed = 0  # tokens

    def advance(self, log_probs: NDArray[np.float32]) -> list[Word]:
        """Take final frames, (frames, vocab) float32, and return the words that they complete."""
        self._state.advance(log_probs)
        self._frames += len(log_probs)
        best = self._state.best()
        words: list[Word] = []
        settled = best.token_ids[: self._state.settled()]
        is_spaced = has_spaces(best.token_ids, self._vocabulary)
        if (whole := self._count_whole_words(settled, is_spaced)) > self._committed:
            words += self._words(best.part(self._committed, whole), is_spaced)
            self._committed = whole
        is_complete = self._committed == len(best.token_ids)
        if self._frames >= 2 * self._long or (is_complete and self._frames >= self._long):
            words += self.finish()
            self.begin(self._begin + self._frames)
        return words

    def pending(self, log_probs: NDArray[np.float32]) -> list[Word]:
        """Return the words after the committed ones; log_probs: (frames, vocab), the frames not yet final."""
        state = self._state.copy()
        state.advance(log_probs)
        return self._rest_of(state.best())

    def finish(self) -> list[Word]:
        """Return the words that are not yet committed, at the end of a segment."""
        return self._rest_of(self._state.best())

    def _count_whole_words(self, settled: Sequence[int], is_spaced: bool) -> int:
        """Return the number of tokens of words that no later token can extend."""
        spans = word_spans(settled, self._vocabulary, is_spaced=is_spaced)
        return max(self._vocabulary.count_whole_words(settled), spans[-1][0] if spans else 0)

    def _rest_of(self, best: Hypothesis) -> list[Word]:
        is_spaced = has_spaces(best.token_ids, self._vocabulary)
        return self._words(best.part(self._committed, len(best.token_ids)), is_spaced)

    def _words(self, hypothesis: Hypothesis, is_spaced: bool) -> list[Word]:
        """Return the words of some tokens; times count from the start of the stream."""
        transcript = Transcript.from_hypothesis(
            hypothesis.shifted(self._begin),
            vocabulary=self._vocabulary,
            clock=self._clock,
            is_spaced=is_spaced,
            duration_s=math.inf,  # not yet known, and no token lies past the end of a window
        )
        return list(transcript.words)

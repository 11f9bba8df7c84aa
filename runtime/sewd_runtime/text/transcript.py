"""Transcripts: text, segments, words and characters with times; classifications."""

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sewd_runtime.decode import Hypothesis
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.scripts import is_unspaced
from sewd_runtime.text.vocabulary import Vocabulary

_LONGEST_WORD = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """What one token adds to a word: the time of its frames, in seconds, and its posterior probability.

    A CTC model writes a character somewhere near its sound, most often in one frame. Only words are fitted to
    the sound (``text.word_times``), so a character may lie outside its word's times.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word, when it is spoken, in seconds, and the model's confidence.

    confidence: the geometric mean of its characters' posteriors, to five digits. docs/accuracy.md says how
    often words of a given confidence are right.
    characters: empty unless they were requested.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    characters: tuple[Character, ...] = ()

    def shifted(self, seconds: float) -> "Word":
        """Return the word with all times ``seconds`` later."""
        return replace(
            self,
            start_s=self.start_s + seconds,
            end_s=self.end_s + seconds,
            characters=tuple(
                replace(one, start_s=one.start_s + seconds, end_s=one.end_s + seconds)
                for one in self.characters
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One possible text of a segment, and its score; decoders order readings by it."""

    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A recording that ran whole, or the speech between two pauses of a longer one; times in seconds.

    alternatives: its best readings, the best first; empty unless they were requested.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    alternatives: tuple[Reading, ...] = ()

    def shifted(self, seconds: float) -> "Segment":
        """Return the segment with all times ``seconds`` later."""
        words = tuple(word.shifted(seconds) for word in self.words)
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds, words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The text of a recording, in segments; none if the recording is shorter than one frame.

    duration_s: the length of the recording in seconds.
    channels: the channel of each segment, from 1; empty if the channels were mixed.
    """

    text: str
    segments: tuple[Segment, ...]
    duration_s: float
    channels: tuple[int, ...] = ()

    def shifted(self, seconds: float) -> "Transcript":
        """Return the transcript as if ``seconds`` had preceded it: of a part, with the times of the whole."""
        segments = tuple(segment.shifted(seconds) for segment in self.segments)
        return replace(self, segments=segments, duration_s=self.duration_s + seconds)

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all segments."""
        return tuple(word for segment in self.segments for word in segment.words)

    @classmethod
    def from_hypothesis(
        cls,
        hypothesis: Hypothesis,
        *,
        vocabulary: Vocabulary,
        clock: FrameClock,
        duration_s: float,
        characters: bool = False,
        is_spaced: bool | None = None,
    ) -> "Transcript":
        """Make the transcript of one utterance of ``duration_s`` seconds from its best path.

        is_spaced: as in ``word_spans``.

        A word lasts from the first frame of its first token to the last frame of its last token.
        """
        text = vocabulary.text(hypothesis.token_ids)
        words = tuple(_words(hypothesis, vocabulary, clock, duration_s, characters, is_spaced))
        if not words:
            return cls(text=text, segments=(), duration_s=duration_s)
        segment = Segment(
            text=text,
            start_s=words[0].start_s,
            end_s=words[-1].end_s,
            words=words,
            alternatives=tuple(
                Reading(text=vocabulary.text(one.token_ids), score=one.score)
                for one in hypothesis.alternatives
            ),
        )
        return cls(text=text, segments=(segment,), duration_s=duration_s)


def _words(
    hypothesis: Hypothesis,
    vocabulary: Vocabulary,
    clock: FrameClock,
    duration_s: float,
    characters: bool,
    is_spaced: bool | None,
) -> Iterator[Word]:
    """Yield the words of some tokens; tokens without text make no word."""
    every_character = tuple(_characters(hypothesis, vocabulary, clock, duration_s)) if characters else ()
    ids = hypothesis.token_ids
    for first, last in word_spans(ids, vocabulary, is_spaced=is_spaced):
        if text := vocabulary.text(ids[first:last]):
            log_probs = hypothesis.log_probs[first:last]
            yield Word(
                text=text,
                start_s=clock.seconds(hypothesis.starts[first]),
                end_s=min(clock.seconds(hypothesis.ends[last - 1]), duration_s),
                confidence=_confidence(log_probs),
                characters=tuple(one for one in every_character[first:last] if one.text),
            )


def _confidence(log_probs: Sequence[float]) -> float:
    """Return the geometric mean of the posteriors, in as many digits as other threads and exports repeat."""
    return float(f"{math.exp(sum(log_probs) / len(log_probs)):.5g}")


def has_spaces(token_ids: Sequence[int], vocabulary: Vocabulary) -> bool:
    """Return whether a word delimiter stands between any of the tokens."""
    delimiter = vocabulary.word_delimiter_id
    words = [index for index, token_id in enumerate(token_ids) if token_id != delimiter]
    return bool(words) and words[-1] - words[0] >= len(words)


def word_spans(
    token_ids: Sequence[int], vocabulary: Vocabulary, *, is_spaced: bool | None = None
) -> list[tuple[int, int]]:
    """Return where each word begins and ends among tokens.

    Words lie between delimiters. Where a vocabulary has none, each token is a word, with the accents and
    punctuation that follow it. The same holds for characters of scripts without spaces (``is_unspaced``) if
    no delimiter stands between the tokens, and where more than 16 tokens, longer than any word, have none.
    is_spaced: whether a delimiter stands between words here, None: seen from these tokens.
    """
    breaks = [index for index, token_id in enumerate(token_ids) if token_id == vocabulary.word_delimiter_id]
    spans = list(zip([0, *(index + 1 for index in breaks)], [*breaks, len(token_ids)], strict=True))
    spans = [(first, last) for first, last in spans if first < last]
    if is_spaced is None:
        is_spaced = has_spaces(token_ids, vocabulary)
    words: list[tuple[int, int]] = []
    for first, last in spans:
        begins = [first]
        if not is_spaced or last - first > _LONGEST_WORD:
            pieces = [vocabulary.piece(token_id) for token_id in token_ids[first:last]]
            is_apart = vocabulary.word_delimiter_id is None
            begins += [
                first + index
                for index, (before, piece) in enumerate(pairwise(pieces), 1)
                if piece
                and unicodedata.category(piece[0])[0] not in "MP"
                and (is_apart or is_unspaced(before) or is_unspaced(piece))
            ]
        words += pairwise([*begins, last])
    return words


def _characters(
    hypothesis: Hypothesis, vocabulary: Vocabulary, clock: FrameClock, duration_s: float
) -> Iterator[Character]:
    """Yield a character for each token; its text may be empty."""
    spans = zip(hypothesis.token_ids, hypothesis.starts, hypothesis.ends, hypothesis.log_probs, strict=True)
    for token_id, start, end, log_prob in spans:
        yield Character(
            text=vocabulary.text((token_id,)),
            start_s=clock.seconds(start),
            end_s=min(clock.seconds(end), duration_s),
            confidence=_confidence((log_prob,)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """All labels of a recording with their probabilities, the most probable first."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def label(self) -> str:
        """The most probable label."""
        return self.labels[0]

    @property
    def probability(self) -> float:
        """The probability of the most probable label."""
        return self.probabilities[0]

    def top(self, count: int | None) -> "Classification":
        """Return the ``count`` most probable labels alone, all for None."""
        return replace(self, labels=self.labels[:count], probabilities=self.probabilities[:count])


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifiedWindow(Classification):
    """The labels of one window of a recording, and its place in seconds."""

    start_s: float
    end_s: float

"""What a model heard, with times."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sewd_runtime.decode import Hypothesis
from sewd_runtime.text.frames import FrameClock
from sewd_runtime.text.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """What one token adds to a word: the frames on which the model writes it, in seconds, and its posterior.

    A CTC model writes a character somewhere near its sound, most often in one frame; only words are fitted to
    the sound (``boundaries``), so a character may lie outside its word's times.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word: when it is spoken, in seconds, and how sure the model is.

    confidence: geometric mean of its characters' posteriors, each of which is that of its frames; how often
    words of a confidence are right is another figure, and docs/accuracy.md has it.
    characters: only where they were asked for.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float
    characters: tuple[Character, ...] = ()

    def later(self, seconds: float) -> "Word":
        """Return the word as part of a recording in which it comes ``seconds`` later."""
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
    """One text that a stretch of speech may be, and its score, by which a decoder orders them."""

    text: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of speech, in seconds: a recording that runs whole, or what lies between two pauses.

    alternatives: its best readings, this one first, where the decoder was asked for them.
    """

    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    alternatives: tuple[Reading, ...] = ()

    def later(self, seconds: float) -> "Segment":
        """Return the segment as part of a recording in which it comes ``seconds`` later."""
        words = tuple(word.later(seconds) for word in self.words)
        return replace(self, start_s=self.start_s + seconds, end_s=self.end_s + seconds, words=words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """The text of a recording and its parts; a recording too short for one frame has no text and no segment.

    duration_s: length of the recording in seconds.
    """

    text: str
    segments: tuple[Segment, ...]
    duration_s: float

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
    ) -> "Transcript":
        """Make the transcript of one utterance of ``duration_s`` seconds from its best path.

        Times are those of the frames: a word's from its first token's first to its last token's last.
        """
        text = vocabulary.text(hypothesis.token_ids)
        words = tuple(_words(hypothesis, vocabulary, clock, duration_s, characters))
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
    hypothesis: Hypothesis, vocabulary: Vocabulary, clock: FrameClock, duration_s: float, characters: bool
) -> Iterator[Word]:
    """Split the tokens at the word delimiter; a stretch that reads as nothing is no word."""
    given = tuple(_characters(hypothesis, vocabulary, clock, duration_s)) if characters else ()
    ids = hypothesis.token_ids
    breaks = [place for place, token_id in enumerate(ids) if token_id == vocabulary.word_delimiter_id]
    for first, last in zip([0, *(place + 1 for place in breaks)], [*breaks, len(ids)], strict=True):
        if text := vocabulary.text(ids[first:last]):
            log_probs = hypothesis.log_probs[first:last]
            yield Word(
                text=text,
                start_s=clock.seconds(hypothesis.starts[first]),
                end_s=min(clock.seconds(hypothesis.ends[last - 1]), duration_s),
                confidence=math.exp(sum(log_probs) / len(log_probs)),
                characters=tuple(one for one in given[first:last] if one.text),
            )


def _characters(
    hypothesis: Hypothesis, vocabulary: Vocabulary, clock: FrameClock, duration_s: float
) -> Iterator[Character]:
    """Yield one for each token, without text where it reads as nothing."""
    spans = zip(hypothesis.token_ids, hypothesis.starts, hypothesis.ends, hypothesis.log_probs, strict=True)
    for token_id, start, end, log_prob in spans:
        yield Character(
            text=vocabulary.text((token_id,)),
            start_s=clock.seconds(start),
            end_s=min(clock.seconds(end), duration_s),
            confidence=math.exp(log_prob),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """What a classifier thinks of a recording: all labels, the most probable first."""

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

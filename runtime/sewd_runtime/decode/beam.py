"""Beam search with a language model, a lexicon and hotwords."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from weakref import WeakSet

import numpy as np
import numpy.typing as npt

from sewd_runtime.decode.alignment import align_tokens
from sewd_runtime.decode.automata import Automaton
from sewd_runtime.decode.decoder import Alternative, Hypothesis
from sewd_runtime.decode.fusion import Compiled, build_automata, compile_tables
from sewd_runtime.decode.lm.model import LanguageModel
from sewd_runtime.decode.lm.scores import Weights
from sewd_runtime.decode.prefix_search import IMPOSSIBLE, Beams, PrefixSearch
from sewd_runtime.errors import DecodingError
from sewd_runtime.text.vocabulary import Vocabulary

_COMPACT_ABOVE = 20_000
"""Prefixes that a stream holds before it forgets those no beam begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch:
    """The most probable text, summed over all paths that read as it, with what is known of the text.

    A text's score, natural log: its log-probability by the recognizer, plus ``alpha * log_prob + beta`` for
    each word of the language model (each token, if it is one of characters) and ``alpha * log_prob`` for the
    sentence's end, plus the bonus of each hotword in it.

    width: prefixes that are kept after each frame.
    token_min_log_prob: tokens less probable than this in a frame start nothing new in it.
    beam_threshold: prefixes this far below the best are dropped.
    lm: a language model. unknown_score: the log-probability of a word that it does not know.
    lexicon: the only words allowed; None: any. The words that the vocabulary cannot write are left out.
    hotwords: word or phrase → bonus; 5 to 10 is strong, 0 none, below 0 keeps words out.
    alternatives: so many readings come with each hypothesis.

    Raises DecodingError where an option makes no sense.
    """

    width: int = 32
    token_min_log_prob: float = -8.0
    beam_threshold: float = 16.0
    lm: LanguageModel | None = None
    alpha: float = 0.5
    beta: float = 1.0
    unknown_score: float = -10.0
    lexicon: Collection[str] | None = None
    hotwords: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    alternatives: int = 0
    _compiled: list[tuple[Vocabulary, Compiled]] = field(
        default_factory=list, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        wrong = {
            "width": self.width >= 1,
            "token_min_log_prob": self.token_min_log_prob < 0,
            "beam_threshold": self.beam_threshold > 0,
            "alpha": np.isfinite(self.alpha),
            "beta": np.isfinite(self.beta),
            "unknown_score": np.isfinite(self.unknown_score),
            "alternatives": self.alternatives >= 0,
        }
        for name, right in wrong.items():
            if not right:
                raise DecodingError(f"BeamSearch: {name} cannot be {getattr(self, name)}")

    def decode(
        self,
        log_probs: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
    ) -> list[Hypothesis]:
        """Return the best hypothesis of every item; log_probs: (batch, frames, vocab), lengths: (batch,).

        Raises DecodingError.
        """
        return [
            _hypothesis(frames[:length], found, vocabulary, self.alternatives)
            for frames, length, found in zip(
                log_probs, lengths, self._search(log_probs, lengths, vocabulary), strict=True
            )
        ]

    def n_best(
        self,
        log_probs: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
    ) -> list[list[Alternative]]:
        """Return all readings that are left in the beam of every item, the best first, no text twice."""
        return self._search(log_probs, lengths, vocabulary)

    def start(self, vocabulary: Vocabulary) -> BeamState:
        """Return the state before the first frame of an utterance that arrives in parts."""
        return BeamState(self, vocabulary)

    def _search(
        self,
        log_probs: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        vocabulary: Vocabulary,
    ) -> list[list[Alternative]]:
        """Return the readings of every item; items leave the search where they end."""
        lengths = np.asarray(lengths)
        frames = _canonical(log_probs, vocabulary.canonical_ids)
        search = self._prepare(vocabulary, frames.shape[-1])
        beams = search.start(len(lengths))
        items = np.arange(len(lengths))
        found: list[list[Alternative]] = [[] for _ in items]
        begin = 0
        for end in np.unique(lengths).tolist():
            beams = search.advance(beams, frames[items, begin:end])
            ended = lengths[items] == end
            for item, readings in zip(
                items[ended], _readings(search, beams.rows(ended), vocabulary), strict=True
            ):
                found[item] = readings
            beams, items, begin = beams.rows(~ended), items[~ended], end
        return found

    def _prepare(self, vocabulary: Vocabulary, vocab: int) -> PrefixSearch:
        return PrefixSearch(
            width=self.width,
            token_min_log_prob=self.token_min_log_prob,
            beam_threshold=self.beam_threshold,
            blank_id=vocabulary.blank_id,
            vocab=vocab,
            automata=self._automata(vocabulary, vocab),
        )

    def _automata(self, vocabulary: Vocabulary, vocab: int) -> tuple[Automaton, ...]:
        """Build what adds to the score; what does not grow is compiled once for a vocabulary."""
        if not (self._compiled and self._compiled[0][0] is vocabulary):
            tables = compile_tables(
                vocabulary, vocab=vocab, lm=self.lm, lexicon=self.lexicon, hotwords=self.hotwords
            )
            self._compiled[:] = [(vocabulary, tables)]
        weights = Weights(alpha=self.alpha, beta=self.beta, unknown_score=self.unknown_score)
        return build_automata(self._compiled[0][1], vocabulary, vocab=vocab, lm=self.lm, weights=weights)


class BeamState:
    """The prefixes that are left after the frames so far, and these frames: times need them."""

    def __init__(self, options: BeamSearch, vocabulary: Vocabulary) -> None:
        self._options, self._vocabulary = options, vocabulary
        self._frames: list[npt.NDArray[np.float32]] = []
        num_outputs = len(vocabulary.canonical_ids)
        empty = np.zeros((1, 0, num_outputs), np.float32)
        self._search = options._prepare(vocabulary, _canonical(empty, vocabulary.canonical_ids).shape[-1])
        self._beams = self._search.start(1)
        self._limit = _COMPACT_ABOVE
        self._users: WeakSet[BeamState] = WeakSet([self])  # of the search: this state and its copies

    def advance(self, log_probs: npt.NDArray[np.float32]) -> None:
        """Take the next frames, (frames, vocab) float32."""
        self._frames.append(log_probs)
        frames = _canonical(log_probs[None], self._vocabulary.canonical_ids)
        self._beams = self._search.advance(self._beams, frames)
        if len(self._search.trie) > self._limit and len(self._users) == 1:
            self._beams = self._search.compact(self._beams)
            self._limit = len(self._search.trie) + _COMPACT_ABOVE

    def best(self) -> Hypothesis:
        """Return the best hypothesis of all frames so far."""
        if not self._frames:
            return Hypothesis()
        [readings] = _readings(self._search, self._beams, self._vocabulary)
        frames = np.concatenate(self._frames)
        return _hypothesis(frames, readings, self._vocabulary, self._options.alternatives)

    def copy(self) -> BeamState:
        """Return a state that goes on from here by itself; while both live, neither forgets a prefix."""
        twin = copy.copy(self)
        twin._frames = list(self._frames)
        self._users.add(twin)
        return twin

    def settled(self) -> int:
        """Count the tokens that all prefixes begin with; with a lexicon, up to their last whole word.

        (An unfinished word of a lexicon is left out at the end, so only whole words are sure to stay.)
        """
        nodes = self._beams.node[0][self._beams.node[0] >= 0]
        shared = self._search.trie.token_ids(self._search.trie.common(nodes.tolist()))
        if self._options.lexicon is None:
            return len(shared)
        return _whole_words(shared, self._vocabulary)


def _whole_words(token_ids: Sequence[int], vocabulary: Vocabulary) -> int:
    """Count the tokens up to the last word delimiter."""
    delimiters = [place for place, token in enumerate(token_ids, 1) if token == vocabulary.word_delimiter_id]
    return delimiters[-1] if delimiters else 0


def _readings(search: PrefixSearch, beams: Beams, vocabulary: Vocabulary) -> list[list[Alternative]]:
    """Return the readings of each item, the best first, of equal ones the first in the beam."""
    scores = search.finals(beams)
    found = []
    for item, row in enumerate(scores):
        readings: dict[str, Alternative] = {}
        for place in np.argsort(-row, kind="stable").tolist():
            if row[place] > -np.inf:
                token_ids = search.trie.token_ids(int(beams.node[item, place]))
                text = vocabulary.text(token_ids)
                readings.setdefault(text, Alternative(token_ids=token_ids, score=float(row[place])))
        found.append(list(readings.values()) or [_cut(search, beams, item, vocabulary)])
    return found


def _cut(search: PrefixSearch, beams: Beams, item: int, vocabulary: Vocabulary) -> Alternative:
    """Return the best prefix without its last word, where each ends in a word that the lexicon lacks."""
    scores = beams.log_probs[item] + beams.bonus[item]
    place = int(scores.argmax())
    token_ids = search.trie.token_ids(int(beams.node[item, place]))
    return Alternative(token_ids=token_ids[: _whole_words(token_ids, vocabulary)], score=float(scores[place]))


def _hypothesis(
    frames: npt.NDArray[np.float32], readings: Sequence[Alternative], vocabulary: Vocabulary, count: int
) -> Hypothesis:
    """Return the best reading with the frames of its tokens; frames: (frames, vocab)."""
    aligned = align_tokens(
        np.fmax(frames, np.float32(IMPOSSIBLE)),
        readings[0].token_ids,
        blank_id=vocabulary.blank_id,
        canonical_ids=vocabulary.canonical_ids,
    )
    return replace(aligned, alternatives=tuple(readings[:count]))


def _canonical(log_probs: npt.NDArray[np.float32], canonical_ids: Sequence[int]) -> npt.NDArray[np.float32]:
    """Give each token the probability of all outputs that read as it; log_probs: (batch, frames, vocab)."""
    canonical = np.asarray(canonical_ids)
    others = np.flatnonzero(canonical != np.arange(len(canonical)))
    if len(others) == 0:
        return log_probs
    # An unknown token without an id of its own lies past the outputs.
    missing = max(0, int(canonical.max()) + 1 - log_probs.shape[-1])
    merged = np.pad(log_probs, ((0, 0), (0, 0), (0, missing)), constant_values=-np.inf)
    for output in others:
        target = canonical[output]
        merged[..., target] = np.logaddexp(merged[..., target], log_probs[..., output])
        merged[..., output] = -np.inf
    return merged

"""Beam search with a language model, a lexicon and hotwords."""

import copy
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from weakref import WeakSet

import numpy as np

from sewd_runtime._types import Lengths, LogProbs
from sewd_runtime.decode.alignment import align_tokens, merge_outputs
from sewd_runtime.decode.automata import Automaton
from sewd_runtime.decode.decoder import Alternative, Hypothesis
from sewd_runtime.decode.fusion import Compiled, build_automata, compile_tables
from sewd_runtime.decode.lm.model import LanguageModel
from sewd_runtime.decode.lm.scores import WeightedModel
from sewd_runtime.decode.prefix_search import IMPOSSIBLE, Beams, PrefixSearch
from sewd_runtime.decode.prefix_trie import Trie
from sewd_runtime.errors import DecodingError
from sewd_runtime.text.vocabulary import Vocabulary

_COMPACT_ABOVE = 20_000
"""How many prefixes a stream holds before it forgets those that no beam needs."""


_INSTEAD = {
    "lm": "KenlmModel(path)",
    "lexicon": "a list of words",
    "hotwords": "the bonus of each, such as {'Aachen': 8.0}",
}


def _are_bonuses(hotwords: object) -> bool:
    return isinstance(hotwords, Mapping) and all(
        isinstance(phrase, str) and isinstance(bonus, Real) for phrase, bonus in hotwords.items()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSearch:
    """Beam search for the most probable text, summed over all paths that are written as it.

    The score of a text, natural log: its log-probability by the recognizer, plus ``alpha * log_prob + beta``
    for each word of the language model (each token with a character model), ``alpha * log_prob`` for the end
    of the sentence, and the bonus of each hotword (``PrefixSearch`` cites the algorithm).

    width: the number of prefixes kept after each frame.
    token_min_log_prob: tokens less probable than this in a frame do not extend prefixes.
    beam_threshold: prefixes whose score is this far below the best are dropped.
    lm: a language model. unknown_score: the log-probability of a word that it does not know.
    lexicon: the only words that may be output; None: any. Words that the vocabulary cannot write are ignored.
    hotwords: word or phrase → bonus; 5 to 10 is strong, 0 has no effect, a negative bonus keeps words out.
    alternatives: the number of readings that each hypothesis carries.

    Raises DecodingError if an option is out of range.
    """

    width: int = 32
    token_min_log_prob: float = -8.0
    beam_threshold: float = 16.0
    lm: LanguageModel | None = None
    alpha: float = 0.5
    beta: float = 1.0
    unknown_score: float = -10.0
    lexicon: Collection[str] | None = None
    hotwords: Mapping[str, float] = field(default_factory=dict)
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
            "lm": not isinstance(self.lm, (str, os.PathLike)),
            "lexicon": not isinstance(self.lexicon, (str, os.PathLike)),
            "hotwords": _are_bonuses(self.hotwords),
        }
        for name, right in wrong.items():
            if not right:
                instead = f"; give {_INSTEAD[name]}" if name in _INSTEAD else ""
                raise DecodingError(f"BeamSearch: {name} cannot be {getattr(self, name)!r}{instead}")

    def decode(self, log_probs: LogProbs, lengths: Lengths, vocabulary: Vocabulary) -> list[Hypothesis]:
        """Return the best hypothesis of every item; log_probs: (batch, frames, vocab), lengths: (batch,).

        Raises DecodingError.
        """
        return [
            _hypothesis(frames[:length], readings, vocabulary, self.alternatives)
            for frames, length, readings in zip(
                log_probs, lengths, self.n_best(log_probs, lengths, vocabulary), strict=True
            )
        ]

    def start(self, vocabulary: Vocabulary) -> "BeamState":
        """Return the state before the first frame, for an utterance that arrives in parts."""
        return BeamState(self, vocabulary)

    def n_best(
        self, log_probs: LogProbs, lengths: Lengths, vocabulary: Vocabulary
    ) -> list[list[Alternative]]:
        """Return all readings left in the beam of every item, the best first, each text once."""
        lengths = np.asarray(lengths)
        frames = merge_outputs(log_probs, vocabulary.canonical_ids, np.logaddexp)
        search = self._prepare(vocabulary, frames.shape[-1])
        beams = search.start(len(lengths))
        items = np.arange(len(lengths))
        results: list[list[Alternative]] = [[] for _ in items]
        begin = 0
        for end in np.unique(lengths).tolist():
            beams = search.advance(beams, frames[items, begin:end])
            ended = lengths[items] == end  # these items leave the search here
            for item, readings in zip(
                items[ended], _readings(search, beams.rows(ended), vocabulary), strict=True
            ):
                results[item] = readings
            beams, items, begin = beams.rows(~ended), items[~ended], end
        return results

    def _prepare(self, vocabulary: Vocabulary, vocab: int) -> PrefixSearch:
        return PrefixSearch(
            width=self.width,
            token_min_log_prob=self.token_min_log_prob,
            beam_threshold=self.beam_threshold,
            blank_id=vocabulary.blank_id,
            automata=self._automata(vocabulary, vocab),
            trie=Trie(vocab),
        )

    def _automata(self, vocabulary: Vocabulary, vocab: int) -> tuple[Automaton, ...]:
        """Return the automata of a search; tables are compiled once for a vocabulary."""
        if not (self._compiled and self._compiled[0][0] is vocabulary):
            tables = compile_tables(
                vocabulary, vocab=vocab, lm=self.lm, lexicon=self.lexicon, hotwords=self.hotwords
            )
            self._compiled[:] = [(vocabulary, tables)]
        compiled = self._compiled[0][1]
        model = None
        if self.lm is not None:
            weights = {"alpha": self.alpha, "beta": self.beta, "unknown_score": self.unknown_score}
            model = WeightedModel(lm=self.lm, case=compiled.case, **weights)
        return build_automata(compiled.tables, model, vocabulary, vocab=vocab)


class BeamState:
    """The beam after the frames so far, and these frames, which word times need."""

    def __init__(self, options: BeamSearch, vocabulary: Vocabulary) -> None:
        self._options, self._vocabulary = options, vocabulary
        self._frames: list[LogProbs] = []
        num_outputs = len(vocabulary.canonical_ids)
        empty = np.zeros((1, 0, num_outputs), np.float32)
        self._search = options._prepare(
            vocabulary, merge_outputs(empty, vocabulary.canonical_ids, np.logaddexp).shape[-1]
        )
        self._beams = self._search.start(1)
        self._limit = _COMPACT_ABOVE
        self._users: WeakSet[BeamState] = WeakSet([self])  # of the search, whose prefixes they share

    def advance(self, log_probs: LogProbs) -> None:
        """Take the next frames, (frames, vocab) float32."""
        self._frames.append(log_probs)
        frames = merge_outputs(log_probs[None], self._vocabulary.canonical_ids, np.logaddexp)
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

    def copy(self) -> "BeamState":
        """Return an independent copy; while both exist, no prefix is forgotten."""
        twin = copy.copy(self)
        twin._frames = list(self._frames)
        self._users.add(twin)
        return twin

    def settled(self) -> int:
        """Return how many tokens all prefixes share; with a lexicon, up to the last whole word.

        With a lexicon, an unfinished word is dropped at the end, so only whole words are certain to stay.
        """
        nodes = self._beams.node[0][self._beams.node[0] >= 0]
        shared = self._search.trie.token_ids(self._search.trie.common(nodes.tolist()))
        if self._options.lexicon is None:
            return len(shared)
        return _whole_words(shared, self._search)


def _whole_words(token_ids: Sequence[int], search: PrefixSearch) -> int:
    """Return the number of tokens up to the end of the last whole word of the lexicon."""
    lexicon, [state], whole = search.automata[0], np.zeros(1, np.int64), 0
    for count, token_id in enumerate(token_ids, 1):
        [state] = lexicon.step(np.array([state]), np.array([token_id]))
        if lexicon.final(np.array([state])) > -np.inf:
            whole = count
    return whole


def _readings(search: PrefixSearch, beams: Beams, vocabulary: Vocabulary) -> list[list[Alternative]]:
    """Return the readings of each item, the best first; equal scores keep their order in the beam."""
    scores = search.finals(beams)
    results = []
    for item, row in enumerate(scores):
        readings: dict[str, Alternative] = {}
        for place in np.argsort(-row, kind="stable").tolist():
            if row[place] > -np.inf:
                token_ids = search.trie.token_ids(int(beams.node[item, place]))
                text = vocabulary.text(token_ids)
                readings.setdefault(text, Alternative(token_ids=token_ids, score=float(row[place])))
        results.append(list(readings.values()) or [_best_whole_words(search, beams, item)])
    return results


def _best_whole_words(search: PrefixSearch, beams: Beams, item: int) -> Alternative:
    """Return the best prefix without its unfinished word, for when all prefixes end inside a word."""
    scores = beams.log_probs[item] + beams.bonus[item]
    place = int(scores.argmax())
    token_ids = search.trie.token_ids(int(beams.node[item, place]))
    return Alternative(token_ids=token_ids[: _whole_words(token_ids, search)], score=float(scores[place]))


def _hypothesis(
    frames: LogProbs, readings: Sequence[Alternative], vocabulary: Vocabulary, count: int
) -> Hypothesis:
    """Return the best reading with the frames of its tokens; frames: (frames, vocab)."""
    aligned = align_tokens(
        np.fmax(frames, np.float32(IMPOSSIBLE)),
        readings[0].token_ids,
        blank_id=vocabulary.blank_id,
        canonical_ids=vocabulary.canonical_ids,
    )
    return replace(aligned, alternatives=tuple(readings[:count]))

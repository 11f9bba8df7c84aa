"""Shallow fusion: the scores of a language model as an automaton whose states are made as they are reached.

The weights are those of A. Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", 2014, but ``beta`` is added for each word.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sewd_runtime._types import Floats, Ints
from sewd_runtime.decode.lm.model import DELIMITER_SYMBOL, LanguageModel


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedModel:
    """A language model with weights: a word, or character, scores ``alpha * log_prob + beta``.

    case: how a word is written for the model.
    unknown_score: the natural log-probability of a word or character that the model does not know.
    """

    lm: LanguageModel
    case: Callable[[str], str]
    alpha: float
    beta: float
    unknown_score: float

    def score(self, state: Hashable, word: str) -> tuple[float, Hashable]:
        """Return the score of a word in a state of the language model, and the state after it."""
        log_prob, after = self.lm.score(state, word)
        if word not in self.lm:
            log_prob = self.unknown_score
        return self.alpha * log_prob + self.beta, after

    def end(self, state: Hashable) -> float:
        """Return the score of the end of the sentence."""
        return self.alpha * self.lm.end(state)


class _StateTable:
    """Numbers states as they are reached, the start 0, and caches scores of each, NaN until computed."""

    def __init__(self, start: Hashable, width: tuple[int, ...]) -> None:
        self.states: list[Any] = []
        self.scores = np.full((256, *width), np.nan)
        self._numbers: dict[Hashable, int] = {}
        self.number(start)

    def number(self, state: Hashable) -> int:
        """Return the number of a state; may replace ``scores`` by a longer array."""
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            if number == len(self.scores):
                self.scores = np.append(self.scores, np.full_like(self.scores, np.nan), axis=0)
        return number

    def retain(self, numbers: Ints) -> Ints:
        """Keep the start and these states without their scores; return their new numbers."""
        old, places = np.unique(numbers, return_inverse=True)
        kept = [self.states[number] for number in old.tolist()]
        start = self.states[0]
        self._numbers, self.states = {}, []
        self.scores.fill(np.nan)
        self.number(start)
        return np.array([self.number(state) for state in kept], np.int64)[places].reshape(numbers.shape)


def _by_state(states: Ints, score: Callable[[int], float]) -> Floats:
    """Return the score of each state, in the shape of states; each is computed once."""
    scores = {state: score(state) for state in np.unique(states).tolist()}
    return np.asarray(np.vectorize(scores.__getitem__, otypes=[float])(states))


class WordScores:
    """Scores of a word model, added where a word ends; a state is the model's state and an unfinished word.

    pieces: (vocab,), the text of each token.
    """

    def __init__(self, model: WeightedModel, *, pieces: Sequence[str], word_delimiter_id: int) -> None:
        self._model, self._pieces, self._delimiter = model, pieces, word_delimiter_id
        self._table = _StateTable((model.lm.start(), ""), ())
        self._after: dict[int, int] = {}  # state → the state after the delimiter

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return the score of the finished word in the delimiter's column, 0 in the others."""
        column = np.flatnonzero(tokens == self._delimiter)
        if len(column) == 0:
            return np.zeros((1, 1, 1))
        credits = np.zeros((*states.shape, len(tokens)))
        credits[..., column[0]] = self._completed(states)
        return credits

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states after one token each."""
        self._completed(states[tokens == self._delimiter])
        return np.array(
            [self._next(state, token) for state, token in zip(states.tolist(), tokens.tolist(), strict=True)],
            np.int64,
        )

    def final(self, states: Ints) -> Floats:
        """Return the score of the last word and of the end of the sentence."""
        scores = self._completed(states)
        contexts = self._table.states
        return scores + _by_state(states, lambda state: self._model.end(contexts[self._after[state]][0]))

    def retain(self, states: Ints) -> Ints:
        """Keep the start and these states, without their successors."""
        self._after.clear()
        return self._table.retain(states)

    def _next(self, state: int, token: int) -> int:
        if token == self._delimiter:
            return self._after[state]
        context, word = self._table.states[state]
        return self._table.number((context, word + self._pieces[token]))

    def _completed(self, states: Ints) -> Floats:
        """Return the score of the word that ends in each state, and make the states after it."""
        table = self._table
        for state in np.unique(states[np.isnan(table.scores[states])]).tolist():
            context, word = table.states[state]
            score = 0.0
            if word:
                score, context = self._model.score(context, self._model.case(word))
            self._after[state] = table.number((context, ""))
            table.scores[state] = score
        return np.asarray(table.scores[states])


class CharacterScores:
    """Scores of a character model, added for every token; a state is the model's state.

    pieces: (vocab,), the text of each token.
    """

    def __init__(self, model: WeightedModel, *, pieces: Sequence[str], word_delimiter_id: int | None) -> None:
        self._model = model
        self._symbols = [model.case(piece) for piece in pieces]
        if word_delimiter_id is not None:
            self._symbols[word_delimiter_id] = DELIMITER_SYMBOL
        self._table = _StateTable(model.lm.start(), (len(pieces),))

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return the score of each token in each state."""
        table = self._table
        for state in np.unique(states[np.isnan(table.scores[states, 0])]).tolist():
            context = table.states[state]
            table.scores[state] = [self._model.score(context, symbol)[0] for symbol in self._symbols]
        return np.asarray(table.scores[states[..., None], tokens])

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states after one token each."""
        table = self._table
        pairs = zip(states.tolist(), tokens.tolist(), strict=True)
        after = [self._model.lm.score(table.states[state], self._symbols[token])[1] for state, token in pairs]
        return np.array([table.number(state) for state in after], np.int64)

    def final(self, states: Ints) -> Floats:
        """Return the score of the end of the sentence."""
        contexts = self._table.states
        return _by_state(states, lambda state: self._model.end(contexts[state]))

    def retain(self, states: Ints) -> Ints:
        """Keep the start and these states."""
        return self._table.retain(states)

"""Shallow fusion: the scores of a language model as an automaton whose states are made as they are reached.

The weights are those of A. Hannun et al., "First-Pass Large Vocabulary Continuous Speech Recognition using
Bi-Directional Recurrent DNNs", 2014, but ``beta`` is added for each word.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sewd_runtime.decode.lm.model import DELIMITER_SYMBOL, LanguageModel

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of ``alpha * log_prob + beta``, the score of a word or character.

    unknown_score: the natural log-probability of a word or character that the model does not know.
    """

    alpha: float
    beta: float
    unknown_score: float


class WordScores:
    """Scores of a word model, added where a word ends; a state is the model's state and an unfinished word.

    case: how a word is written for the model. pieces: (vocab,), the text of each token.
    """

    def __init__(
        self,
        lm: LanguageModel,
        weights: Weights,
        *,
        case: Callable[[str], str],
        pieces: Sequence[str],
        word_delimiter_id: int,
    ) -> None:
        self._lm, self._weights, self._case, self._pieces = lm, weights, case, pieces
        self._delimiter = word_delimiter_id
        self._known: dict[tuple[Hashable, str], int] = {}
        self._states: list[tuple[Hashable, str]] = []
        self._after: list[int] = []  # the state after the delimiter, -1 until it is needed
        self._scores = np.full(1024, np.nan)  # of the word that ends in each state
        self._number(lm.start(), "")

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
        ends = {
            state: self._weights.alpha * self._lm.end(self._states[self._after[state]][0])
            for state in np.unique(states).tolist()
        }
        return np.asarray(scores + np.vectorize(ends.__getitem__, otypes=[float])(states))

    def retain(self, states: Ints) -> Ints:
        """Keep the start and these states, without their successors."""
        numbers, places = np.unique(states, return_inverse=True)
        kept = [self._states[number] for number in numbers.tolist()]
        start = self._states[0]
        self._known, self._states, self._after = {}, [], []
        self._scores.fill(np.nan)
        self._number(*start)
        return np.array([self._number(*state) for state in kept], np.int64)[places].reshape(states.shape)

    def _number(self, context: Hashable, word: str) -> int:
        number = self._known.setdefault((context, word), len(self._states))
        if number == len(self._states):
            self._states.append((context, word))
            self._after.append(-1)
            if number == len(self._scores):
                self._scores = np.append(self._scores, np.full(number, np.nan))
        return number

    def _next(self, state: int, token: int) -> int:
        if token == self._delimiter:
            return self._after[state]
        context, word = self._states[state]
        return self._number(context, word + self._pieces[token])

    def _completed(self, states: Ints) -> Floats:
        """Return the score of the word that ends in each state, and make the states after it."""
        scores = self._scores[states]
        missing = np.unique(states[np.isnan(scores)]).tolist()
        for state in missing:
            context, word = self._states[state]
            value = 0.0
            if word:
                value, context = self._score(context, self._case(word))
            after = self._number(context, "")  # may replace self._scores
            self._scores[state], self._after[state] = value, after
        return np.asarray(self._scores[states] if missing else scores)

    def _score(self, context: Hashable, word: str) -> tuple[float, Hashable]:
        log_prob, after = self._lm.score(context, word)
        if word not in self._lm:
            log_prob = self._weights.unknown_score
        return self._weights.alpha * log_prob + self._weights.beta, after


class CharacterScores:
    """Scores of a character model, added for every token; a state is the model's state."""

    def __init__(
        self,
        lm: LanguageModel,
        weights: Weights,
        *,
        case: Callable[[str], str],
        pieces: Sequence[str],
        word_delimiter_id: int | None,
    ) -> None:
        self._lm, self._weights = lm, weights
        self._symbols = [case(piece) for piece in pieces]
        if word_delimiter_id is not None:
            self._symbols[word_delimiter_id] = DELIMITER_SYMBOL
        self._is_known = np.array([symbol in lm for symbol in self._symbols])
        self._known: dict[Hashable, int] = {}
        self._states: list[Hashable] = []
        self._scores = np.full((256, len(pieces)), np.nan)
        self._number(lm.start())

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return the score of each token in each state."""
        for state in np.unique(states[np.isnan(self._scores[states, 0])]).tolist():
            log_probs = [self._lm.score(self._states[state], symbol)[0] for symbol in self._symbols]
            weights = self._weights
            known = np.where(self._is_known, log_probs, weights.unknown_score)
            self._scores[state] = weights.alpha * known + weights.beta
        return np.asarray(self._scores[states[..., None], tokens])

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states after one token each."""
        pairs = zip(states.tolist(), tokens.tolist(), strict=True)
        after = [self._lm.score(self._states[state], self._symbols[token])[1] for state, token in pairs]
        return np.array([self._number(state) for state in after], np.int64)

    def final(self, states: Ints) -> Floats:
        """Return the score of the end of the sentence."""
        ends = {
            state: self._weights.alpha * self._lm.end(self._states[state])
            for state in np.unique(states).tolist()
        }
        return np.asarray(np.vectorize(ends.__getitem__, otypes=[float])(states))

    def retain(self, states: Ints) -> Ints:
        """Keep the start and these states."""
        numbers, places = np.unique(states, return_inverse=True)
        kept = [self._states[number] for number in numbers.tolist()]
        start = self._states[0]
        self._known, self._states = {}, []
        self._scores.fill(np.nan)
        self._number(start)
        return np.array([self._number(state) for state in kept], np.int64)[places].reshape(states.shape)

    def _number(self, state: Hashable) -> int:
        number = self._known.setdefault(state, len(self._states))
        if number == len(self._states):
            self._states.append(state)
            if number == len(self._scores):
                self._scores = np.append(self._scores, np.full_like(self._scores, np.nan), axis=0)
        return number

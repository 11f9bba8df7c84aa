"""Deterministic weighted automata over token ids, which add to the scores of a beam search."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Floats, Ints


class Automaton(Protocol):
    """Gives each prefix a state, 0 for the empty one; each token changes it and adds credit to the score."""

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return the score that each token adds in each state; -inf: it may not follow.

        states: (batch, beam). tokens: (tokens,). Returns (batch, beam, tokens).
        """

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states after one token each; states, tokens and result: (prefixes,)."""

    def final(self, states: Ints) -> Floats:
        """Return the score that the end of the utterance adds, shaped as states; -inf: no end here."""

    def retain(self, states: Ints) -> Ints:
        """Forget all other states and return the new numbers of these."""


def extend_trie(children: list[dict[int, int]], tokens: Iterable[int]) -> list[int]:
    """Add a sequence of tokens to a trie from its state 0 on; return the state after each token.

    children: the children of each state, by token.
    """
    path, state = [], 0
    for token in tokens:
        if token not in children[state]:
            children[state][token] = len(children)
            children.append({})
        state = children[state][token]
        path.append(state)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An automaton as arrays.

    next: (states, vocab) int32, -1 where a token may not follow. credits: (states, vocab), None: all 0.
    finals: (states,).
    """

    next: NDArray[np.int32]
    credits: Floats | None
    finals: Floats

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return the score that each token adds in each state, (batch, beam, tokens)."""
        if self.credits is not None:
            return np.asarray(self.credits[states[..., None], tokens])
        return np.where(self.next[states[..., None], tokens] < 0, -np.inf, 0.0)

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states after one token each."""
        return self.next[states, tokens].astype(np.int64)

    def final(self, states: Ints) -> Floats:
        """Return the score that the end of the utterance adds."""
        return np.asarray(self.finals[states])

    def retain(self, states: Ints) -> Ints:
        """Return the same states, because the table does not grow."""
        return states

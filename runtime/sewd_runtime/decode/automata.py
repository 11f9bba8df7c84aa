"""What is added to a prefix's score for its tokens: deterministic weighted automata over token ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Automaton(Protocol):
    """A prefix is in one state, 0 when it is empty; each token moves it on and adds a credit to the score."""

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return what each token adds in each state; -inf: it may not follow.

        states: (batch, beam). tokens: (tokens,). Returns (batch, beam, tokens).
        """
        ...

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states, (prefixes,), that these tokens, (prefixes,), lead to."""
        ...

    def final(self, states: Ints) -> Floats:
        """Return what the end of the utterance adds, in the shape of states; -inf: it may not end here."""
        ...

    def retain(self, states: Ints) -> Ints:
        """Forget all states but these; return their new numbers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """An automaton written out.

    next: (states, vocab) int32, -1 where a token may not follow. credits: (states, vocab), None: all 0.
    finals: (states,).
    """

    next: npt.NDArray[np.int32]
    credits: Floats | None
    finals: Floats

    def credit(self, states: Ints, tokens: Ints) -> Floats:
        """Return what each token adds in each state, (batch, beam, tokens)."""
        if self.credits is not None:
            return np.asarray(self.credits[states[..., None], tokens])
        return np.where(self.next[states[..., None], tokens] < 0, -np.inf, 0.0)

    def step(self, states: Ints, tokens: Ints) -> Ints:
        """Return the states that these tokens lead to."""
        return self.next[states, tokens].astype(np.int64)

    def final(self, states: Ints) -> Floats:
        """Return what the end adds."""
        return np.asarray(self.finals[states])

    def retain(self, states: Ints) -> Ints:
        """Keep everything: the table does not grow."""
        return states

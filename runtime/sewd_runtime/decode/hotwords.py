"""Words and phrases that score higher: an Aho-Corasick automaton whose matches are whole words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sewd_runtime.decode.automata import Table

_START, _INSIDE = 0, 1
"""States: at the start of a word and of no phrase; inside a word that no phrase has."""


def compile_hotwords(
    phrases: Mapping[tuple[int, ...], float], *, vocab: int, word_delimiter_id: int
) -> Table:
    """Return the automaton that adds each phrase's bonus wherever it stands as whole words.

    phrases: token ids, words separated by the delimiter → bonus, natural log. Every occurrence of every
    phrase counts, overlapping ones too. On the way through a phrase its tokens' share of the bonus is lent,
    so that the beam keeps it, and taken back where it does not go on.

    A. Aho and M. Corasick, "Efficient string matching", 1975; failure links lead only to what begins with a
    word.
    """
    sequences, goto = _build_trie(list(phrases))
    num_states = len(sequences)
    own, lent = np.zeros(num_states), np.zeros(num_states)
    lent[2:] = -np.inf
    for phrase, bonus in phrases.items():
        state = _START
        for matched, token in enumerate(phrase, 1):
            state = goto[state][token]
            lent[state] = max(lent[state], bonus * matched / len(phrase))
        own[state] += bonus

    next_state = np.full((num_states, vocab), _INSIDE, np.int32)
    next_state[_START:, word_delimiter_id] = _START
    failure = np.full(num_states, _INSIDE)
    earned = own.copy()
    for state in sorted({*range(num_states)} - {_INSIDE}, key=lambda state: len(sequences[state])):
        if state != _START:
            next_state[state] = next_state[failure[state]]
            earned[state] += earned[failure[state]]
            if sequences[state][-1] == word_delimiter_id:
                next_state[state, word_delimiter_id] = state  # a second delimiter separates no more than one
        for token, child in goto[state].items():
            # At a word's start nothing shorter is on its way.
            failure[child] = _INSIDE if state == _START else next_state[failure[state], token]
            next_state[state, token] = child
    credits = lent[next_state] - lent[:, None]
    credits[:, word_delimiter_id] += earned
    return Table(next=next_state, credits=credits, finals=earned - lent)


def _build_trie(
    phrases: Sequence[tuple[int, ...]],
) -> tuple[list[tuple[int, ...]], list[dict[int, int]]]:
    """Return the tokens that lead to each state, and its children; inside a word there are none."""
    sequences: list[tuple[int, ...]] = [(), ()]
    goto: list[dict[int, int]] = [{}, {}]
    for phrase in phrases:
        state = _START
        for matched, token in enumerate(phrase, 1):
            if token not in goto[state]:
                goto[state][token] = len(goto)
                goto.append({})
                sequences.append(phrase[:matched])
            state = goto[state][token]
    return sequences, goto

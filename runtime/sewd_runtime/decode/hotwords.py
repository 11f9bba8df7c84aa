"""Hotwords: an Aho-Corasick automaton that adds a bonus to words and phrases."""

from collections.abc import Mapping

import numpy as np

from sewd_runtime.decode.automata import Table, extend_trie

_START, _INSIDE = 0, 1
"""States: at the start of a word outside any phrase; inside a word that matches no phrase."""


def compile_hotwords(
    phrases: Mapping[tuple[int, ...], float], *, vocab: int, word_delimiter_id: int | None
) -> Table:
    """Return the automaton that adds the bonus of each phrase wherever it occurs.

    word_delimiter_id: only whole words match; None: tokens are the words.

    phrases: token ids, words separated by the delimiter → bonus, natural log. Every occurrence counts,
    overlapping ones too. Each token of a phrase adds its share of the bonus at once, so that the beam keeps
    the prefix; the shares are subtracted again if the phrase is not completed.

    A. Aho and M. Corasick, "Efficient string matching", 1975; failure links lead only to starts of words.
    """
    goto: list[dict[int, int]] = [{}, {}]
    paths = {phrase: extend_trie(goto, phrase) for phrase in phrases}
    num_states = len(goto)
    sequences: list[tuple[int, ...]] = [()] * num_states  # the tokens that lead to each state
    own, lent = np.zeros(num_states), np.zeros(num_states)
    lent[2:] = -np.inf
    for phrase, bonus in phrases.items():
        for matched, state in enumerate(paths[phrase], 1):
            sequences[state] = phrase[:matched]
            if word_delimiter_id is not None or matched < len(phrase):  # else the bonus is earned here
                lent[state] = max(lent[state], bonus * matched / len(phrase))
        own[paths[phrase][-1]] += bonus

    lent[np.isneginf(lent)] = 0

    outside = _START if word_delimiter_id is None else _INSIDE
    next_state = np.full((num_states, vocab), outside, np.int32)
    if word_delimiter_id is not None:
        next_state[:, word_delimiter_id] = _START
    failure = np.full(num_states, outside)
    earned = own.copy()
    for state in sorted({*range(num_states)} - {_INSIDE}, key=lambda state: len(sequences[state])):
        if state != _START:
            next_state[state] = next_state[failure[state]]
            earned[state] += earned[failure[state]]
            if sequences[state][-1] == word_delimiter_id:
                next_state[state, word_delimiter_id] = state  # repeated delimiters count as one
        for token, child in goto[state].items():
            # At the start of a word no shorter match is under way.
            failure[child] = outside if state == _START else next_state[failure[state], token]
            next_state[state, token] = child
    credits = lent[next_state] - lent[:, None]
    if word_delimiter_id is None:
        return Table(next=next_state, credits=credits + earned[next_state], finals=-lent)
    credits[:, word_delimiter_id] += earned
    return Table(next=next_state, credits=credits, finals=earned - lent)

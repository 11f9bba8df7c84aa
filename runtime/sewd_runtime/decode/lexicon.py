"""Lexicon: the only words that may be output, as a trie of their tokens."""

from collections.abc import Iterable, Sequence

import numpy as np

from sewd_runtime.decode.automata import Table, extend_trie

_START = 0


def compile_lexicon(words: Iterable[Sequence[int]], *, vocab: int, word_delimiter_id: int) -> Table:
    """Return the automaton that forbids all words except these.

    words: token ids of each, without delimiters. Repeated delimiters are allowed.
    """
    goto: list[dict[int, int]] = [{}]
    complete = {_START}
    for word in words:
        complete.update(extend_trie(goto, word)[-1:])
    next_state = np.full((len(goto), vocab), -1, np.int32)
    for state, children in enumerate(goto):
        next_state[state, list(children)] = list(children.values())
    finals = np.full(len(goto), -np.inf)
    finals[list(complete)] = 0
    next_state[list(complete), word_delimiter_id] = _START
    return Table(next=next_state, credits=None, finals=finals)

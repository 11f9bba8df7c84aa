"""Lexicon: the only words that may be output, as a trie of their tokens."""

from collections.abc import Collection, Sequence

import numpy as np

from sewd_runtime.decode.automata import Table, extend_trie
from sewd_runtime.errors import LexiconError

_START = 0
_MAX_ENTRIES = 500_000_000
"""Of the table, states times tokens: 2 GB."""

_MAX_JOINED = 10_000_000
"""Joined words times the tokens that begin a word: about as many transitions, a minute and 1 GB."""


def compile_lexicon(
    words: Collection[Sequence[int]],
    *,
    vocab: int,
    word_delimiter_id: int | None,
    joined: Collection[Sequence[int]] = (),
) -> Table:
    """Return the automaton that forbids all words except these.

    words: token ids of each, without delimiters. Repeated delimiters are allowed.
    joined: those of the words after which another may follow without a delimiter.
    A state is the set of places in the trie where an output may be (subset construction), one place unless
    words are joined. Raises LexiconError if the table would be too large.
    """
    trie: list[dict[int, int]] = [{}]
    complete = {_START, *(extend_trie(trie, word)[-1] for word in words)}
    open_ends = {extend_trie(trie, word)[-1] for word in joined}
    if len(open_ends) * len(trie[_START]) > _MAX_JOINED:
        raise LexiconError(
            f"{len(open_ends)} words that need no delimiter, begun by {len(trie[_START])} tokens: "
            f"the product may be at most {_MAX_JOINED}; give fewer words"
        )
    start = frozenset([_START])
    states, queue = {start: _START}, [start]
    rows: list[dict[int, int]] = []
    for places in queue:
        row: dict[int, set[int]] = {}
        for place in places:
            for token, child in trie[place].items():
                row.setdefault(token, set()).update((child, _START) if child in open_ends else (child,))
        if word_delimiter_id is not None and not places.isdisjoint(complete):
            row[word_delimiter_id] = {_START}
        rows.append({})
        for token, after in row.items():
            if frozenset(after) not in states:
                states[frozenset(after)] = len(queue)
                queue.append(frozenset(after))
            rows[-1][token] = states[frozenset(after)]
        if len(queue) * vocab > _MAX_ENTRIES:
            raise LexiconError(f"{len(words)} words of {vocab} tokens need too much memory; give fewer words")
    next_state = np.full((len(queue), vocab), -1, np.int32)
    for state, row_of_state in enumerate(rows):
        next_state[state, list(row_of_state)] = list(row_of_state.values())
    is_final = [not places.isdisjoint(complete) for places in queue]
    return Table(next=next_state, credits=None, finals=np.where(is_final, 0.0, -np.inf))

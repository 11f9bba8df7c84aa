"""CTC prefix beam search: the most probable token sequences, each the sum over all paths that read as it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from sewd_runtime.decode.automata import Automaton
from sewd_runtime.decode.prefix_trie import ROOT, Trie

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_NOBODY = -2
"""Node of an empty place in the beam; no prefix has it as its parent."""

IMPOSSIBLE = -1e4
"""Log-probability that stands for none, so that a prefix is left whatever the frames and the lexicon say."""

_EMPTY = {
    "node": _NOBODY,
    "parent": -1,
    "token": -1,
    "blank": -np.inf,
    "token_end": -np.inf,
    "bonus": 0.0,
    "states": 0,
}
"""What stands in such a place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beams:
    """The prefixes that are still searched, of several utterances.

    All (batch, beam): node: of the trie. parent, token: the prefix without its last token, and that token
    (-1 for the empty prefix). blank, token_end: log-probability of the paths that end in blank, and of those
    that end in the last token. bonus: what the automata have given. states: (batch, beam, automata).
    """

    node: Ints
    parent: Ints
    token: Ints
    blank: Floats
    token_end: Floats
    bonus: Floats
    states: Ints

    @classmethod
    def start(cls, batch: int, num_automata: int) -> Beams:
        """Return the empty prefix of every utterance, sure."""
        shape = (batch, 1)
        return cls(
            node=np.full(shape, ROOT),
            parent=np.full(shape, -1),
            token=np.full(shape, -1),
            blank=np.zeros(shape),
            token_end=np.full(shape, -np.inf),
            bonus=np.zeros(shape),
            states=np.zeros((*shape, num_automata), np.int64),
        )

    @property
    def log_probs(self) -> Floats:
        """Log-probability of each prefix, (batch, beam)."""
        return np.logaddexp(self.blank, self.token_end)

    def rows(self, which: npt.NDArray[np.bool_]) -> Beams:
        """Return some of the utterances; which: (batch,)."""
        return Beams(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


class PrefixSearch:
    """The search of several utterances at once, frame by frame.

    Prefixes and their probabilities: A. Hannun et al., "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1; A. Graves, "Supervised Sequence
    Labelling with Recurrent Neural Networks", 2012, section 7.5. A prefix's score is its log-probability plus
    what the automata give for its tokens.
    """

    def __init__(
        self,
        *,
        width: int,
        token_min_log_prob: float,
        beam_threshold: float,
        blank_id: int,
        vocab: int,
        automata: Sequence[Automaton],
    ) -> None:
        self._width = width
        self._token_min_log_prob = token_min_log_prob
        self._beam_threshold = beam_threshold
        self._blank_id = blank_id
        self._automata = automata
        self.trie = Trie(vocab)

    def start(self, batch: int) -> Beams:
        """Return the beams before the first frame."""
        return Beams.start(batch, len(self._automata))

    def advance(self, beams: Beams, log_probs: npt.NDArray[np.floating]) -> Beams:
        """Take frames: (batch, frames, vocab), each output its own token."""
        likely: npt.NDArray[np.bool_] = np.greater(log_probs, self._token_min_log_prob)
        likely[..., self._blank_id] = False
        anywhere: npt.NDArray[np.bool_] = np.any(likely, axis=0)  # (frames, vocab)
        for frame, is_candidate in enumerate(anywhere):
            row = np.fmax(log_probs[:, frame].astype(np.float64), IMPOSSIBLE)
            blank, token_end = self._stay(beams, row)
            tokens = np.flatnonzero(is_candidate)
            if len(tokens) == 0:
                beams = replace(beams, blank=blank, token_end=token_end)
                continue
            offered = np.where(likely[:, frame, tokens], row[:, tokens], -np.inf)
            beams = self._select(beams, blank, token_end, offered, tokens)
        return beams

    def finals(self, beams: Beams) -> Floats:
        """Return each prefix's score if the utterance ended here, (batch, beam); -inf: it may not end so."""
        scores = beams.log_probs + beams.bonus
        for index, automaton in enumerate(self._automata):
            scores = scores + automaton.final(beams.states[..., index])
        return np.where(beams.node == _NOBODY, -np.inf, scores)

    def compact(self, beams: Beams) -> Beams:
        """Forget all prefixes but those of the beams and what they begin with."""
        alive = beams.node != _NOBODY
        renumbered = self.trie.retain(beams.node[alive])
        node, parent, states = beams.node.copy(), beams.parent.copy(), beams.states.copy()
        node[alive] = renumbered[node[alive]]
        grown = alive & (parent >= 0)
        parent[grown] = renumbered[parent[grown]]
        for index, automaton in enumerate(self._automata):
            states[..., index] = automaton.retain(states[..., index])
        return replace(beams, node=node, parent=parent, states=states)

    def _stay(self, beams: Beams, row: Floats) -> tuple[Floats, Floats]:
        """Return the log-probabilities of the same prefixes one frame later; row: (batch, vocab)."""
        blank = beams.log_probs + row[:, self._blank_id, None]
        repeated = np.take_along_axis(row, np.maximum(beams.token, 0), axis=1)
        return blank, beams.token_end + np.where(beams.token >= 0, repeated, -np.inf)

    def _bonus(self, beams: Beams, tokens: Ints) -> Floats:
        """Return what the automata have given to each prefix with each token behind it."""
        bonus = np.repeat(beams.bonus[..., None], len(tokens), axis=2)
        for index, automaton in enumerate(self._automata):
            bonus = bonus + automaton.credit(beams.states[..., index], tokens)
        return bonus

    def _select(self, beams: Beams, blank: Floats, token_end: Floats, offered: Floats, tokens: Ints) -> Beams:
        """Return the best of the same prefixes and of those one token longer.

        blank, token_end: (batch, beam) of the same prefixes. offered: (batch, tokens) log-probabilities.
        """
        batch, width = beams.node.shape
        # The same token again is a new one only after a blank.
        before = np.where(
            beams.token[..., None] == tokens, beams.blank[..., None], beams.log_probs[..., None]
        )
        longer = before + offered[:, None]
        token_end = _merge(beams, token_end, longer, tokens)
        bonus = self._bonus(beams, tokens)
        scores = np.concatenate(
            [np.logaddexp(blank, token_end) + beams.bonus, (longer + bonus).reshape(batch, -1)], axis=1
        )
        # A frame that offers an item nothing drops none of its prefixes: as if it ran alone.
        threshold = np.where((offered > -np.inf).any(axis=1), self._beam_threshold, np.inf)
        items, places, slots = _best(scores, self._width, threshold)

        grows = places >= width
        source = np.where(grows, (places - width) // len(tokens), places)
        which = np.where(grows, (places - width) % len(tokens), 0)
        kept = (items, source)
        node, parent, token = beams.node[kept], beams.parent[kept], beams.token[kept]
        states = beams.states[kept]
        parent[grows], token[grows] = node[grows], tokens[which[grows]]
        node[grows] = self.trie.children(parent[grows], token[grows])
        for index, automaton in enumerate(self._automata):
            states[grows, index] = automaton.step(states[grows, index], token[grows])
        chosen = Beams(
            node=node,
            parent=parent,
            token=token,
            blank=np.where(grows, -np.inf, blank[kept]),
            token_end=np.where(grows, longer[items, source, which], token_end[kept]),
            bonus=np.where(grows, bonus[items, source, which], beams.bonus[kept]),
            states=states,
        )
        return _placed(chosen, (batch, int(slots.max()) + 1), (items, slots))


def _merge(beams: Beams, token_end: Floats, longer: Floats, tokens: Ints) -> Floats:
    """Add a prefix's extension to the prefix that it makes, where the beam has that already.

    Such entries of longer, (batch, beam, tokens), become -inf. Returns the new token_end, (batch, beam).
    """
    items, child, parent = np.nonzero(beams.parent[..., None] == beams.node[:, None])
    column = np.searchsorted(tokens, beams.token[items, child])
    column = np.minimum(column, len(tokens) - 1)
    offered = tokens[column] == beams.token[items, child]
    items, child, parent, column = items[offered], child[offered], parent[offered], column[offered]
    merged = token_end.copy()
    merged[items, child] = np.logaddexp(token_end[items, child], longer[items, parent, column])
    longer[items, parent, column] = -np.inf
    return merged


def _best(scores: Floats, width: int, threshold: Floats) -> tuple[Ints, Ints, Ints]:
    """Return item, index and place in the beam of at most ``width`` scores of each item, in index order.

    scores: (batch, candidates). Left out are those more than ``threshold``, (batch,), below the item's best.
    Of equal scores the first are taken, so that an item's choice does not depend on its neighbours.
    """
    keep = (scores >= scores.max(axis=1, keepdims=True) - threshold[:, None]) & (scores > -np.inf)
    if scores.shape[1] > width and keep.sum(axis=1).max() > width:
        last = -np.partition(-scores, width - 1, axis=1)[:, width - 1, None]
        above, level = scores > last, scores == last
        keep &= above | (level & (level.cumsum(axis=1) <= width - above.sum(axis=1, keepdims=True)))
    items, places = np.nonzero(keep)
    starts = np.searchsorted(items, np.arange(len(scores)))
    return items, places, np.arange(len(items)) - starts[items]


def _placed(chosen: Beams, shape: tuple[int, int], where: tuple[Ints, Ints]) -> Beams:
    """Put chosen prefixes, (chosen, ...), into their places of (batch, beam, ...); the rest is nobody."""
    full = {
        name: np.full(shape + getattr(chosen, name).shape[1:], empty, getattr(chosen, name).dtype)
        for name, empty in _EMPTY.items()
    }
    for name, values in full.items():
        values[where] = getattr(chosen, name)
    return Beams(**full)

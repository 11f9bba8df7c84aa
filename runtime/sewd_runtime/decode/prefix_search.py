"""CTC prefix beam search: token sequences scored by the sum over all their paths."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sewd_runtime._types import Floats, Ints
from sewd_runtime.decode.automata import Automaton
from sewd_runtime.decode.prefix_trie import ROOT, Trie

_EMPTY_NODE = -2
"""Node of an empty slot in the beam; no prefix has it as its parent."""

IMPOSSIBLE = -1e4
"""Log-probability in place of -inf, so that some prefix is left whatever the frames and the lexicon are."""

_EMPTY_SLOT = {
    "node": _EMPTY_NODE,
    "parent": -1,
    "token": -1,
    "blank": -np.inf,
    "token_end": -np.inf,
    "bonus": 0.0,
    "states": 0,
}
"""Values of an empty slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beams:
    """The prefixes in the beam of each of several utterances.

    All (batch, beam): node: in the trie. parent, token: the node without the last token, and that token (-1
    for the empty prefix). blank, token_end: log-probability of the paths that end in blank, and of those that
    end in the last token. bonus: the sum of the automata's credits. states: (batch, beam, automata).
    """

    node: Ints
    parent: Ints
    token: Ints
    blank: Floats
    token_end: Floats
    bonus: Floats
    states: Ints

    @property
    def log_probs(self) -> Floats:
        """Log-probability of each prefix, (batch, beam)."""
        return np.logaddexp(self.blank, self.token_end)

    def rows(self, which: NDArray[np.bool_]) -> "Beams":
        """Return the beams of some utterances; which: (batch,) bool."""
        return Beams(**{field.name: getattr(self, field.name)[which] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixSearch:
    """Prefix beam search over several utterances at once, frame by frame.

    The recursion of prefix probabilities: A. Hannun et al., "First-Pass Large Vocabulary Continuous Speech
    Recognition using Bi-Directional Recurrent DNNs", 2014, algorithm 1; A. Graves, "Supervised Sequence
    Labelling with Recurrent Neural Networks", 2012, section 7.5. The score of a prefix is its log-probability
    plus the credits of the automata for its tokens.
    """

    width: int
    token_min_log_prob: float
    beam_threshold: float
    blank_id: int
    automata: Sequence[Automaton]
    trie: Trie

    def start(self, batch: int) -> Beams:
        """Return the empty prefix with probability 1 for every utterance."""
        shape = (batch, 1)
        return Beams(
            node=np.full(shape, ROOT),
            parent=np.full(shape, -1),
            token=np.full(shape, -1),
            blank=np.zeros(shape),
            token_end=np.full(shape, -np.inf),
            bonus=np.zeros(shape),
            states=np.zeros((*shape, len(self.automata)), np.int64),
        )

    def advance(self, beams: Beams, log_probs: NDArray[np.floating]) -> Beams:
        """Return the beams after more frames; log_probs: (batch, frames, vocab) of canonical ids."""
        likely: NDArray[np.bool_] = np.greater(log_probs, self.token_min_log_prob)
        likely[..., self.blank_id] = False
        anywhere: NDArray[np.bool_] = np.any(likely, axis=0)  # (frames, vocab)
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
        """Return the score of each prefix if the utterance ends here, (batch, beam); -inf: it may not."""
        scores = beams.log_probs + beams.bonus
        for index, automaton in enumerate(self.automata):
            scores = scores + automaton.final(beams.states[..., index])
        return np.where(beams.node == _EMPTY_NODE, -np.inf, scores)

    def compact(self, beams: Beams) -> Beams:
        """Forget all prefixes that are not in the beams nor prefixes of theirs."""
        alive = beams.node != _EMPTY_NODE
        renumbered = self.trie.retain(beams.node[alive])
        node, parent, states = beams.node.copy(), beams.parent.copy(), beams.states.copy()
        node[alive] = renumbered[node[alive]]
        grown = alive & (parent >= 0)
        parent[grown] = renumbered[parent[grown]]
        for index, automaton in enumerate(self.automata):
            states[..., index] = automaton.retain(states[..., index])
        return replace(beams, node=node, parent=parent, states=states)

    def _stay(self, beams: Beams, row: Floats) -> tuple[Floats, Floats]:
        """Return blank and token_end of the unchanged prefixes one frame later; row: (batch, vocab)."""
        blank = beams.log_probs + row[:, self.blank_id, None]
        repeated = np.take_along_axis(row, np.maximum(beams.token, 0), axis=1)
        return blank, beams.token_end + np.where(beams.token >= 0, repeated, -np.inf)

    def _bonus(self, beams: Beams, tokens: Ints) -> Floats:
        """Return the bonus of each prefix extended by each token, (batch, beam, tokens)."""
        bonus = np.repeat(beams.bonus[..., None], len(tokens), axis=2)
        for index, automaton in enumerate(self.automata):
            bonus = bonus + automaton.credit(beams.states[..., index], tokens)
        return bonus

    def _select(self, beams: Beams, blank: Floats, token_end: Floats, offered: Floats, tokens: Ints) -> Beams:
        """Return the best of the unchanged prefixes and those extended by a token.

        blank, token_end: (batch, beam) of the unchanged prefixes. offered: (batch, tokens) log-probabilities.
        """
        batch, width = beams.node.shape
        # A repeated token extends the prefix only after a blank.
        before = np.where(
            beams.token[..., None] == tokens, beams.blank[..., None], beams.log_probs[..., None]
        )
        longer = before + offered[:, None]
        token_end = _merge(beams, token_end, longer, tokens)
        bonus = self._bonus(beams, tokens)
        scores = np.concatenate(
            [np.logaddexp(blank, token_end) + beams.bonus, (longer + bonus).reshape(batch, -1)], axis=1
        )
        # An item without candidates in this frame keeps all its prefixes, as it would alone.
        threshold = np.where((offered > -np.inf).any(axis=1), self.beam_threshold, np.inf)
        items, places, slots = _best(scores, self.width, threshold)

        grows = places >= width
        source = np.where(grows, (places - width) // len(tokens), places)
        which = np.where(grows, (places - width) % len(tokens), 0)
        kept = (items, source)
        node, parent, token = beams.node[kept], beams.parent[kept], beams.token[kept]
        states = beams.states[kept]
        parent[grows], token[grows] = node[grows], tokens[which[grows]]
        node[grows] = self.trie.children(parent[grows], token[grows])
        for index, automaton in enumerate(self.automata):
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
    """Add the extension of a prefix to the same prefix if the beam has it already.

    These entries of longer, (batch, beam, tokens), become -inf. Returns the new token_end, (batch, beam).
    """
    items, child, parent = np.nonzero(beams.parent[..., None] == beams.node[:, None])
    column = np.searchsorted(tokens, beams.token[items, child])
    column = np.minimum(column, len(tokens) - 1)
    offered = tokens[column] == beams.token[items, child]
    items, child, parent, column = items[offered], child[offered], parent[offered], column[offered]
    merged: Floats = token_end.copy()
    merged[items, child] = np.logaddexp(token_end[items, child], longer[items, parent, column])
    longer[items, parent, column] = -np.inf
    return merged


def _best(scores: Floats, width: int, threshold: Floats) -> tuple[Ints, Ints, Ints]:
    """Return item, index and beam slot of at most ``width`` scores of each item, in index order.

    scores: (batch, candidates). Scores more than ``threshold``, (batch,), below the item's best are left
    out. Of equal scores the first are taken, so that an item does not depend on others in its batch.
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
    """Put chosen prefixes, (chosen, ...), into their slots of (batch, beam, ...); the others stay empty."""
    full = {
        name: np.full(shape + getattr(chosen, name).shape[1:], empty, getattr(chosen, name).dtype)
        for name, empty in _EMPTY_SLOT.items()
    }
    for name, values in full.items():
        values[where] = getattr(chosen, name)
    return Beams(**full)

"""A trie of token prefixes."""

from collections.abc import Iterable

import numpy as np

from sewd_runtime._types import Ints

ROOT = 0
"""The empty prefix."""


class Trie:
    """Prefixes as nodes with a parent and a last token; children have larger numbers than their parents."""

    def __init__(self, vocab: int) -> None:
        self._vocab = vocab
        self._parents = [-1]
        self._tokens = [-1]
        self._nodes: dict[int, int] = {}  # parent * vocab + token → node

    def __len__(self) -> int:
        return len(self._parents)

    def children(self, parents: Ints, tokens: Ints) -> Ints:
        """Return the nodes, (nodes,), of these prefixes each extended by a token."""
        nodes = []
        for key in (parents * self._vocab + tokens).tolist():
            node = self._nodes.get(key)
            if node is None:
                node = self._nodes[key] = len(self._parents)
                parent, token = divmod(key, self._vocab)
                self._parents.append(parent)
                self._tokens.append(token)
            nodes.append(node)
        return np.array(nodes, np.int64)

    def token_ids(self, node: int) -> tuple[int, ...]:
        """Return the tokens of a prefix."""
        tokens = []
        while node != ROOT:
            tokens.append(self._tokens[node])
            node = self._parents[node]
        return tuple(reversed(tokens))

    def common(self, nodes: Iterable[int]) -> int:
        """Return the longest common prefix of some nodes."""
        left = set(nodes)
        while len(left) > 1:
            # No node is a prefix of one with a smaller number, so the largest is not their common prefix.
            last = max(left)
            left.remove(last)
            left.add(self._parents[last])
        return left.pop()

    def retain(self, nodes: Ints) -> Ints:
        """Forget all nodes except these and their prefixes; return the new number of each old node."""
        kept = {ROOT}
        for node in nodes.tolist():
            while node not in kept:
                kept.add(node)
                node = self._parents[node]
        renumbered = np.full(len(self._parents), -1)
        order = sorted(kept)
        renumbered[order] = np.arange(len(order))
        new = renumbered.tolist()
        self._tokens = [self._tokens[node] for node in order]
        self._parents = [-1, *(new[self._parents[node]] for node in order[1:])]
        pairs = zip(self._parents, self._tokens, strict=True)
        self._nodes = {
            parent * self._vocab + token: node for node, (parent, token) in enumerate(pairs) if node != ROOT
        }
        return renumbered

"""The texts of logits, and word errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.decode import Decoder, Greedy, log_softmax
from sewd_runtime.evaluation.counting import count
from sewd_runtime.text.spelling import fold
from sewd_runtime.text.vocabulary import Vocabulary

_GREEDY = Greedy()


def read_logits(logits: NDArray[np.float32], vocabulary: Vocabulary, decoder: Decoder = _GREEDY) -> str:
    """Return the text of `logits (frames, vocab)` float32, by default of the best path."""
    (hypothesis,) = decoder.decode(log_softmax(logits[None]), np.array([len(logits)]), vocabulary)
    return vocabulary.text(hypothesis.token_ids)


def word_errors(truth: Sequence[str], text: Sequence[str]) -> int:
    """Count substituted, deleted and inserted words; both are a `normaliser`'s, and case is ignored."""
    return int(count([fold(" ".join(truth))], [fold(" ".join(text))]).wrong[0])

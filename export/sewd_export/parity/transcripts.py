"""The texts of logits, and word errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.decode import greedy, log_softmax
from sewd_runtime.evaluation.counting import count
from sewd_runtime.text.spelling import fold
from sewd_runtime.text.vocabulary import Vocabulary


def read_logits(logits: NDArray[np.float32], vocabulary: Vocabulary) -> str:
    """Return the text of the best path through `logits (frames, vocab)` float32."""
    (hypothesis,) = greedy(
        log_softmax(logits[None]),
        np.array([len(logits)]),
        vocabulary.blank_id,
        canonical_ids=vocabulary.canonical_ids,
    )
    return vocabulary.text(hypothesis.token_ids)


def word_errors(truth: Sequence[str], text: Sequence[str]) -> int:
    """Count substituted, deleted and inserted words; both are a `normaliser`'s, and case is ignored."""
    return int(count([fold(" ".join(truth))], [fold(" ".join(text))]).wrong[0])

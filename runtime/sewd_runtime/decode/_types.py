"""What goes into a decoder and what comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The tokens of one utterance's path, repeats merged and blanks left out, with the frames of each.

    token_ids: the tokens in order.
    starts: the first frame of each token.
    ends: one past its last frame; the frames between a token's end and the next start are blank.
    log_probs: the mean over the token's frames of the log-probability that the path has there, so
        ``exp`` of it is the geometric mean of the frames' probabilities, whatever the token's duration.
    """

    token_ids: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()


class Decoder(Protocol):
    """A way to choose the path."""

    def __call__(
        self,
        log_probs: npt.NDArray[np.float32],
        lengths: npt.NDArray[np.int64],
        blank_id: int,
        *,
        canonical_ids: Sequence[int] | None = None,
    ) -> list[Hypothesis]:
        """Return one hypothesis per item.

        log_probs: (batch, frames, vocab) float32.
        lengths: (batch,) int64, frames of each item; what lies past them never matters.
        canonical_ids: (vocab,), the id that each counts as (``Vocabulary.canonical_ids``); None: itself.
        """
        ...

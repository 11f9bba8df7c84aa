"""What is said in recordings, and how far a text is from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.errors import ExportError
from sewd_runtime.decode import greedy, log_softmax
from sewd_runtime.text.vocabulary import Vocabulary

_NAME = "transcripts.tsv"


def read_transcripts(recordings: Sequence[Path]) -> dict[Path, str]:
    """Return the words of those recordings that the `transcripts.tsv` of their folder has.

    A line for each recording: its name, with or without suffix, a tab, its words; what follows a second tab
    is ignored. Raises ExportError for a line of another form, and for a file that has none of its folder's
    recordings.
    """
    found: dict[Path, str] = {}
    for folder in sorted({path.parent for path in recordings}):
        said = _read(folder / _NAME) if (folder / _NAME).is_file() else {}
        own = [path for path in recordings if path.parent == folder]
        known = {path: name for path in own for name in (path.stem, path.name) if name in said}
        if said and not known:
            raise ExportError(f"{folder / _NAME}: has none of the recordings beside it, e.g. {own[0].name}")
        found |= {path: said[name] for path, name in known.items()}
    return found


def _read(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: cannot be read as UTF-8: {error}") from error
    for number, line in enumerate(lines, 1):
        name, *rest = line.split("\t")
        if not rest or name in found:
            fault = "stands twice" if rest else "has no tab"
            raise ExportError(f"{path}: line {number}: {name[:60]!r} {fault}; write name, tab, words")
        found[name] = rest[0]
    return found


def read_logits(logits: NDArray[np.float32], vocabulary: Vocabulary) -> str:
    """Return the text of the best path through `logits (frames, vocab)` float32."""
    (hypothesis,) = greedy(
        log_softmax(logits[None]),
        np.array([len(logits)]),
        vocabulary.blank_id,
        canonical_ids=vocabulary.canonical_ids,
    )
    return vocabulary.text(hypothesis.token_ids)


def word_errors(truth: str, text: str) -> int:
    """Count the words substituted, left out and put in; upper and lower case are one."""
    import jiwer  # for recordings with transcripts alone

    found = jiwer.process_words(truth.casefold(), text.casefold())
    return int(found.substitutions + found.deletions + found.insertions)

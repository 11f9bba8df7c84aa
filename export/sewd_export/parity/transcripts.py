"""Transcripts of recordings, and word errors against them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sewd_export.errors import ExportError
from sewd_runtime.decode import greedy, log_softmax
from sewd_runtime.errors import TextError
from sewd_runtime.text.files import read_text_file
from sewd_runtime.text.vocabulary import Vocabulary

_NAME = "transcripts.tsv"


def read_transcripts(recordings: Sequence[Path]) -> dict[Path, str]:
    """Return the transcripts of those recordings that `transcripts.tsv` in their folder lists.

    Each line has a recording's name, with or without suffix, a tab, and its words; a second tab and the rest
    are ignored. Raises ExportError for any other line, and for a file that lists no recording of its folder.
    """
    transcripts: dict[Path, str] = {}
    for folder in sorted({path.parent for path in recordings}):
        listed = _read(folder / _NAME) if (folder / _NAME).is_file() else {}
        own = [path for path in recordings if path.parent == folder]
        known = {path: name for path in own for name in (path.stem, path.name) if name in listed}
        if listed and not known:
            raise ExportError(f"{folder / _NAME}: lists none of the recordings beside it, e.g. {own[0].name}")
        transcripts |= {path: listed[name] for path, name in known.items()}
    return transcripts


def _read(path: Path) -> dict[str, str]:
    transcripts: dict[str, str] = {}
    try:
        lines = read_text_file(path).splitlines()
    except TextError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        name, *rest = line.split("\t")
        if not rest or name in transcripts:
            fault = "is listed twice" if rest else "has no tab"
            raise ExportError(f"{path}: line {number}: {name[:60]!r} {fault}; write name, tab, words")
        transcripts[name] = rest[0]
    return transcripts


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
    import jiwer  # needed only for recordings with transcripts

    counts = jiwer.process_words(_caseless(truth), _caseless(text))
    return int(counts.substitutions + counts.deletions + counts.insertions)


def _caseless(words: Sequence[str]) -> str:
    return unicodedata.normalize("NFD", " ".join(words).casefold())

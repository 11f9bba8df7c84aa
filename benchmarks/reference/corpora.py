"""Which recordings English is taught from: six corpora, less the speakers and texts that are held out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.reference.english import (
    Utterance,
    find_recordings,
    is_held_out,
    read_transcripts,
    read_utterances,
)
from benchmarks.reference.layout import spellable

TAUGHT = (
    "librispeech_train",
    "librispeech_dev_clean",
    "common_voice",
    "arctic_kathleen",
    "ljspeech",
    "telephone",
)
VALIDATED = ("librispeech_train", "librispeech_dev_clean")
REPORTED = ("librispeech_test_clean", "librispeech_test_other")
RUN_WORDS = 6  # in a row: what no text taught may share with one that is held out
REPEATS = 10  # of one text in a corpus, its keywords for instance
TELEPHONE_MINUTES = 85.0  # a tenth of what is taught


class HeldOutTexts:
    """The texts that are never taught: ``text in held_out`` where a whole text or six words in a row agree.

    Both are compared as ``spellable`` writes them.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = {spellable(text) for text in texts}
        self._runs = {run for text in self._texts for run in _runs(text)}

    def __contains__(self, text: str) -> bool:
        """Tell whether a text must not be taught."""
        text = spellable(text)
        return text in self._texts or any(run in self._runs for run in _runs(text))

    @classmethod
    def read(cls, speech: Path) -> HeldOutTexts:
        """The texts of the reports' corpora and of the speakers for validation."""
        reported = [text for folder in REPORTED for text in read_transcripts(speech / folder).values()]
        return cls([*reported, *(text for _, text in _validation_rows(speech))])


def _runs(text: str) -> Iterator[tuple[str, ...]]:
    words = text.split()
    return (tuple(words[at : at + RUN_WORDS]) for at in range(len(words) - RUN_WORDS + 1))


def _validation_rows(speech: Path) -> Iterator[tuple[str, str]]:
    for folder in VALIDATED:
        rows = read_transcripts(speech / folder)
        yield from ((name, text) for name, text in rows.items() if is_held_out(name))


def clean_transcripts(rows: Mapping[str, str], held_out: HeldOutTexts) -> dict[str, str]:
    """Name to text, in the vocabulary's letters, of what may be taught; a text at most ``REPEATS`` times."""
    kept: dict[str, str] = {}
    repeats: Counter[str] = Counter()
    for name, text in rows.items():
        spelled = spellable(text)
        if not spelled or is_held_out(name) or spelled in held_out or repeats[spelled] == REPEATS:
            continue
        repeats[spelled] += 1
        kept[name] = spelled
    return kept


def draw_minutes(durations_s: Mapping[str, float], minutes: float, seed: int = 0) -> set[str]:
    """Names drawn at random, of ``minutes`` in all or of everything where there is less."""
    names = list(durations_s)
    drawn = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    ends_s = np.cumsum([durations_s[name] for name in drawn])
    return {name for name, end_s in zip(drawn, ends_s, strict=True) if end_s <= 60 * minutes}


def taught_transcripts(speech: Path) -> dict[str, dict[str, str]]:
    """Each corpus' folder to the names and texts of what is taught of it."""
    held_out = HeldOutTexts.read(speech)
    found = {folder: clean_transcripts(read_transcripts(speech / folder), held_out) for folder in TAUGHT}
    calls, recordings = found["telephone"], find_recordings(speech / "telephone")
    drawn = draw_minutes(
        {name: soundfile.info(recordings[name]).duration for name in calls}, TELEPHONE_MINUTES
    )
    found["telephone"] = {name: text for name, text in calls.items() if name in drawn}
    return found


def read_taught(speech: Path) -> list[Utterance]:
    """Read what is taught of every corpus, at 16 kHz."""
    return [
        one
        for folder, transcripts in taught_transcripts(speech).items()
        for one in read_utterances(speech / folder, transcripts=transcripts)
    ]


def keep(folder: Path, read: Callable[[], list[Utterance]]) -> list[Utterance]:
    """What ``read`` gives, decoded once: from then on it is mapped from ``folder``."""
    listing, joined = folder / "utterances.json", folder / "samples.npy"
    if not listing.exists():
        folder.mkdir(parents=True, exist_ok=True)
        utterances = read()
        np.save(joined, np.concatenate([one.samples for one in utterances]))
        rows = [(one.name, one.text, len(one.samples)) for one in utterances]
        part = listing.with_suffix(".part")
        part.write_text(json.dumps(rows), encoding="utf-8")
        part.replace(listing)
    samples, begin, found = np.load(joined, mmap_mode="r"), 0, []
    for name, text, length in json.loads(listing.read_text(encoding="utf-8")):
        found.append(Utterance(name=name, samples=samples[begin : begin + length], text=text))
        begin += length
    return found


def read_validation(speech: Path, every: int = 4) -> dict[str, list[Utterance]]:
    """The speakers for validation by corpus: Mini LibriSpeech's two, and of dev-clean's one in ``every``."""
    mini, dev = (read_utterances(speech / folder, only=is_held_out) for folder in VALIDATED)
    return {"mini": mini, "dev": dev[::every]}


def read_untranscribed(folder: Path) -> list[Utterance]:
    """Read a folder of recordings without transcripts: texts are empty."""
    return read_utterances(folder, transcripts=dict.fromkeys(find_recordings(folder), ""))

"""How often words of a given confidence are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.distortions import in_noise
from benchmarks.accuracy.sections import Section
from benchmarks.errors import match
from benchmarks.markdown import table
from benchmarks.reference.augmentation import Samples
from benchmarks.speech import Utterances, read_fsdd, read_test_sets, strings
from sewd_runtime import Recognizer, Word

EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
Array = NDArray[np.float64]

HEAD = """\
A word's confidence is the geometric mean of its characters' posteriors: what the model believes, not how
often it is right. It is not calibrated, because a calibration would have to be learned for each model. ECE is
the expected calibration error over ten equal bins; area is the probability that a right word has more
confidence than a wrong one. Inserted and substituted words are wrong; a deleted word has no confidence.
"""
OTHERS = """
Other definitions, on strings of the 40 dev recordings, as ECE, area. To replace ours, one would have to be
better in both on every set.
"""

CHOICES: Mapping[str, Callable[[Array], float]] = {
    "geometric mean": lambda posteriors: float(np.exp(np.log(posteriors).mean())),
    "least": lambda posteriors: float(posteriors.min()),
    "product": lambda posteriors: float(posteriors.prod()),
}
"""Definitions of a word's confidence by its characters' posteriors; the first is the one in use."""


def measure(speech: Path) -> Mapping[str, Any]:
    """Compare definitions on the dev recordings, clean and in noise; measure ours on the test strings."""
    recognizer = Recognizer.load(threads=1)
    held = read_test_sets(speech)
    dev = strings(read_fsdd(speech, "dev"), seed=3, rounds=6)
    rng = np.random.default_rng(0)
    noisy = {f"dev, pink noise at {snr} dB": in_noise(snr, dev, rng) for snr in (10, 0)}
    words = {name: _words(recognizer, utterances) for name, utterances in {"dev": dev, **noisy}.items()}
    choices = {
        name: {choice: _summary(*_judged(found, make)) for choice, make in CHOICES.items()}
        for name, found in words.items()
    }
    tests = {
        "real strings": held["known_strings"],
        "real strings, pink noise at 5 dB": in_noise(5, held["known_strings"], rng),
        "synthetic strings, held out": held["synthetic_strings"],
    }
    return {"choices": choices, "reliability": {name: _table(recognizer, one) for name, one in tests.items()}}


def _words(recognizer: Recognizer, utterances: Sequence[tuple[Samples, str]]) -> list[tuple[Word, bool]]:
    """Transcribe; return each word, and whether it is right."""
    found: list[tuple[Word, bool]] = []
    for samples, text in utterances:
        words = recognizer.transcribe(samples, characters=True).words
        right = {place for _, place in match(text.split(), [word.text for word in words])}
        found += [(word, place in right) for place, word in enumerate(words)]
    return found


def _judged(found: Sequence[tuple[Word, bool]], make: Callable[[Array], float]) -> tuple[Array, Array]:
    """Return the confidence of each word, (words,), and 1 for each that is right."""
    posteriors = [np.array([one.confidence for one in word.characters]) for word, _ in found]
    return np.array([make(one) for one in posteriors]), np.array([float(right) for _, right in found])


def _table(recognizer: Recognizer, utterances: Utterances) -> dict[str, Any]:
    found = _words(recognizer, utterances)
    confidence, right = np.array([word.confidence for word, _ in found]), np.array([one for _, one in found])
    places = np.digitize(confidence, EDGES[1:-1])
    rows = [
        {
            "from": EDGES[place],
            "to": EDGES[place + 1],
            "words": int((places == place).sum()),
            "confidence": round(float(confidence[places == place].mean()), 4),
            "right": round(float(right[places == place].mean()), 4),
        }
        for place in np.unique(places).tolist()
    ]
    return {**_summary(confidence, right.astype(np.float64)), "rows": rows}


def _summary(confidence: Array, right: Array) -> dict[str, float]:
    """Return the expected calibration error over ten equal bins (C. Guo et al., ICML 2017, equation 3), and
    the probability that a right word has more confidence than a wrong one (area under the ROC curve)."""
    bins = np.minimum((confidence * 10).astype(np.int64), 9)
    gaps = [
        abs(confidence[bins == one].mean() - right[bins == one].mean()) * (bins == one).mean()
        for one in np.unique(bins)
    ]
    good, bad = confidence[right == 1], confidence[right == 0]
    more = (good[:, None] > bad).mean() + (good[:, None] == bad).mean() / 2
    return {
        "words": len(right),
        "right": round(float(right.mean()), 4),
        "confidence": round(float(confidence.mean()), 4),
        "calibration_error": round(float(sum(gaps)), 4),
        "area": round(float(more), 4),
    }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables."""
    yield HEAD
    head = ("strings", "confidence", "words", "mean confidence", "right")
    yield from table(head, _reliability_rows(figures["reliability"]))
    yield OTHERS
    yield from table(("strings", "words", "right", *CHOICES), _choice_rows(figures["choices"]))


def _reliability_rows(reliability: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, found in reliability.items():
        for row in found["rows"]:
            yield _row(name, f"{row['from']:g} to {row['to']:g}", row)
        yield _row(name, f"all: ECE {found['calibration_error']:.3f}, area {found['area']:.2f}", found)


def _row(name: str, what: str, row: Mapping[str, Any]) -> Sequence[str]:
    return name, what, str(row["words"]), f"{row['confidence']:.3f}", f"{row['right']:.1%}"


def _choice_rows(choices: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    for name, rows in choices.items():
        first = next(iter(rows.values()))
        cells = [f"{one['calibration_error']:.3f}, {one['area']:.2f}" for one in rows.values()]
        yield name, str(first["words"]), f"{first['right']:.1%}", *cells


SECTION = Section(name="confidence", title="Confidence", measure=measure, lines=lines)

"""How often words of a confidence are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy.sections import Section
from benchmarks.accuracy.times import matched, with_noise
from benchmarks.reference.augmentation import Samples
from benchmarks.reference.digits import read_fsdd
from benchmarks.reference.evaluate_digits import Utterances, final_sets, strings
from sewd_runtime import Recognizer, Word

EDGES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
Array = NDArray[np.float64]

HEAD = """\
A word's confidence is the geometric mean of its characters' posteriors: what the model believes, not how
often it is right. Nothing corrects it, since that would have to be learned for each model. ECE is the
expected calibration error over ten equal bins; area is how often a right word has more confidence
than a wrong one. Inserted and exchanged words are wrong; a word left out has no confidence.
"""
OTHERS = """
Other ways to make it of the posteriors, on strings of the 40 dev recordings, as ECE, area. Another one would
have to be better in both on every set.
"""

CHOICES: Mapping[str, Callable[[Array], float]] = {
    "geometric mean": lambda posteriors: float(np.exp(np.log(posteriors).mean())),
    "least": lambda posteriors: float(posteriors.min()),
    "product": lambda posteriors: float(posteriors.prod()),
}
"""Ways to make a word's confidence of its characters' posteriors; the first is the one in use."""


def measure(speech: Path) -> Mapping[str, Any]:
    """Choose on the dev recordings, clean and in noise; tell how reliable it is on the test strings."""
    recognizer = Recognizer.load(threads=1)
    held = final_sets(speech, None)
    dev = strings([one for one in read_fsdd(speech / "digits_fsdd") if one.split == "dev"], seed=3, rounds=6)
    rng = np.random.default_rng(0)
    noisy = {f"dev, pink noise at {snr} dB": _noisy(dev, snr, rng) for snr in (10, 0)}
    words = {name: _words(recognizer, utterances) for name, utterances in {"dev": dev, **noisy}.items()}
    choices = {
        name: {choice: _summary(*_judged(found, make)) for choice, make in CHOICES.items()}
        for name, found in words.items()
    }
    tests = {
        "real strings": held["known_strings"],
        "real strings, pink noise at 5 dB": _noisy(held["known_strings"], 5, rng),
        "synthetic strings, held out": held["synthetic_strings"],
    }
    return {"choices": choices, "reliability": {name: _table(recognizer, one) for name, one in tests.items()}}


def _noisy(utterances: Utterances, snr_db: float, rng: np.random.Generator) -> Utterances:
    return [(with_noise(samples, snr_db, rng), text) for samples, text in utterances]


def _words(recognizer: Recognizer, utterances: Sequence[tuple[Samples, str]]) -> list[tuple[Word, bool]]:
    """Transcribe, and tell of each word whether it is right: in the true text, in its place."""
    found: list[tuple[Word, bool]] = []
    for samples, text in utterances:
        words = recognizer.transcribe(samples, characters=True).words
        right = {id(word) for word, _ in matched(words, text.split())}
        found += [(word, id(word) in right) for word in words]
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
    """Sum up: expected calibration error over ten equal bins (C. Guo et al., ICML 2017, equation 3), and how
    often a right word has more confidence than a wrong one (area under the ROC curve)."""
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
    yield "| strings | confidence | words | their mean confidence | right |"
    yield "|---|---|---|---|---|"
    for name, found in figures["reliability"].items():
        for row in found["rows"]:
            yield _row(name, f"{row['from']:g} to {row['to']:g}", row)
        yield _row(name, f"all: ECE {found['calibration_error']:.3f}, area {found['area']:.2f}", found)
    yield OTHERS
    yield "| strings | words | right | " + " | ".join(CHOICES) + " |"
    yield "|---|---|---|" + "---|" * len(CHOICES)
    for name, choices in figures["choices"].items():
        first = next(iter(choices.values()))
        cells = [f"{one['calibration_error']:.3f}, {one['area']:.2f}" for one in choices.values()]
        yield f"| {name} | {first['words']} | {first['right']:.1%} | {' | '.join(cells)} |"


def _row(name: str, what: str, row: Mapping[str, Any]) -> str:
    return f"| {name} | {what} | {row['words']} | {row['confidence']:.3f} | {row['right']:.1%} |"


SECTION = Section(name="confidence", title="Confidence", measure=measure, lines=lines)

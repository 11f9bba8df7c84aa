"""Hotwords and phrases: how many more are recognized, and what that costs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.accuracy import synthetic_voices
from benchmarks.accuracy.listening import Heard, Listener
from benchmarks.errors import as_percent, count_words, wer
from benchmarks.speech import WORDS
from sewd_runtime import BeamSearch
from sewd_runtime.decode import Decoder
from sewd_runtime.evaluation.counting import align

BONUSES = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
MAX_HARM = 0.2  # percentage points of the word error rate elsewhere
PHRASES = 10


def measure_words(
    listener: Listener,
    dev: Mapping[str, Heard],
    unlearned: Heard,
    test: Mapping[str, Heard],
) -> dict[str, Any]:
    """Measure the two words missed most by voices outside the training set, with the best bonus on dev."""
    plain = listener.read(BeamSearch(), unlearned[0])
    recall = {word: _tally(unlearned[1], plain, {word})["recall"] for word in WORDS}
    words = sorted(recall, key=lambda word: recall[word])[:2]
    bonus = _choose_bonus(
        lambda one: BeamSearch(hotwords=dict.fromkeys(words, one)),
        lambda decoder: [
            _tally(truth, listener.read(decoder, emissions), set(words)) for emissions, truth in dev.values()
        ],
    )
    with_hotwords = BeamSearch(hotwords=dict.fromkeys(words, bonus))
    figures = {
        name: [
            _tally(truth, listener.read(decoder, emissions), set(words))
            for decoder in (BeamSearch(), with_hotwords)
        ]
        for name, (emissions, truth) in test.items()
    }
    return {"words": words, "bonus": bonus, "sets": figures}


def _choose_bonus(
    make: Callable[[float], Decoder], judge: Callable[[Decoder], Sequence[Mapping[str, float]]]
) -> float:
    """Return the bonus with the most recall among those that raise no set's other errors beyond MAX_HARM.

    judge: a decoder's figures on each set of dev.
    """
    without = judge(BeamSearch())
    results = {bonus: judge(make(bonus)) for bonus in BONUSES}
    harmless = [
        bonus
        for bonus, figures in results.items()
        if all(
            after["wer_elsewhere"] <= before["wer_elsewhere"] + MAX_HARM
            for before, after in zip(without, figures, strict=True)
        )
    ]
    return max(harmless, key=lambda bonus: sum(one["recall"] for one in results[bonus]), default=BONUSES[0])


def _tally(truth: Sequence[str], guesses: Sequence[str], hot: set[str]) -> dict[str, float]:
    """Return the recall and precision of hotwords, and the share of other words that are wrong.

    Other words that are replaced or left out are wrong elsewhere, and every word too many, hotwords too.
    """
    found = said = written = wrong = others = 0
    for reference, guess in ((one.split(), two.split()) for one, two in zip(truth, guesses, strict=True)):
        said += sum(word in hot for word in reference)
        others += sum(word not in hot for word in reference)
        written += sum(word in hot for word in guess)
        for place, own in align(reference, guess):
            if place is None:
                wrong += 1
            elif own is not None and reference[place] == guess[own]:
                found += reference[place] in hot
            else:
                wrong += reference[place] not in hot
    return {
        "said": said,
        "recall": as_percent(found / max(1, said)),
        "precision": as_percent(found / max(1, written)),
        "wer_elsewhere": as_percent(wrong / max(1, others)),
    }


def measure_phrases(listener: Listener) -> dict[str, Any]:
    """Measure numbers that are known beforehand: every second utterance is one of ten."""
    rng = np.random.default_rng(3)
    numbers = [rng.integers(len(WORDS), size=5).tolist() for _ in range(PHRASES)]
    known = {" ".join(WORDS[digit] for digit in number) for number in numbers}
    dev, test = (
        listener.hear(synthetic_voices.speak(voices, seed=seed, count=20, phrases=numbers))
        for seed, voices in ((4, synthetic_voices.DEV), (5, synthetic_voices.TEST))
    )

    def judge(decoder: Decoder, utterances: Heard) -> dict[str, float]:
        guesses, truth = listener.read(decoder, utterances[0]), utterances[1]
        pairs = list(zip(truth, guesses, strict=True))
        others = [pair for pair in pairs if pair[0] not in known]
        said = len(pairs) - len(others)
        return {
            "said": said,
            "recall": as_percent(sum(one == two for one, two in pairs if one in known) / said),
            "false": sum(two in known for _, two in others),
            "wer_elsewhere": as_percent(wer(*zip(*others, strict=True))),
            "words_elsewhere": count_words([one for one, _ in others]),
        }

    def make(bonus: float) -> BeamSearch:
        return BeamSearch(hotwords=dict.fromkeys(known, bonus))

    bonus = _choose_bonus(make, lambda decoder: [judge(decoder, dev)])
    return {
        "count": PHRASES,
        "bonus": bonus,
        "results": [judge(decoder, test) for decoder in (BeamSearch(), make(bonus))],
    }

"""Greedy and beam search, language model, lexicon and hotwords: word error rates, and speed of decoding."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import synthetic_voices
from benchmarks.accuracy.decoding_report import lines
from benchmarks.accuracy.hotwords import measure_phrases, measure_words
from benchmarks.accuracy.listening import Emissions, Heard, Listener, merge
from benchmarks.accuracy.sections import Section
from benchmarks.errors import as_percent, count_words, wer
from benchmarks.speech import WORDS, Utterances, read_fsdd, read_kokoro, singles, strings
from sewd_runtime import BeamSearch, Greedy, KenlmModel
from sewd_runtime.decode import Decoder, log_softmax
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate

WIDTHS = (8, 32, 100)
ALPHAS, BETAS, UNKNOWN = (0.25, 0.5, 1.0), (0.0, 1.0, 2.0), (-10.0, -20.0)
ORDER = 3


def measure(speech: Path) -> Mapping[str, Any]:
    """Measure; settings are chosen on utterances that are in no test set."""
    listener = Listener()
    test = {name: listener.hear(utterances) for name, utterances in _test_sets(speech).items()}
    dev = {
        "espeak": listener.hear(synthetic_voices.speak(synthetic_voices.DEV, seed=2, count=20)),
        "known": listener.hear(strings(read_fsdd(speech, "dev"), rounds=4)),
        "kokoro": listener.hear(singles(read_kokoro(speech, "train")[:150])),
    }
    unlearned = merge([dev["espeak"], dev["known"]])
    with tempfile.TemporaryDirectory() as folder:
        lm = _language_model(speech, Path(folder) / "digits.arpa")
        tuned = _tune(listener, unlearned, lm)
        return {
            "decoders": _decoders(listener, test, lm, tuned),
            "tuned": {**tuned, "dev_words": count_words(unlearned[1])},
            "lm": {"order": ORDER, "text": "training strings of digits_kokoro"},
            "hotwords": measure_words(listener, dev, unlearned, test),
            "phrases": measure_phrases(listener),
            "speed": _speed(listener, test["known"][0], lm),
        }


def _test_sets(speech: Path) -> dict[str, Utterances]:
    voices = {
        engine: {name: voice for name, voice in synthetic_voices.TEST.items() if name.startswith(engine)}
        for engine in ("flite", "espeak")
    }
    return {
        "known": strings(read_fsdd(speech, "test"), rounds=4),
        "kokoro": singles(read_kokoro(speech, "test")),
        **{engine: synthetic_voices.speak(own, seed=1, count=40) for engine, own in voices.items()},
    }


def _language_model(speech: Path, path: Path) -> KenlmModel:
    training = [[WORDS[digit] for digit in one.digits] for one in read_kokoro(speech, "train")]
    write_arpa(estimate(training, order=ORDER), path)
    return KenlmModel(path)


def _tune(listener: Listener, dev: Heard, lm: KenlmModel) -> dict[str, float]:
    """Return the weights with the fewest errors on dev; of equals the first."""
    grid = [
        {"alpha": alpha, "beta": beta, "unknown_score": unknown}
        for alpha, beta, unknown in product(ALPHAS, BETAS, UNKNOWN)
    ]
    return min(grid, key=lambda one: wer(dev[1], listener.read(BeamSearch(lm=lm, **one), dev[0])))


def _decoders(
    listener: Listener,
    test: Mapping[str, Heard],
    lm: KenlmModel,
    tuned: Mapping[str, float],
) -> dict[str, Any]:
    decoders: dict[str, Decoder] = {
        "greedy": Greedy(),
        "beam": BeamSearch(),
        "beam, language model": BeamSearch(lm=lm, **tuned),
        "beam, lexicon": BeamSearch(lexicon=WORDS),
        "beam, lexicon and language model": BeamSearch(lexicon=WORDS, lm=lm, **tuned),
    }
    return {
        name: {
            "words": count_words(truth),
            "wer": {
                label: as_percent(wer(truth, listener.read(decoder, emissions)))
                for label, decoder in decoders.items()
            },
        }
        for name, (emissions, truth) in test.items()
    }


def _speed(listener: Listener, real: Emissions, lm: KenlmModel) -> dict[str, Any]:
    """Time decoding alone, on real emissions and on flat random ones, where nothing can be pruned."""
    flat = log_softmax(np.random.default_rng(0).normal(0, 0.5, (500, real[0].shape[1])).astype(np.float32))
    return {
        kind: {
            "greedy": listener.speed(Greedy(), emissions),
            **{
                f"{width}{', language model' if model else ''}": listener.speed(
                    BeamSearch(width=width, lm=model), emissions
                )
                for model in (None, lm)
                for width in WIDTHS
            },
        }
        for kind, emissions in (("real", real[:40]), ("flat", [flat]))
    }


SECTION = Section(
    name="decoding", title="Beam search, language model, hotwords", measure=measure, lines=lines
)

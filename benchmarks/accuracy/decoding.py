"""Greedy and beam search, language model, lexicon and hotwords: words wrong, and the time decoding takes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
from digits import WORDS, read_fsdd, read_kokoro
from evaluate_digits import Utterances, singles, strings

from accuracy import unheard
from accuracy.decoding_report import lines
from accuracy.sections import Section
from sewd_runtime import BeamSearch, Greedy, KenlmModel, load
from sewd_runtime.decode import Decoder, log_softmax
from sewd_runtime.ngrams.arpa import write_arpa
from sewd_runtime.ngrams.kneser_ney import estimate
from sewd_runtime.recognizer import Recognizer

WIDTHS = (8, 32, 100)
ALPHAS, BETAS, UNKNOWN = (0.25, 0.5, 1.0), (0.0, 1.0, 2.0), (-10.0, -20.0)
BONUSES = (1.0, 2.0, 4.0, 8.0)
MAX_HARM = 0.2  # percentage points of the word error rate elsewhere
PHRASES = 10
ORDER = 3
BATCH = 16

Emissions = list[np.ndarray[Any, Any]]


class Listener:
    """The model's emissions of sets of utterances, and what decoders make of them."""

    def __init__(self) -> None:
        model = load(threads=1)
        assert isinstance(model, Recognizer)
        self._model = model

    def hear(self, utterances: Utterances) -> tuple[Emissions, list[str]]:
        """Return log-probabilities, (frames, vocab) each, and what was said."""
        logits = self._model.logits([samples for samples, _ in utterances])
        return [log_softmax(one) for one in logits], [text for _, text in utterances]

    def read(self, decoder: Decoder, emissions: Emissions) -> list[str]:
        """Return the text of each."""
        vocabulary = self._model.vocabulary
        found = [
            one
            for begin in range(0, len(emissions), BATCH)
            for one in decoder.decode(*_padded(emissions[begin : begin + BATCH]), vocabulary)
        ]
        return [" ".join(vocabulary.text(one.token_ids).split()) for one in found]

    def speed(self, decoder: Decoder, emissions: Emissions) -> float:
        """Return seconds of audio decoded in a second of one core, the median of three."""
        vocabulary, rates = self._model.vocabulary, []
        stride_s = self._model.manifest.stride / self._model.manifest.sample_rate_hz
        for _ in range(3):
            begin = time.process_time()
            for one in emissions:
                decoder.decode(one[None], np.array([len(one)]), vocabulary)
            rates.append(sum(map(len, emissions)) * stride_s / (time.process_time() - begin))
        return round(float(np.median(rates)), 1)


def _padded(emissions: Emissions) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    lengths = np.array([len(one) for one in emissions])
    batch = np.zeros((len(emissions), lengths.max(), emissions[0].shape[1]), np.float32)
    for row, one in zip(batch, emissions, strict=True):
        row[: len(one)] = one
    return batch, lengths


def measure(speech: Path) -> Mapping[str, Any]:
    """Return the figures; settings are chosen on utterances that are in no test set."""
    listener = Listener()
    test = {name: listener.hear(utterances) for name, utterances in _test_sets(speech).items()}
    dev = listener.hear(unheard.speak(unheard.DEV, seed=2, count=20) + _fsdd(speech, "dev"))
    with tempfile.TemporaryDirectory() as folder:
        lm = _language_model(speech, Path(folder) / "digits.arpa")
        tuned = _tune(listener, dev, lm)
        return {
            "decoders": _decoders(listener, test, lm, tuned),
            "tuned": {**tuned, "dev_words": _count(dev[1])},
            "lm": {"order": ORDER, "text": "training strings of digits_kokoro"},
            "hotwords": _hotwords(listener, dev, test),
            "phrases": _phrases(listener),
            "speed": _speed(listener, test["known"][0], lm),
        }


def _fsdd(speech: Path, split: str) -> Utterances:
    recordings = [one for one in read_fsdd(speech / "digits_fsdd") if one.split == split]
    return strings(recordings, rounds=4)


def _test_sets(speech: Path) -> dict[str, Utterances]:
    kokoro = [one for one in read_kokoro(speech / "digits_kokoro") if one.split == "test"]
    voices = {
        engine: {name: voice for name, voice in unheard.TEST.items() if name.startswith(engine)}
        for engine in ("flite", "espeak")
    }
    return {
        "known": _fsdd(speech, "test"),
        "kokoro": singles(kokoro),
        **{engine: unheard.speak(own, seed=1, count=40) for engine, own in voices.items()},
    }


def _language_model(speech: Path, path: Path) -> KenlmModel:
    training = [one for one in read_kokoro(speech / "digits_kokoro") if one.split == "train"]
    write_arpa(estimate([[WORDS[digit] for digit in one.digits] for one in training], order=ORDER), path)
    return KenlmModel(path)


def _tune(listener: Listener, dev: tuple[Emissions, list[str]], lm: KenlmModel) -> dict[str, float]:
    """Return the weights with the fewest errors on dev, of equal ones the first."""
    grid = [
        {"alpha": alpha, "beta": beta, "unknown_score": unknown}
        for alpha, beta, unknown in product(ALPHAS, BETAS, UNKNOWN)
    ]
    return min(grid, key=lambda one: jiwer.wer(dev[1], listener.read(BeamSearch(lm=lm, **one), dev[0])))


def _decoders(
    listener: Listener,
    test: Mapping[str, tuple[Emissions, list[str]]],
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
            "words": _count(truth),
            "wer": {
                label: _percent(jiwer.wer(truth, listener.read(decoder, emissions)))
                for label, decoder in decoders.items()
            },
        }
        for name, (emissions, truth) in test.items()
    }


def _hotwords(
    listener: Listener,
    dev: tuple[Emissions, list[str]],
    test: Mapping[str, tuple[Emissions, list[str]]],
) -> dict[str, Any]:
    """Take the two words that dev's beam search misses most, and the bonus that helps them most there."""
    plain = listener.read(BeamSearch(), dev[0])
    recall = {word: _tally(dev[1], plain, {word})["recall"] for word in WORDS}
    words = sorted(recall, key=lambda word: recall[word])[:2]
    bonus = _choose_bonus(
        lambda one: BeamSearch(hotwords=dict.fromkeys(words, one)),
        lambda decoder: _tally(dev[1], listener.read(decoder, dev[0]), set(words)),
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


def _choose_bonus(make: Callable[[float], Decoder], judge: Callable[[Decoder], dict[str, float]]) -> float:
    """Return the bonus with the best recall among those that harm the rest by no more than allowed."""
    allowed = judge(BeamSearch())["wer_elsewhere"] + MAX_HARM
    results = {bonus: judge(make(bonus)) for bonus in BONUSES}
    harmless = [bonus for bonus, result in results.items() if result["wer_elsewhere"] <= allowed]
    return max(harmless, key=lambda bonus: results[bonus]["recall"], default=BONUSES[0])


def _tally(truth: Sequence[str], guesses: Sequence[str], hot: set[str]) -> dict[str, float]:
    """Count how many hotwords were found, how many of those written are right, and what is wrong elsewhere.

    Elsewhere: other words that are replaced or left out, and every word too many, hotwords too.
    """
    found = said = written = wrong = others = 0
    output = jiwer.process_words(list(truth), list(guesses))
    for reference, guess, chunks in zip(output.references, output.hypotheses, output.alignments, strict=True):
        said += sum(word in hot for word in reference)
        others += sum(word not in hot for word in reference)
        written += sum(word in hot for word in guess)
        for chunk in chunks:
            spoken = reference[chunk.ref_start_idx : chunk.ref_end_idx]
            if chunk.type == "equal":
                found += sum(word in hot for word in spoken)
            elif chunk.type == "insert":
                wrong += chunk.hyp_end_idx - chunk.hyp_start_idx
            else:
                wrong += sum(word not in hot for word in spoken)
    return {
        "said": said,
        "recall": _percent(found / max(1, said)),
        "precision": _percent(found / max(1, written)),
        "wer_elsewhere": _percent(wrong / max(1, others)),
    }


def _phrases(listener: Listener) -> dict[str, Any]:
    """Numbers that are known beforehand: every second utterance is one of ten, the others are any digits."""
    rng = np.random.default_rng(3)
    numbers = [rng.integers(len(WORDS), size=5).tolist() for _ in range(PHRASES)]
    known = {" ".join(WORDS[digit] for digit in number) for number in numbers}
    dev, test = (
        listener.hear(unheard.speak(voices, seed=seed, count=20, phrases=numbers))
        for seed, voices in ((4, unheard.DEV), (5, unheard.TEST))
    )

    def judge(decoder: Decoder, heard: tuple[Emissions, list[str]]) -> dict[str, float]:
        guesses, truth = listener.read(decoder, heard[0]), heard[1]
        pairs = list(zip(truth, guesses, strict=True))
        others = [pair for pair in pairs if pair[0] not in known]
        said = len(pairs) - len(others)
        return {
            "said": said,
            "recall": _percent(sum(one == two for one, two in pairs if one in known) / said),
            "false": sum(two in known for _, two in others),
            "wer_elsewhere": _percent(jiwer.wer([one for one, _ in others], [two for _, two in others])),
            "words_elsewhere": _count([one for one, _ in others]),
        }

    def make(bonus: float) -> BeamSearch:
        return BeamSearch(hotwords=dict.fromkeys(known, bonus))

    bonus = _choose_bonus(make, lambda decoder: judge(decoder, dev))
    return {
        "count": PHRASES,
        "bonus": bonus,
        "results": [judge(decoder, test) for decoder in (BeamSearch(), make(bonus))],
    }


def _speed(listener: Listener, real: Emissions, lm: KenlmModel) -> dict[str, Any]:
    """Time decoding alone, on real emissions and on flat ones, where nothing can be pruned."""
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


def _count(texts: Sequence[str]) -> int:
    return sum(len(text.split()) for text in texts)


def _percent(share: float) -> float:
    return round(100 * share, 2)


SECTION = Section(
    name="decoding", title="Beam search, language model, hotwords", measure=measure, lines=lines
)

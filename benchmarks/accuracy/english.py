"""The English model on speakers outside its training set: decoders, long recordings, streams."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.listening import Heard, Listener
from benchmarks.accuracy.sections import Section
from benchmarks.accuracy.streaming import hear
from benchmarks.errors import as_percent, count_words, summarise, wer
from benchmarks.markdown import table
from benchmarks.reference.english import is_held_out, read_books, read_transcripts, read_utterances
from benchmarks.results import ROOT
from benchmarks.speech import SAMPLE_RATE_HZ, Samples, Utterances, join
from sewd_export import export
from sewd_runtime import BeamSearch, Greedy, KenlmModel, Recognizer, Streaming
from sewd_runtime.decode import Decoder
from sewd_runtime.decode.lm.arpa import write_arpa
from sewd_runtime.decode.lm.kneser_ney import estimate
from sewd_runtime.decode.lm.normalisation import sentences
from sewd_runtime.long.segmentation import Segmentation

CHECKPOINT = ROOT / "benchmarks/reference/models/english"
ORDER = 3
ALPHAS, BETAS = (0.25, 0.5, 0.75, 1.0), (0.0, 1.0, 2.0, 3.0, 4.0)
RIGHT_CONTEXTS_S = (0.5, 1.0, 2.0)
PAUSES_S = (0.3, 1.5)


def read_sets(speech: Path) -> dict[str, Utterances]:
    """Read the held-out speakers of the training folder, and test-other."""
    held = read_utterances(speech / "librispeech_train", only=is_held_out)
    test = read_utterances(speech / "librispeech_test_other")
    return {
        name: [(one.floats(), one.text) for one in utterances]
        for name, utterances in (("validation", held), ("test-other", test))
    }


def read_texts(speech: Path) -> Iterator[str]:
    """Yield sentences for the language model: training and dev-clean transcripts, and two books."""
    for name, text in read_transcripts(speech / "librispeech_train").items():
        if not is_held_out(name):
            yield text
    for line in (speech / "text/librispeech_dev_clean.txt").read_text(encoding="utf-8").splitlines():
        yield line.partition(" ")[2]
    for book in read_books(speech / "text"):
        yield from re.split(r"[.!?;:]|\n\s*\n", book)


def measure(speech: Path) -> Mapping[str, Any]:
    """Choose the language model's weights on the validation speakers; measure on both sets."""
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        export(CHECKPOINT, bundle)
        listener = Listener(bundle)
        sets = read_sets(speech)
        heard = {name: listener.hear(utterances) for name, utterances in sets.items()}
        lm, words = _language_model(speech, listener, Path(folder) / "english.arpa")
        tuned = _tune(listener, heard["validation"], lm)
        decoders: dict[str, Decoder] = {
            "greedy": Greedy(),
            "beam": BeamSearch(),
            "beam, trigrams": BeamSearch(lm=lm, **tuned),
            "beam, trigrams, only their words": BeamSearch(lm=lm, lexicon=frozenset(lm.words()), **tuned),
        }
        return {
            "tuned": tuned,
            "lm_words": words,
            "sets": {
                name: {
                    "utterances": len(truth),
                    "words": count_words(truth),
                    "decoders": {
                        label: summarise(truth, listener.read(decoder, emissions))
                        for label, decoder in decoders.items()
                    },
                }
                for name, (emissions, truth) in heard.items()
            },
            "long": _long(listener.model, sets["test-other"]),
            "streams": _streams(listener.model, sets["test-other"]),
        }


def _language_model(speech: Path, listener: Listener, path: Path) -> tuple[KenlmModel, int]:
    found = list(sentences(read_texts(speech), listener.model.vocabulary))
    write_arpa(estimate(found, order=ORDER), path)
    return KenlmModel(path), sum(map(len, found))


def _tune(listener: Listener, held: Heard, lm: KenlmModel) -> dict[str, float]:
    """Return the weights with the fewest errors on every other utterance; of equals the first."""
    emissions, truth = (part[::2] for part in held)
    grid = [{"alpha": alpha, "beta": beta} for alpha, beta in product(ALPHAS, BETAS)]
    return min(grid, key=lambda one: wer(truth, listener.read(BeamSearch(lm=lm, **one), emissions)))


def _long(recognizer: Recognizer, utterances: Utterances) -> dict[str, Any]:
    """Measure all utterances in one recording with pauses, split at pauses or in windows."""
    rng = np.random.default_rng(0)

    def pause() -> Samples:
        noise = rng.standard_normal(int(rng.uniform(*PAUSES_S) * SAMPLE_RATE_HZ))
        return (noise * 1e-4).astype(np.float32)

    joined = join(utterances, pause, leading=False)
    ways = {"split at pauses": Segmentation(), "in windows": Segmentation(pause_s=None)}
    return {
        name: as_percent(wer([joined.text], [recognizer.transcribe(joined.samples, segmentation=how).text]))
        for name, how in ways.items()
    }


def _streams(recognizer: Recognizer, utterances: Utterances) -> dict[str, float]:
    """Measure each utterance as a stream of its own, by seconds of right context."""
    rates = {}
    for right_s in RIGHT_CONTEXTS_S:
        streaming = Streaming(right_context_s=right_s)
        texts = [hear(recognizer, samples, streaming).text for samples, _ in utterances]
        rates[f"{right_s:g}"] = as_percent(wer([text for _, text in utterances], texts))
    return rates


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables."""
    tuned = figures["tuned"]
    yield (
        f"The trigrams were estimated on {figures['lm_words']:,} words: training and dev-clean transcripts, "
        f"two books; alpha {tuned['alpha']:g} and beta {tuned['beta']:g} were chosen on every other "
        "validation utterance. 95 % intervals in brackets.\n"
    )
    rows = (
        (
            f"{name}: {found['utterances']} utterances, {found['words']} words",
            label,
            "{:.1f} % ({:.1f} to {:.1f})".format(row["wer"], *row["interval"]),
            f"{row['cer']:.1f} %",
        )
        for name, found in figures["sets"].items()
        for label, row in found["decoders"].items()
    )
    yield from table(("set", "decoder", "WER", "CER"), rows)
    long = ", ".join(f"{name} {rate:.1f} %" for name, rate in figures["long"].items())
    streams = ", ".join(f"{right_s} s {rate:.1f} %" for right_s, rate in figures["streams"].items())
    yield f"\nTest-other in one recording with pauses of 0.3 to 1.5 s, greedy, WER: {long}."
    yield f"\nTest-other as streams, greedy, WER by right context: {streams}."


SECTION = Section(name="english", title="English", measure=measure, lines=lines)

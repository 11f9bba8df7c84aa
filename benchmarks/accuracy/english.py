"""The English model: decoders with a language model, long recordings, streams, on speakers it never heard."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import jiwer
import numpy as np

from benchmarks.accuracy.counting import count_errors
from benchmarks.accuracy.listening import Emissions, Heard, Listener, as_percent, count_words
from benchmarks.accuracy.sections import ROOT, Section
from benchmarks.accuracy.streaming import hear
from benchmarks.reference.english import is_held_out, read_books, read_transcripts, read_utterances
from benchmarks.reference.evaluate_digits import Utterances
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
    """Speakers 32 and 3242 of the training folder, never trained on, and test-other."""
    held = read_utterances(speech / "librispeech_train", only=is_held_out)
    test = read_utterances(speech / "librispeech_test_other")
    return {
        name: [(one.floats(), one.text) for one in utterances]
        for name, utterances in (("validation", held), ("test-other", test))
    }


def read_texts(speech: Path) -> Iterator[str]:
    """Sentences for the language model: training and dev-clean transcripts, and two books."""
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
                        label: count_errors(truth, listener.read(decoder, emissions))
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
    """Return the weights with the fewest errors on half of the utterances, of equal ones the first."""
    emissions: Emissions = held[0][::2]
    truth = held[1][::2]
    grid = [{"alpha": alpha, "beta": beta} for alpha, beta in product(ALPHAS, BETAS)]
    return min(grid, key=lambda one: jiwer.wer(truth, listener.read(BeamSearch(lm=lm, **one), emissions)))


def _long(recognizer: Recognizer, utterances: Utterances) -> dict[str, Any]:
    """All utterances in one recording with pauses, parted in pauses or in windows."""
    rng, parts = np.random.default_rng(0), []
    for samples, _ in utterances:
        pause = rng.standard_normal(int(rng.uniform(*PAUSES_S) * 16_000)) * 1e-4
        parts += [samples, pause.astype(np.float32)]
    joined, truth = np.concatenate(parts), " ".join(text for _, text in utterances)
    ways = {"parted in pauses": Segmentation(), "in windows": Segmentation(pause_s=None)}
    return {
        name: as_percent(jiwer.wer(truth, recognizer.transcribe(joined, segmentation=how).text))
        for name, how in ways.items()
    }


def _streams(recognizer: Recognizer, utterances: Utterances) -> dict[str, float]:
    """Each utterance as a stream of its own, by seconds of right context."""
    truth = [text for _, text in utterances]
    return {
        f"{right_s:g}": as_percent(
            jiwer.wer(
                truth,
                [
                    hear(recognizer, samples, Streaming(right_context_s=right_s)).text
                    for samples, _ in utterances
                ],
            )
        )
        for right_s in RIGHT_CONTEXTS_S
    }


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables."""
    tuned = figures["tuned"]
    yield (
        f"The trigrams are of {figures['lm_words']:,} words: training and dev-clean transcripts, two books; "
        f"alpha {tuned['alpha']:g} and beta {tuned['beta']:g} were chosen on every other validation "
        "utterance. In brackets 95 % intervals.\n"
    )
    yield "| set | decoder | words wrong | characters wrong |"
    yield "|---|---|---|---|"
    for name, found in figures["sets"].items():
        for label, row in found["decoders"].items():
            low, high = row["interval"]
            yield (
                f"| {name}: {found['utterances']} utterances, {found['words']} words | {label} | "
                f"{row['wer']:.1f} % ({low:.1f} to {high:.1f}) | {row['cer']:.1f} % |"
            )
    long = ", ".join(f"{name} {wer:.1f} %" for name, wer in figures["long"].items())
    streams = ", ".join(f"{right_s} s {wer:.1f} %" for right_s, wer in figures["streams"].items())
    yield f"\nTest-other in one recording with pauses of 0.3 to 1.5 s, greedy: {long} of the words wrong."
    yield f"\nTest-other as streams, by right context, greedy: {streams}."


SECTION = Section(name="english", title="English", measure=measure, lines=lines)

"""Times of a known text, with the embedded model on the clips that ship beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sewd_runtime import Recognizer, read_audio
from sewd_runtime.errors import AlignmentError, BundleNotFoundError, TextError
from sewd_runtime.long.emission import emission_of
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.text.word_times import find_quiet

CLIPS = Path(__file__).parents[2] / "export" / "sewd_export" / "speech"
TEXTS = dict(line.split("\t") for line in (CLIPS / "transcripts.tsv").read_text().splitlines())
RATE = 16_000
IN_REGIONS = Segmentation(whole_s=1.0)


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    try:
        model = Recognizer.load(threads=1)
    except BundleNotFoundError:
        pytest.skip("this installation has no embedded model")
    return model


def clip(name: str) -> np.ndarray:
    return read_audio(CLIPS / name, target_rate_hz=RATE)


@pytest.mark.parametrize("name", TEXTS)
def test_what_was_transcribed_has_the_times_it_had(recognizer: Recognizer, name: str) -> None:
    transcript = recognizer.transcribe(CLIPS / name, characters=True)
    aligned = recognizer.align(CLIPS / name, transcript.text, characters=True)
    assert aligned.text == transcript.text
    assert aligned.duration_s == transcript.duration_s
    for ours, theirs in zip(aligned.words, transcript.words, strict=True):
        assert (ours.text, ours.start_s, ours.end_s) == (theirs.text, theirs.start_s, theirs.end_s)
        assert ours.confidence == pytest.approx(theirs.confidence, rel=1e-4)
        assert [one.text for one in ours.characters] == list(ours.text)


@pytest.mark.parametrize("name", TEXTS)
def test_case_and_white_space_never_matter(recognizer: Recognizer, name: str) -> None:
    aligned = recognizer.align(CLIPS / name, TEXTS[name])
    assert [word.text for word in aligned.words] == TEXTS[name].split()
    assert recognizer.align(CLIPS / name, f"\n{TEXTS[name].lower().replace(' ', '  ')}\t") == aligned


def test_silence_before_the_words_moves_them(recognizer: Recognizer) -> None:
    """In regions: then the model hears the same, however long the silence."""
    [name, *_] = TEXTS
    noise = np.random.default_rng(0).normal(0, 1e-5, 10 * RATE).astype(np.float32)
    aligned = recognizer.align(
        np.concatenate([noise, clip(name), noise]), TEXTS[name], segmentation=IN_REGIONS
    )
    later = recognizer.align(
        np.concatenate([noise, noise, clip(name), noise]), TEXTS[name], segmentation=IN_REGIONS
    )
    for one, other in zip(aligned.words, later.words, strict=True):
        assert other.start_s - one.start_s == pytest.approx(10, abs=0.02)
        assert other.end_s - one.end_s == pytest.approx(10, abs=0.02)


def test_a_long_recording_has_the_times_of_its_parts(recognizer: Recognizer) -> None:
    pause = np.random.default_rng(0).normal(0, 1e-5, 3 * RATE).astype(np.float32)
    parts, expected, begin = [], [], 0
    for name in TEXTS:
        samples = clip(name)
        alone = recognizer.align(samples, TEXTS[name])
        expected += [
            (word.text, begin / RATE + word.start_s, begin / RATE + word.end_s) for word in alone.words
        ]
        parts += [samples, pause]
        begin += len(samples) + len(pause)
    joined = np.concatenate(parts)
    aligned = recognizer.align(joined, " ".join(TEXTS.values()), segmentation=IN_REGIONS)
    assert [word.text for word in aligned.words] == [text for text, _, _ in expected]
    assert aligned.duration_s == len(joined) / RATE
    off_s = [
        max(abs(word.start_s - start_s), abs(word.end_s - end_s))
        for word, (_, start_s, end_s) in zip(aligned.words, expected, strict=True)
    ]
    assert np.median(off_s) <= 0.03
    assert max(off_s) <= 0.5


def test_the_emission_of_a_long_recording_is_that_of_its_regions(recognizer: Recognizer) -> None:
    pause = np.zeros(2 * RATE, np.float32)
    [first, second, *_] = TEXTS
    joined = np.concatenate([clip(first), pause, clip(second), pause])
    blank_id = recognizer.vocabulary.blank_id
    emission = emission_of(iter([joined]), recognizer.network, segmentation=IN_REGIONS, blank_id=blank_id)
    assert len(emission.log_probs) == len(recognizer.logits([joined])[0])
    assert len(emission.quiet) == len(find_quiet(joined, RATE))
    probabilities = np.exp(emission.log_probs, dtype=np.float64)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    middle = round((len(clip(first)) + RATE) / 320)
    assert probabilities[middle, blank_id] == 1
    assert emission.quiet[round(middle * 2)]


def test_no_text_has_no_words(recognizer: Recognizer) -> None:
    [name, *_] = TEXTS
    for text in ("", " \n"):
        aligned = recognizer.align(CLIPS / name, text)
        assert (aligned.text, aligned.segments, aligned.duration_s) == ("", (), len(clip(name)) / RATE)


@pytest.mark.parametrize("samples", [399, 400, 16_000])
def test_a_text_too_long_for_the_audio_is_an_error(recognizer: Recognizer, samples: int) -> None:
    frames = recognizer.logits([np.zeros(samples, np.float32)])[0].shape[0]
    assert (
        recognizer.align(np.zeros(samples, np.float32), "A" * ((frames + 1) // 2)).duration_s
        == samples / RATE
    )
    with pytest.raises(AlignmentError, match=f"there are {frames}; give a shorter text or all of its audio"):
        recognizer.align(np.zeros(samples, np.float32), "A" * ((frames + 1) // 2 + 1))


def test_what_the_model_cannot_write_is_an_error(recognizer: Recognizer) -> None:
    with pytest.raises(TextError, match="cannot write '7', character 5 of the text, in 'ONE 7'"):
        recognizer.align(np.zeros(16_000, np.float32), "ONE 7")
    with pytest.raises(TextError, match=r"or let it match anything with lenient=True \(--lenient\)$"):
        recognizer.align(np.zeros(16_000, np.float32), "ONE 7")


@pytest.mark.parametrize("name", TEXTS)
def test_a_wildcard_takes_the_time_of_what_it_stands_for(recognizer: Recognizer, name: str) -> None:
    known = recognizer.align(CLIPS / name, TEXTS[name]).words
    for place in range(len(known)):
        words = TEXTS[name].split()
        words[place] = "7,0"
        aligned = recognizer.align(CLIPS / name, " ".join(words), lenient=True)
        assert aligned.text.split() == [word.text for word in aligned.words] == words
        assert [word.confidence == 0 for word in aligned.words] == [word == "7,0" for word in words]
        for one, other in zip(aligned.words, known, strict=True):
            assert (one.start_s, one.end_s) == pytest.approx((other.start_s, other.end_s), abs=0.1)


def test_a_text_without_wildcards_is_aligned_alike_if_lenient(recognizer: Recognizer) -> None:
    [name, *_] = TEXTS
    aligned = recognizer.align(CLIPS / name, TEXTS[name], characters=True, lenient=True)
    assert aligned == recognizer.align(CLIPS / name, TEXTS[name], characters=True)

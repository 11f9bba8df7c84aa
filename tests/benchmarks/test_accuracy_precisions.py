"""Wrong words are counted as jiwer counts them, and distortions do what their names say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
jiwer = pytest.importorskip("jiwer", reason="errors are counted by jiwer")
pytest.importorskip("scipy", reason="the distortions need scipy")

from benchmarks.accuracy import plots  # noqa: E402
from benchmarks.accuracy.__main__ import document  # noqa: E402
from benchmarks.accuracy.distortions import DISTORTIONS, by_telephone, write_mp3  # noqa: E402
from benchmarks.errors import interval, match, wer  # noqa: E402
from sewd_runtime.evaluation.counting import align, count  # noqa: E402

RESULTS = ROOT / "benchmarks/results"
TRUTH = ["ONE TWO THREE", "FOUR", "FIVE SIX"]
HEARD = ["ONE THREE THREE", "FOUR FOUR", ""]
RATE_HZ = 16_000


def speechlike(seed: int, length: int = 24_001) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """White noise that comes and goes."""
    rng = np.random.default_rng(seed)
    level = np.abs(np.sin(np.arange(length) / 2000))
    return (0.1 * rng.normal(size=length) * level).astype(np.float32)


def test_wrong_words_sum_up_to_the_word_error_rate() -> None:
    errors = count(TRUTH, HEARD)
    assert errors.wrong.tolist() == [1, 1, 2]
    assert errors.deletions.tolist() == [0, 0, 2]
    assert errors.total.tolist() == [3, 1, 2]
    assert errors.rate == wer(TRUTH, HEARD) == jiwer.wer(TRUTH, HEARD)
    assert count([""], ["ONE TWO"]).wrong.tolist() == [2]


def test_words_are_aligned_and_matched_in_their_places() -> None:
    truth, words = ("ONE", "TWO", "THREE", "FOUR", "NINE"), ("ONE", "ONE", "THREE", "NINE")
    assert match(truth, words) == [(0, 0), (2, 2), (4, 3)]
    assert list(align(truth, words)) == [(0, 0), (1, 1), (2, 2), (3, None), (4, 3)]
    assert list(align(("ONE", "TWO", "SIX"), ("TWO", "SIX", "NINE"))) == [
        (0, None),
        (1, 0),
        (2, 1),
        (None, 2),
    ]
    assert list(align((), ("ONE",))) == [(None, 0)]
    assert list(align(("ONE",), ())) == [(0, None)]
    assert match((), ("ONE",)) == match(("ONE",), ()) == []


def test_the_interval_holds_the_share_and_narrows_with_more_utterances() -> None:
    rng = np.random.default_rng(0)
    wrong, words = rng.binomial(10, 0.2, 400), np.full(400, 10)
    low, high = interval(wrong, words)
    assert low < 100 * wrong.sum() / words.sum() < high
    few_low, few_high = interval(wrong[:25], words[:25])
    assert few_high - few_low > 2 * (high - low)
    assert interval(np.zeros(9, np.int64), np.full(9, 3)) == (0.0, 0.0)


@pytest.mark.parametrize("name", DISTORTIONS)
def test_distortions_keep_texts_and_lengths(name: str) -> None:
    given = [(speechlike(seed, 16_000 + 777 * seed), f"TEXT {seed}") for seed in range(3)]
    found = DISTORTIONS[name](given)
    assert [text for _, text in found] == [text for _, text in given]
    for (after, _), (before, _) in zip(found, given, strict=True):
        assert after.dtype == np.float32
        assert np.isfinite(after).all()
        assert abs(len(after) - len(before)) < 0.2 * RATE_HZ
        assert not np.array_equal(after, before)


@pytest.mark.parametrize("snr_db", [20, 10, 5])
def test_noise_is_as_loud_as_it_says(snr_db: int) -> None:
    samples = speechlike(1)
    [(noisy, _)] = DISTORTIONS[f"noise at {snr_db} dB"]([(samples, "")])
    assert 20 * np.log10(samples.std() / (noisy - samples).std()) == pytest.approx(snr_db, abs=0.01)


def test_a_telephone_lets_its_band_through() -> None:
    spectrum = np.abs(np.fft.rfft(by_telephone(speechlike(2, 32_000)))) ** 2
    hz = np.fft.rfftfreq(32_000, 1 / RATE_HZ)
    inside = spectrum[(hz > 500) & (hz < 3000)].mean()
    assert spectrum[hz > 4100].mean() < 1e-3 * inside
    assert spectrum[hz < 100].mean() < 1e-2 * inside


def test_mp3_has_the_rate_it_says() -> None:
    samples = speechlike(3, 10 * RATE_HZ)
    assert len(write_mp3(samples)) * 8 / 10 == pytest.approx(32_000, rel=0.05)


def test_the_document_is_what_the_results_say() -> None:
    assert (ROOT / "docs/accuracy.md").read_text(encoding="utf-8") == "\n".join(document(RESULTS))


def test_the_plot_is_of_these_results(tmp_path: Path) -> None:
    """It names every set and every precision, drawn anew and as committed."""
    content = (RESULTS / "accuracy_precisions.json").read_text(encoding="utf-8")
    (tmp_path / "accuracy_precisions.json").write_text(content, encoding="utf-8")
    plots.write(tmp_path)
    drawn = (tmp_path / plots.NAME).read_text(encoding="utf-8")
    committed = (RESULTS / plots.NAME).read_text(encoding="utf-8")
    for name, found in json.loads(content)["figures"].items():
        for text in (name, *found["variants"]):
            assert f">{text}<" in drawn
            assert f">{text}<" in committed


def test_there_is_no_plot_without_results(tmp_path: Path) -> None:
    plots.write(tmp_path)
    assert not list(tmp_path.iterdir())

"""Laws: windows are what their samples alone would give, cover the recording, and do not depend on blocks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sewd_runtime import Classification, Classifier
from sewd_runtime.errors import AudioTooShortError, AudioValueError
from sewd_runtime.inference.network import Network

MakeNetwork = Callable[[str], Network]
RATE_HZ = 16_000


@pytest.fixture
def classifier(numpy_network: MakeNetwork) -> Classifier:
    network = numpy_network("classification")
    labels = tuple(f"label {index}" for index in range(network.manifest.num_outputs))
    return Classifier(network=network, labels=labels)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    num_samples=st.integers(400, 4_000),
    window=st.integers(400, 1_500),
    every=st.integers(50, 2_000),
    cuts=st.lists(st.integers(0, 4_000), max_size=5),
)
def test_windows(classifier: Classifier, num_samples: int, window: int, every: int, cuts: list[int]) -> None:
    samples = np.random.default_rng(num_samples).normal(0, 0.1, num_samples).astype(np.float32)
    blocks = iter(np.split(samples, sorted(min(cut, num_samples) for cut in cuts)))
    sizes = {"every_s": every / RATE_HZ, "window_s": window / RATE_HZ}
    found = list(classifier.classify_windows(blocks, **sizes))
    begins = [round(one.start_s * RATE_HZ) for one in found]
    ends = [round(one.end_s * RATE_HZ) for one in found]
    regular = list(range(0, num_samples - window + 1, every))
    assert begins[: len(regular)] == regular
    assert len(found) <= len(regular) + 1
    assert ends[-1] == num_samples
    assert all(end - begin == min(window, num_samples) for begin, end in zip(begins, ends, strict=True))
    for one, begin, end in zip(found, begins, ends, strict=True):
        alone = classifier.classify(samples[begin:end])
        assert one.label == alone.label
        assert one.probabilities == pytest.approx(alone.probabilities, abs=1e-5)


def test_windows_are_given_as_soon_as_they_are_complete(classifier: Classifier) -> None:
    second = np.random.default_rng(0).normal(0, 0.1, RATE_HZ).astype(np.float32)
    taken = []

    def blocks() -> object:
        for place in range(3):
            taken.append(place)
            yield second

    first = next(classifier.classify_windows(blocks(), every_s=0.5))  # type: ignore[arg-type]
    assert (first.start_s, first.end_s) == (0.0, 1.0)
    assert len(taken) < 3


@pytest.mark.parametrize(("every_s", "window_s"), [(0.0, 1.0), (math.nan, 1.0), (0.5, 0.01), (0.5, math.inf)])
def test_lengths_that_make_no_windows(classifier: Classifier, every_s: float, window_s: float) -> None:
    with pytest.raises(AudioValueError, match=f"windows of {window_s} s every {every_s} s"):
        next(classifier.classify_windows(np.zeros(RATE_HZ, np.float32), every_s=every_s, window_s=window_s))


def test_a_recording_too_short_for_any_window(classifier: Classifier) -> None:
    with pytest.raises(AudioTooShortError, match="399 samples"):
        next(classifier.classify_windows(np.zeros(399, np.float32), every_s=0.5))


def test_the_most_probable_alone() -> None:
    found = Classification(labels=("yes", "no", "up"), probabilities=(0.5, 0.3, 0.2))
    assert found.top(2) == Classification(labels=("yes", "no"), probabilities=(0.5, 0.3))
    assert found.top(None) == found

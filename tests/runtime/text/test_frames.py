from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime.text.frames import FrameClock, num_frames, num_samples

FIELDS = st.integers(1, 2_000)
STRIDES = st.integers(1, 2_000)


def test_published_models() -> None:
    frames = [
        num_frames(length, receptive_field=400, stride=320) for length in (0, 399, 400, 719, 720, 16_000)
    ]
    assert frames == [0, 0, 1, 1, 2, 49]


@given(st.integers(0, 20_000), FIELDS, STRIDES)
def test_num_frames_counts_the_windows_that_fit(length: int, receptive_field: int, stride: int) -> None:
    starts = np.arange(0, length, stride) if length else np.arange(0)
    fitting = int((starts + receptive_field <= length).sum())
    assert num_frames(length, receptive_field=receptive_field, stride=stride) == fitting


@given(st.integers(1, 1_000), FIELDS, STRIDES)
def test_num_samples_is_the_boundary(frames: int, receptive_field: int, stride: int) -> None:
    shape = {"receptive_field": receptive_field, "stride": stride}
    fewest = num_samples(frames, **shape)
    assert num_frames(fewest, **shape) == frames
    assert num_frames(fewest - 1, **shape) == frames - 1


@given(st.integers(0, 10_000_000), STRIDES, st.sampled_from([8_000, 11_025, 16_000, 44_100, 48_000]))
def test_seconds_and_back(frame: int, stride: int, sample_rate_hz: int) -> None:
    clock = FrameClock(stride=stride, sample_rate_hz=sample_rate_hz)
    assert clock.frame(clock.seconds(frame)) == frame
    assert clock.seconds(frame) == frame * stride / sample_rate_hz

"""A part of a recording has exactly the samples of the whole one; a channel those of that channel alone."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import read_audio
from sewd_runtime.audio.reading import count_channels, stream_audio
from sewd_runtime.errors import AudioValueError

NOISE = np.random.default_rng(0).normal(0, 0.1, (48_000, 3)).astype(np.float32)


def wav(rate_hz: int = 16_000, form: str = "WAV", subtype: str = "FLOAT") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, NOISE, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


CONTENTS = {
    "wav": wav(),
    "flac": wav(form="FLAC", subtype="PCM_16"),
    "ogg": wav(form="OGG", subtype="VORBIS"),
}


@given(st.sampled_from(sorted(CONTENTS)), st.floats(0, 2.9), st.none() | st.floats(0.001, 4))
def test_a_part_is_that_of_the_whole(kind: str, start_s: float, duration_s: float | None) -> None:
    whole = read_audio(CONTENTS[kind])
    first = round(16_000 * start_s)
    last = None if duration_s is None else first + round(16_000 * duration_s)
    part = read_audio(CONTENTS[kind], start_s=start_s, duration_s=duration_s)
    np.testing.assert_array_equal(part, whole[first:last])


def test_a_part_is_cut_before_it_is_resampled() -> None:
    part = read_audio(wav(48_000), start_s=0.25, duration_s=0.5)
    cut = NOISE[12_000:36_000].mean(axis=1, dtype=np.float64).astype(np.float32)
    np.testing.assert_array_equal(part, read_audio(cut, sample_rate_hz=48_000))


def test_what_follows_the_part_is_not_read() -> None:
    broken = NOISE.copy()
    broken[40_000:] = np.nan
    blocks = iter(np.split(broken, 48))
    assert len(read_audio(blocks, start_s=1.0, duration_s=1.0)) == 16_000
    assert len(list(blocks)) == 48 - 32


@pytest.mark.parametrize("start_s", [3.0, 10.0])
def test_a_start_behind_the_end_is_named(start_s: float) -> None:
    with pytest.raises(AudioValueError, match=f"ends at 3 s, before the start at {start_s:g} s"):
        read_audio(wav(), start_s=start_s)


@pytest.mark.parametrize(
    "part", [{"start_s": -1}, {"start_s": math.nan}, {"duration_s": 0}, {"duration_s": math.inf}]
)
def test_times_that_are_none_are_refused(part: dict[str, float]) -> None:
    with pytest.raises(AudioValueError, match="must be a number of seconds"):
        read_audio(wav(), **part)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["wav", "flac", "array", "pipe"])
@pytest.mark.parametrize("channel", [1, 2, 3])
def test_a_channel_is_read_alone(kind: str, channel: int) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    sources = {**CONTENTS, "array": NOISE, "pipe": Pipe(wav())}
    samples = read_audio(sources[kind], channel=channel)
    expected = NOISE[:, channel - 1]
    np.testing.assert_allclose(samples, expected, atol=1e-4 if kind == "flac" else 0)


@pytest.mark.parametrize("source", [wav(), NOISE, NOISE[:, 0]])
@pytest.mark.parametrize("channel", [0, 4])
def test_a_channel_that_is_not_there_is_named(source: bytes | np.ndarray, channel: int) -> None:
    with pytest.raises(AudioValueError, match=rf"has \d channels?; there is no channel {channel}"):
        next(stream_audio(source, channel=channel))


def test_channels_are_counted(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.wav"
    path.write_bytes(wav())
    assert count_channels(path) == 3

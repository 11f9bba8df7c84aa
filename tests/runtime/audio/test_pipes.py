"""Laws of audio from a pipe: the samples are those of the file, however its bytes arrive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sewd_runtime.audio.pipes import read_pipe
from sewd_runtime.audio.reading import read_audio, stream_audio
from sewd_runtime.audio.rules import Rules
from sewd_runtime.errors import AudioDecodeError, AudioValueError, AudioWarning

RULES = Rules(name="-", strict=False, max_duration_s=None)
SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


class Trickle:
    """A pipe into which so many bytes are written at a time."""

    def __init__(self, content: bytes, sizes: Iterator[int]) -> None:
        self._file, self._sizes = io.BytesIO(content), sizes

    def read1(self, size: int, /) -> bytes:
        return self._file.read1(min(size, next(self._sizes)))

    def read(self, size: int, /) -> bytes:
        raise AssertionError("waits for more than has arrived")


def wav(subtype: str, channels: int = 1, num_samples: int = 3001, form: str = "WAV") -> bytes:
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (num_samples, channels))
    file = io.BytesIO()
    soundfile.write(file, noise, 16_000, subtype=subtype, format=form)
    return file.getvalue()


def read(content: bytes, sizes: Iterator[int] | None = None) -> np.ndarray[Any, Any]:
    return read_audio(Trickle(content, sizes or iter(lambda: 1000, 0)))  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_the_samples_are_those_of_the_file(subtype: str, channels: int, form: str) -> None:
    content = wav(subtype, channels, form=form)
    np.testing.assert_array_equal(read(content), read_audio(content))


@pytest.mark.parametrize("num_samples", [3001, 3000])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_joined_recordings_are_those_of_the_file(subtype: str, num_samples: int) -> None:
    content = wav(subtype, num_samples=num_samples) + wav("PCM_16") + wav(subtype)
    assert len(read_audio(content)) == num_samples + 2 * 3001
    np.testing.assert_array_equal(read(content), read_audio(content))


@pytest.mark.parametrize("second", [wav("PCM_16", channels=2), wav("ULAW"), wav("PCM_16", form="AIFF")])
def test_a_joined_recording_that_does_not_fit_is_missed(second: bytes) -> None:
    content = wav("PCM_16") + second
    with pytest.warns(AudioWarning, match="a recording of another format follows"):
        assert len(read(content)) == 3001
    with pytest.raises(AudioDecodeError, match="a recording of another format follows"):
        read_audio(Trickle(content, iter(lambda: 1000, 0)), strict=True)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=50)
@given(sizes=st.lists(st.integers(1, 200), min_size=1), channels=st.integers(1, 3))
def test_however_the_bytes_arrive(sizes: list[int], channels: int) -> None:
    content = wav("PCM_24", channels)
    endless = (size for _ in iter(int, 1) for size in sizes)
    np.testing.assert_array_equal(read(content, endless), read_audio(content))


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_length_that_the_writer_did_not_know(size: int) -> None:
    content = wav("PCM_16")
    live = content.replace(b"data" + (2 * 3001).to_bytes(4, "little"), b"data" + size.to_bytes(4, "little"))
    assert live != content
    np.testing.assert_array_equal(read(live), read_audio(content))


def test_samples_come_before_the_pipe_ends() -> None:
    def never() -> Iterator[int]:
        yield from [12, 8, 16, 8, 3200]  # RIFF, fmt and its head, data's head, a first block
        raise AssertionError("read on before the samples that are there were used")

    blocks, rate_hz = read_pipe(Trickle(wav("PCM_16"), never()), RULES)
    assert rate_hz == 16_000
    assert len(next(blocks)) == 1599  # type: ignore[arg-type]


def test_a_truncated_pipe_gives_its_samples_and_then_a_warning() -> None:
    content = wav("PCM_16")[:-100]
    with pytest.warns(AudioWarning, match="truncated: 100 of 6002 bytes of samples are missing"):
        samples = read_audio(Trickle(content, iter(lambda: 1000, 0)))  # type: ignore[arg-type]
    np.testing.assert_array_equal(samples, read_audio(wav("PCM_16"))[:2951])
    heard = 0
    with pytest.raises(AudioDecodeError, match="truncated: 100 of 6002 bytes of samples are missing"):
        for block in stream_audio(Trickle(content, iter(lambda: 1000, 0)), strict=True):  # type: ignore[arg-type]
            heard += len(block)
    assert heard == 2951


@pytest.mark.parametrize(
    ("content", "is_whole"),
    [
        (wav("ALAW"), True),  # formats for libsndfile
        (wav("PCM_16", form="AIFF"), True),
        (wav("PCM_16", form="FLAC"), True),
        (wav("PCM_16")[:40], True),
        (b"RIFF", True),
        (b"", True),
        (wav("PCM_16", num_samples=0), False),
    ],
)
def test_anything_else_is_read_as_a_file(content: bytes, is_whole: bool) -> None:
    audio, _ = read_pipe(io.BytesIO(content), RULES)
    if is_whole:
        with closing(audio) as file:  # type: ignore[type-var]
            assert file.read() == content  # type: ignore[union-attr]
    if not is_whole:
        with pytest.raises(AudioValueError, match="holds no samples"):
            read(content)

from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import read_audio
from sewd_runtime.errors import AudioDecodeError, AudioError, AudioValueError, AudioWarning

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000)
TONE_HZ = 440
LOSSLESS = {"PCM_16": 1e-4, "PCM_24": 1e-6, "PCM_32": 1e-6, "FLOAT": 0, "DOUBLE": 0}


def tone(rate_hz: int, seconds: float = 1.0, channels: int = 1) -> np.ndarray:
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    return np.repeat(0.5 * np.sin(2 * np.pi * TONE_HZ * time)[:, None], channels, axis=1).astype(np.float32)


def encode(samples: np.ndarray, rate_hz: int, form: str, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype)
    return file.getvalue()


def can_write(form: str, subtype: str) -> bool:
    try:
        encode(tone(16_000), 16_000, form, subtype)
    except soundfile.LibsndfileError:
        return False
    return True


FORMATS = [
    (form, subtype)
    for form in ("WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3", "AIFF")
    for subtype in soundfile.available_subtypes(form)
    if not subtype.startswith("DWVW")  # libsndfile cannot read back from memory what it wrote
    if can_write(form, subtype)
]


def test_enough_formats() -> None:
    assert {("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("WAV", "MS_ADPCM")} <= set(FORMATS)


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_every_format_rate_and_channel_count(form: str, subtype: str, tmp_path: Path) -> None:
    read = 0
    for rate_hz in RATES_HZ:
        for channels in (1, 2, 6):
            try:
                content = encode(tone(rate_hz, channels=channels), rate_hz, form, subtype)
            except soundfile.LibsndfileError:
                continue  # some take one channel only, some few rates
            samples = read_audio(content)
            path = tmp_path / "tone"
            path.write_bytes(content)
            np.testing.assert_array_equal(samples, read_audio(path))
            check_tone(samples)
            read += 1
    assert read


def check_tone(samples: np.ndarray) -> None:
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert 15_900 < len(samples) < 17_500  # some codecs fill their last block
    middle = samples[4_000:12_000] * np.hanning(8_000)
    assert abs(np.abs(np.fft.rfft(middle)).argmax() * 2 - TONE_HZ) <= 2
    assert 0.28 < np.sqrt(np.mean(samples[4_000:12_000] ** 2)) < 0.4


@pytest.mark.parametrize(("subtype", "error"), LOSSLESS.items())
def test_equal_rate_changes_nothing(subtype: str, error: float) -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, 12_345).astype(np.float32)
    assert np.abs(read_audio(encode(samples, 16_000, "WAV", subtype)) - samples).max() <= error


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("target_rate_hz", [8_000, 16_000])
def test_resampling_is_soxrs(rate_hz: int, target_rate_hz: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20_001).astype(np.float32)
    samples = read_audio(noise, sample_rate_hz=rate_hz, target_rate_hz=target_rate_hz)
    if rate_hz == target_rate_hz:
        np.testing.assert_array_equal(samples, noise)
    else:
        np.testing.assert_array_equal(samples, soxr.resample(noise, rate_hz, target_rate_hz, quality="HQ"))
    assert abs(len(samples) - len(noise) * target_rate_hz / rate_hz) <= 1


def test_channels_are_averaged() -> None:
    left, right = np.random.default_rng(0).uniform(-1, 1, (2, 1_000)).astype(np.float32)
    content = encode(np.stack([left, right], axis=1), 16_000, "WAV", "FLOAT")
    np.testing.assert_allclose(read_audio(content), (left + right) / 2, atol=1e-7)
    np.testing.assert_array_equal(read_audio(content), read_audio(np.stack([left, right], axis=1)))


def test_loud_float_samples_are_kept() -> None:
    samples = np.array([2.0, -3.0] * 300, dtype=np.float32)
    np.testing.assert_array_equal(read_audio(encode(samples, 16_000, "WAV", "FLOAT")), samples)


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        ("int8", -128, 127),
        ("uint8", 0, 255),
        ("int16", -32_768, 32_767),
        ("uint16", 0, 65_535),
        ("int32", -(2**31), 2**31 - 1),
    ],
)
def test_integers_span_their_full_scale(kind: str, low: int, high: int) -> None:
    lowest, highest = read_audio(np.array([low, high], dtype=kind))
    assert lowest == -1
    assert 0.99 < highest <= 1


def test_int16_arrays_equal_int16_files() -> None:
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 5_000).astype(np.int16)
    np.testing.assert_array_equal(read_audio(encode(samples, 16_000, "WAV", "PCM_16")), read_audio(samples))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_float_arrays_of_any_width(kind: Any) -> None:
    samples = read_audio(np.array([0.5, -0.25], dtype=kind))
    assert samples.dtype == np.float32
    assert samples.tolist() == [0.5, -0.25]


def test_the_callers_array_is_not_touched() -> None:
    for samples in (np.ones(1_000, np.float32), np.ones((1_000, 2), np.float32)[:, ::-1]):
        before = samples.copy()
        read_audio(samples, sample_rate_hz=8_000)
        read_audio(samples)
        np.testing.assert_array_equal(samples, before)


def test_every_kind_of_source(tmp_path: Path) -> None:
    content = encode(tone(16_000), 16_000, "FLAC", "PCM_16")
    path = tmp_path / "tone.flac"
    path.write_bytes(content)
    expected = read_audio(path)
    with path.open("rb") as file:
        for source in (
            str(path),
            content,
            bytearray(content),
            memoryview(content),
            io.BytesIO(content),
            file,
        ):
            np.testing.assert_array_equal(read_audio(source), expected)
    after_header = io.BytesIO(b"header" + content)
    after_header.seek(6)
    np.testing.assert_array_equal(read_audio(after_header), expected)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe(tmp_path: Path) -> None:
    content = encode(tone(16_000), 16_000, "WAV", "PCM_16")
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe"), read_audio(content))
    writer.join()


@pytest.mark.parametrize(
    "content", [b"x", b"RIFF", b"OggS", b"fLaC", b"ID3", b"not audio at all" * 100, bytes(5_000)]
)
def test_not_audio(content: bytes) -> None:
    with pytest.raises(AudioDecodeError):
        read_audio(content)


@pytest.mark.filterwarnings("ignore::sewd_runtime.AudioWarning")
@given(
    st.sampled_from([b"", b"RIFF", b"FORM", b"OggS", b"fLaC", b"RIFX", b"ID3\3\0\0"]), st.binary(max_size=200)
)
def test_any_bytes_raise_only_our_errors(magic: bytes, content: bytes) -> None:
    with pytest.raises(AudioError):
        read_audio(magic + content)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value: float) -> None:
    samples = tone(16_000)[:, 0]
    samples[7_000] = value
    for source in (samples, encode(samples, 16_000, "WAV", "FLOAT")):
        with pytest.raises(AudioValueError, match="NaN or infinite"):
            read_audio(source)
    with pytest.raises(AudioValueError, match="NaN or infinite"):
        read_audio(np.array([1e300]))


@pytest.mark.parametrize("form", ["WAV", "AIFF"])
def test_no_samples(form: str) -> None:
    with pytest.raises(AudioValueError, match="no samples"):
        read_audio(encode(np.zeros((0, 1), np.float32), 16_000, form, "PCM_16"))
    for array in (np.zeros(0, np.float32), np.zeros((0, 2), np.int16)):
        with pytest.raises(AudioValueError, match="no samples"):
            read_audio(array)


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    for source in (tmp_path / "empty.wav", b"", io.BytesIO()):
        with pytest.raises(AudioValueError, match="is empty"):
            read_audio(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((2, 3, 4)), "shape"),
        (np.float32(1), "shape"),
        (np.zeros((2, 16_000)), "transpose"),
        (np.zeros(100, np.int64), "full scale"),
        (np.zeros(100, bool), "full scale"),
        (np.zeros(100, complex), "full scale"),
        (np.array(["a"]), "full scale"),
        ([0.0, 1.0], "_batch"),
        (None, "NoneType"),
        (io.StringIO("text"), "'rb'"),
        ("a\0.wav", "cannot be the name of a file"),
        ("a\ud800.wav", "cannot be the name of a file"),
    ],
)
def test_unfit_sources(source: Any, words: str) -> None:
    with pytest.raises(AudioValueError, match=words):
        read_audio(source)


@pytest.mark.parametrize("rate_hz", [0, -16_000, 1, 10**9, True])
def test_unfit_rates(rate_hz: int) -> None:
    with pytest.raises(AudioValueError, match="sample rate"):
        read_audio(np.zeros(100, np.float32), sample_rate_hz=rate_hz)
    with pytest.raises(AudioValueError, match="sample rate"):
        read_audio(np.zeros(100, np.float32), target_rate_hz=rate_hz)


def test_a_file_knows_its_rate() -> None:
    content = encode(tone(8_000), 8_000, "WAV", "PCM_16")
    np.testing.assert_array_equal(read_audio(content, sample_rate_hz=8_000), read_audio(content))
    with pytest.raises(AudioValueError, match="8000 Hz, not 16000"):
        read_audio(content, sample_rate_hz=16_000)


def test_a_path_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_audio(tmp_path / "nothing.wav")
    with pytest.raises(OSError, match="directory"):
        read_audio(tmp_path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with path.open("rb") as file:
        for source in (path, str(path), file):
            with pytest.raises(AudioDecodeError, match=r"notes\.txt"):
                read_audio(source)


def test_real_odd_files(speech: Path) -> None:
    paths = sorted((speech / "noise").iterdir())
    assert paths
    for path in paths:
        expected, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
        samples = read_audio(path)
        assert np.isfinite(samples).all()
        assert abs(len(samples) - len(expected) * 16_000 / rate_hz) <= 1
        if rate_hz == 16_000:
            np.testing.assert_allclose(samples, expected.mean(axis=1), atol=1e-6)


def test_real_opus_and_flac(speech: Path) -> None:
    for pattern in ("digits_kokoro/**/*.o*", "librispeech_untranscribed/**/*.flac"):
        paths = sorted(path for path in speech.glob(pattern) if path.is_file())[:3]
        assert paths
        for path in paths:
            samples = read_audio(path)
            assert len(samples) > 8_000
            assert 0.001 < np.abs(samples).max() < 2
            with pytest.raises(AudioDecodeError):
                read_audio(path.read_bytes()[:-100], strict=True)
            with pytest.warns(AudioWarning, match="truncated"):
                cut = read_audio(path.read_bytes()[:-100])
            np.testing.assert_array_equal(cut, samples[: len(cut)])

"""Containers beyond libsndfile: samples are those of ffmpeg, and what is missing is said."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tracemalloc
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sewd_runtime import AudioDecodeError, AudioError, AudioWarning, read_audio
from sewd_runtime.audio import ffmpeg
from sewd_runtime.audio.reading import stream_audio
from sewd_runtime.errors import AudioTooLongError, AudioValueError

av = pytest.importorskip("av", reason="needs PyAV: pip install 'sewd[media]'")

FFMPEG = shutil.which("ffmpeg")
needs_ffmpeg = pytest.mark.skipif(FFMPEG is None, reason="needs the program ffmpeg")

CASES = (
    ("mp4", "aac", 16_000, 1),
    ("mp4", "aac", 44_100, 2),
    ("ipod", "alac", 16_000, 1),
    ("mov", "pcm_s16le", 48_000, 2),
    ("matroska", "aac", 44_100, 1),
    ("matroska", "flac", 16_000, 2),
    ("webm", "libopus", 48_000, 2),
    ("adts", "aac", 32_000, 1),
    ("asf", "wmav2", 44_100, 2),
    ("amr", "libopencore_amrnb", 8_000, 1),
    ("avi", "pcm_s16le", 16_000, 1),
    ("mpegts", "aac", 48_000, 1),
    ("wav", "g722", 16_000, 1),
    ("wav", "mp2", 32_000, 2),
    ("ogg", "flac", 16_000, 2),
    ("wv", "wavpack", 16_000, 1),
    ("ac3", "ac3", 48_000, 2),
)
"""Muxer, encoder, rate in Hz and channels."""


@cache
def speechlike(rate_hz: int, channels: int, seconds: float) -> np.ndarray:
    """Noise whose loudness changes, different in each channel."""
    random = np.random.default_rng(0)
    time = np.arange(round(rate_hz * seconds)) / rate_hz
    swell = 0.1 * (1.1 + np.sin(2 * np.pi * (1 + np.arange(channels)) * time[:, None]))
    smooth = np.cumsum(random.normal(0, 1, (len(time), channels)), axis=0)
    smooth -= np.convolve(smooth[:, 0], np.ones(65) / 65, "same")[:, None]
    return np.clip(swell * smooth / np.abs(smooth).max(), -1, 1).astype(np.float32)


def write_media(
    muxer: str, codec: str, samples: np.ndarray, rate_hz: int, options: dict[str, str] | None = None
) -> bytes:
    """Return a container with one audio stream."""
    file = io.BytesIO()
    channels = samples.shape[1]
    with av.open(file, "w", format=muxer, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout="mono" if channels == 1 else "stereo")
        if codec == "wmav2":
            stream.bit_rate = 64_000
        values = np.round(samples * 32767).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(values, format="s16", layout=stream.layout.name)
        frame.sample_rate, frame.pts = rate_hz, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


@cache
def media(muxer: str, codec: str, rate_hz: int, channels: int, seconds: float = 2.0) -> bytes:
    try:
        return write_media(muxer, codec, speechlike(rate_hz, channels, seconds), rate_hz)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"PyAV cannot write {codec} in {muxer} here: {error}")


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def with_ffmpeg(path: Path) -> tuple[np.ndarray, int]:
    """Return the samples ``(samples, channels)`` of a file as the program ffmpeg decodes it."""
    assert FFMPEG is not None
    target = path.with_suffix(".decoded.wav")
    command = [
        FFMPEG,
        "-nostdin",
        "-v",
        "error",
        "-y",
        "-i",
        path,
        "-map",
        "0:a:0",
        "-c:a",
        "pcm_f32le",
        target,
    ]
    subprocess.run(command, check=True, timeout=60)
    samples, rate_hz = soundfile.read(target, dtype="float32", always_2d=True)
    return samples, rate_hz


@needs_ffmpeg
@pytest.mark.parametrize(("muxer", "codec", "rate_hz", "channels"), CASES)
def test_samples_are_those_of_ffmpeg(
    muxer: str, codec: str, rate_hz: int, channels: int, tmp_path: Path
) -> None:
    path = tmp_path / "recording.bin"  # by its content, not by its name
    path.write_bytes(media(muxer, codec, rate_hz, channels))
    expected, expected_hz = with_ffmpeg(path)
    assert expected_hz == rate_hz
    samples = read_audio(path, target_rate_hz=rate_hz)
    if (muxer, codec) == ("matroska", "aac"):  # ffmpeg before 7 leaves the encoder's delay in
        expected = expected[len(expected) - len(samples) :]
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples, expected.mean(axis=1), atol=1e-6)
    assert np.abs(samples).max() > 0.01


@pytest.mark.parametrize("codec", ["aac", "flac", "alac"])
def test_one_codec_in_two_containers_gives_the_same_samples(codec: str) -> None:
    in_mp4 = read_audio(media("mp4", codec, 16_000, 1))
    in_matroska = read_audio(media("matroska", codec, 16_000, 1))
    # Matroska does not say where the padding of the last packet begins.
    assert 0 <= len(in_matroska) - len(in_mp4) < 1_100
    np.testing.assert_array_equal(in_matroska[: len(in_mp4)], in_mp4)


@pytest.mark.parametrize(("muxer", "codec"), [("mov", "pcm_s16le"), ("matroska", "flac"), ("ipod", "alac")])
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
def test_lossless_samples_are_those_of_libsndfile(muxer: str, codec: str, rate_hz: int) -> None:
    """Also at another rate: the same resampler, whatever decoded the file."""
    samples = speechlike(rate_hz, 2, 2.0)
    wav = io.BytesIO()
    soundfile.write(wav, np.round(samples * 32767).astype(np.int16), rate_hz, format="WAV", subtype="PCM_16")
    expected = read_audio(wav.getvalue())
    np.testing.assert_allclose(read_audio(media(muxer, codec, rate_hz, 2)), expected, atol=1e-6)


def test_the_delay_of_the_encoder_is_left_out() -> None:
    """An AAC encoder puts 1,024 samples before the first: with them every word would be 64 ms late."""
    click = np.zeros((32_000, 1), np.float32)
    click[16_000:16_032] = 0.9
    content = write_media("mp4", "aac", click, 16_000)
    assert abs(int(np.abs(read_audio(content)).argmax()) - 16_016) < 32


@pytest.mark.parametrize("kind", ["path", "bytes", "file", "pipe"])
def test_every_source(kind: str, tmp_path: Path) -> None:
    content = media("mp4", "aac", 16_000, 1)
    path = tmp_path / "a.m4a"
    path.write_bytes(content)

    sources: dict[str, Any] = {
        "path": path,
        "bytes": content,
        "file": io.BytesIO(content),
        "pipe": Pipe(content),
    }
    np.testing.assert_array_equal(read_audio(sources[kind]), read_audio(bytes(content)))


def test_audio_of_a_video_that_begins_later_keeps_its_times() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        audio = container.add_stream("flac", rate=16_000, layout="mono")
        for number in range(20):
            picture = av.VideoFrame(32, 32, "yuv420p")
            picture.pts = number
            for packet in video.encode(picture):
                container.mux(packet)
        values = np.full((1, 16_000), 8_192, np.int16)
        frame = av.AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16_000, 8_000
        for packet in (*video.encode(None), *audio.encode(frame), *audio.encode(None)):
            container.mux(packet)
    samples = read_audio(file.getvalue())
    assert not samples[:7_900].any()
    np.testing.assert_array_equal(samples[-15_900:], 0.25)
    assert abs(len(samples) - 24_000) <= 16  # Matroska's times are whole milliseconds


def test_memory_does_not_grow_with_the_length() -> None:
    content = media("mp4", "aac", 16_000, 1, 120.0)
    tracemalloc.start()
    blocks = stream_audio(content)
    num_samples = sum(len(block) for block in blocks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert num_samples >= 120 * 16_000
    assert peak < 4 * num_samples  # less than all samples in float32 once


@pytest.mark.parametrize(
    ("muxer", "codec"), [("mp4", "aac"), ("matroska", "flac"), ("asf", "wmav2"), ("avi", "pcm_s16le")]
)
def test_what_is_cut_off_is_said(muxer: str, codec: str) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if muxer == "mp4" else {}
    content = write_media(muxer, codec, speechlike(16_000, 1, 4.0), 16_000, options)
    with pytest.warns(AudioWarning, match=r"truncated: .* bytes are missing"):
        part = read_audio(content[: len(content) * 3 // 4])
    whole = read_audio(content)
    assert 0.2 < len(part) / len(whole) < 0.9
    same = len(part) - 4_096  # the last frames overlap with the ones that are missing
    np.testing.assert_allclose(part[:same], whole[:same], atol=1e-6)
    with pytest.raises(AudioDecodeError, match=r"truncated: .* bytes are missing"):
        read_audio(content[: len(content) * 3 // 4], strict=True)


def test_a_recording_without_its_index_is_refused() -> None:
    content = media("mp4", "aac", 16_000, 1)  # the index is at the end
    with pytest.raises(AudioDecodeError, match=r"truncated: its index \(moov\) is missing"):
        read_audio(content[: len(content) // 2])


def test_limits_come_from_the_header() -> None:
    content = media("mp4", "aac", 44_100, 2)
    with pytest.raises(AudioTooLongError, match="longer than the limit of 1 s"):
        next(stream_audio(content, max_duration_s=1.0))
    with pytest.raises(AudioValueError, match="has 2 channels, more than the limit of 1"):
        next(stream_audio(content, max_channels=1))


@pytest.mark.parametrize(("muxer", "codec", "rate_hz"), [("wav", "g722", 16_000), ("ogg", "flac", 16_000)])
def test_joined_files_are_read_one_after_another(muxer: str, codec: str, rate_hz: int) -> None:
    content = media(muxer, codec, rate_hz, 1)
    once = read_audio(content)
    np.testing.assert_array_equal(read_audio(content * 2), np.concatenate([once, once]))


@pytest.mark.parametrize(("muxer", "codec", "rate_hz"), [("adts", "aac", 32_000), ("mpegts", "aac", 48_000)])
def test_a_broadcast_recorded_from_its_middle(muxer: str, codec: str, rate_hz: int) -> None:
    content = media(muxer, codec, rate_hz, 1)
    cut = content[100:] if muxer == "adts" else content[4 * 188 - 40 :]
    assert len(read_audio(cut)) > 0.9 * len(read_audio(content))


def test_mp3_in_wav_is_whole() -> None:
    content = media("wav", "libmp3lame", 16_000, 1)
    assert len(read_audio(content, strict=True)) >= 2 * 16_000


def test_a_recording_that_stopped_at_once_is_named() -> None:
    head = write_media("webm", "libopus", speechlike(48_000, 2, 0.1), 48_000, {"live": "1"})[:110]
    with pytest.raises(AudioDecodeError, match="cannot be read as audio: it ends before its audio begins"):
        read_audio(head)


def test_a_video_without_audio_is_named() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
        for packet in (*video.encode(av.VideoFrame(32, 32, "yuv420p")), *video.encode(None)):
            container.mux(packet)
    with pytest.raises(AudioDecodeError, match="holds no audio"):
        read_audio(file.getvalue())


def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.aac"
    secret.write_bytes(media("adts", "aac", 32_000, 1))
    for text in (
        f"#EXTM3U\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {secret}\n",
    ):
        with pytest.raises(AudioDecodeError, match="cannot be read as audio"):
            read_audio(text.encode())


@pytest.fixture
def without_pyav(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)


@needs_ffmpeg
@pytest.mark.parametrize("kind", ["path", "bytes", "pipe"])
@pytest.mark.parametrize(("muxer", "codec", "rate_hz", "channels"), CASES)
def test_the_program_gives_the_same_samples_if_it_is_allowed(
    muxer: str, codec: str, rate_hz: int, channels: int, kind: str, tmp_path: Path, monkeypatch: Any
) -> None:
    content = media(muxer, codec, rate_hz, channels)
    path = tmp_path / "a b;'c.bin"
    path.write_bytes(content)
    expected = read_audio(content, target_rate_hz=rate_hz)
    monkeypatch.setitem(sys.modules, "av", None)
    source: Any = {"path": path, "bytes": content, "pipe": Pipe(content)}[kind]
    with pytest.raises(AudioDecodeError, match=r"sewd\[media\]"):
        read_audio(content)
    samples = read_audio(source, ffmpeg=True, target_rate_hz=rate_hz)
    if (muxer, codec) == ("matroska", "aac"):  # ffmpeg before 7 leaves the encoder's delay in
        samples = samples[len(samples) - len(expected) :]
    assert len(samples) == len(expected)
    np.testing.assert_allclose(samples, expected, atol=2e-6)


@needs_ffmpeg
@pytest.mark.usefixtures("without_pyav")
def test_the_program_says_what_is_wrong() -> None:
    broken = bytearray(media("matroska", "flac", 16_000, 2))
    broken[64:] = bytes(len(broken) - 64)
    with pytest.raises(AudioDecodeError, match=r"cannot be read as audio by ffmpeg: \S"):
        read_audio(bytes(broken), ffmpeg=True)
    with pytest.raises(AudioValueError, match="has 2 channels, more than the limit of 1"):
        read_audio(media("matroska", "flac", 16_000, 2), ffmpeg=True, max_channels=1)


@pytest.mark.usefixtures("without_pyav")
@pytest.mark.skipif(sys.platform == "win32", reason="the program is a shell script")
@pytest.mark.parametrize("before", ["", "cat 0.wav; "])
def test_a_program_that_hangs_is_ended(before: str, tmp_path: Path, monkeypatch: Any) -> None:
    soundfile.write(tmp_path / "0.wav", np.full(16_000, 0.5), 16_000, subtype="FLOAT")
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\ncd {tmp_path}\n{before}exec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(ffmpeg, "STALL_S", 0.5)
    content = media("mp4", "aac", 16_000, 1)
    if before:
        with pytest.warns(AudioWarning, match=r"truncated: ffmpeg stopped: it wrote nothing for 0\.5 s"):
            np.testing.assert_array_equal(read_audio(content, ffmpeg=True), np.full(16_000, 0.5))
    with pytest.raises(AudioDecodeError, match=r"it wrote nothing for 0\.5 s"):
        read_audio(content, ffmpeg=True, strict=True)


@pytest.mark.usefixtures("without_pyav")
def test_a_program_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(AudioDecodeError, match=r"not on PATH; or: pip install 'sewd\[media\]'"):
        read_audio(media("mp4", "aac", 16_000, 1), ffmpeg=True)


@pytest.mark.usefixtures("without_pyav")
def test_without_the_extra_the_error_is_the_line_that_works() -> None:
    with pytest.raises(AudioDecodeError, match=r"MP4 .*pip install 'sewd\[media\]'"):
        read_audio(media("mp4", "aac", 16_000, 1))


@given(st.data())
def test_damaged_bytes_give_audio_or_an_audio_error(data: st.DataObject) -> None:
    muxer, codec, rate_hz, channels = data.draw(st.sampled_from(CASES[:9]))
    content = bytearray(media(muxer, codec, rate_hz, channels, 0.5))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        try:
            samples = read_audio(bytes(content[: data.draw(st.integers(0, len(content)))]))
        except AudioError:
            return
    assert np.isfinite(samples).all()

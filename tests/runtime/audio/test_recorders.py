"""What recorders, encoders and users make of audio files, and players play."""

from __future__ import annotations

import io
import os
import struct
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime import (
    AudioDecodeError,
    AudioTooLongError,
    AudioValueError,
    AudioWarning,
    read_audio,
    stream_audio,
)
from sewd_runtime.audio.reading import stated_duration_s

RATE_HZ = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE_HZ)).astype(np.float32)


def encode(
    samples: np.ndarray, form: str, subtype: str | None = None, rate_hz: int = RATE_HZ, endian: str = "FILE"
) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=form, subtype=subtype, endian=endian)
    return file.getvalue()


def without_length(flac: bytes) -> bytes:
    """Return a FLAC file as an encoder writes it to a pipe."""
    content = bytearray(flac)
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


@pytest.mark.parametrize("num_samples", [1_000, 4_096, 40_960, 70_001, 700_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_of_unknown_length(num_samples: int, subtype: str, tmp_path: Path) -> None:
    content = encode(noise(num_samples / RATE_HZ), "FLAC", subtype)
    expected = read_audio(content)
    assert len(expected) == num_samples
    np.testing.assert_array_equal(read_audio(without_length(content), strict=True), expected)
    (tmp_path / "piped.flac").write_bytes(without_length(content))
    assert stated_duration_s(tmp_path / "piped.flac") == num_samples / RATE_HZ


@pytest.mark.parametrize("share", [0.3, 0.5, 0.97])
def test_flac_of_unknown_length_that_is_cut(share: float) -> None:
    content = without_length(encode(noise(4), "FLAC"))
    expected = read_audio(content)
    content = content[: int(len(content) * share)]
    with pytest.warns(AudioWarning, match="last frame"):
        samples = read_audio(content)
    assert abs(len(samples) / len(expected) - share) < 0.1
    np.testing.assert_array_equal(samples, expected[: len(samples)])
    with pytest.raises(AudioDecodeError):
        read_audio(content, strict=True)


def test_flac_damaged_in_the_middle_is_read_up_to_there() -> None:
    content = bytearray(encode(noise(4), "FLAC"))
    expected = read_audio(bytes(content))
    content[len(content) // 2] ^= 0x55
    with pytest.warns(AudioWarning, match="damaged after"):
        samples = read_audio(bytes(content))
    assert 0.3 < len(samples) / len(expected) < 0.6
    np.testing.assert_array_equal(samples, expected[: len(samples)])


def ogg_crc(page: bytes) -> int:
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def without_end(ogg: bytes) -> bytes:
    """Clear the end-of-stream flag of the last page."""
    content = bytearray(ogg)
    last = content.rfind(b"OggS")
    assert content[last + 5] & 4
    content[last + 5] &= ~4
    content[last + 22 : last + 26] = bytes(4)
    content[last + 22 : last + 26] = struct.pack("<I", ogg_crc(content[last:]))
    return bytes(content)


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_ogg_without_an_end_is_whole(subtype: str) -> None:
    content = encode(noise(3), "OGG", subtype)
    np.testing.assert_array_equal(read_audio(without_end(content)), read_audio(content))
    with pytest.raises(AudioDecodeError, match="no end"):
        read_audio(without_end(content), strict=True)


@pytest.mark.parametrize("subtype", ["OPUS", "VORBIS"])
def test_a_page_that_is_lost_is_missed(subtype: str) -> None:
    content = encode(noise(12), "OGG", subtype)
    pages = [place for place in range(len(content)) if content.startswith(b"OggS", place)]
    with pytest.warns(AudioWarning, match="missing"):
        read_audio(content[: pages[-3]] + content[pages[-2] :])


JOINED = [
    ("OGG", "OPUS"),
    ("OGG", "VORBIS"),
    ("MP3", "MPEG_LAYER_III"),
    ("FLAC", "PCM_16"),
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("AIFF", "PCM_16"),
    ("W64", "PCM_16"),
]


@pytest.mark.parametrize(("form", "subtype"), JOINED)
@pytest.mark.parametrize("num_parts", [2, 5])
def test_joined_files_are_read_one_after_another(form: str, subtype: str, num_parts: int) -> None:
    parts = [encode(noise(1.5, seed), form, subtype) for seed in range(num_parts)]
    expected = np.concatenate([read_audio(part) for part in parts])
    np.testing.assert_array_equal(read_audio(b"".join(parts), strict=True), expected)


@pytest.mark.parametrize(("form", "subtype"), JOINED)
def test_joined_files_of_two_rates_have_the_rate_of_the_first(form: str, subtype: str) -> None:
    first, second = encode(noise(2), form, subtype), encode(noise(1), form, subtype, rate_hz=8_000)
    samples = read_audio(first + second)
    assert abs(len(samples) - 4 * RATE_HZ) < 3_000
    np.testing.assert_array_equal(samples[: 2 * RATE_HZ], read_audio(first)[: 2 * RATE_HZ])


def test_joined_mp3_with_tags_and_without_lengths() -> None:
    first, second = (encode(noise(2, seed), "MP3") for seed in (1, 2))
    tag = b"ID3\x04\0\0\0\0\x01\x00" + b"TIT2" + bytes(124)
    expected = np.concatenate([read_audio(first), read_audio(second)])
    for content in (tag + first + tag + second, first + b"TAG" + bytes(125) + second):
        np.testing.assert_array_equal(read_audio(content), expected)
    bare = second[second.index(second[:3], 4) :]  # after the frame that states the length
    for content in (first + bare, bare + first, bare + bare):
        assert abs(len(read_audio(content)) - 4 * RATE_HZ) < 6_000


ID3_WITH_FOOTER = b"ID3\x04\0\x10\0\0\x01\0" + bytes(128) + b"3DI\x04\0\x10\0\0\x01\0"


@pytest.mark.parametrize("before", [bytes(5_000), b"APETAGEX" + b"cover" * 40_000, ID3_WITH_FOOTER])
def test_mp3_after_what_players_skip(before: bytes) -> None:
    content = encode(noise(2), "MP3")
    np.testing.assert_array_equal(read_audio(before + content), read_audio(content))


def test_mp3_recorded_from_the_middle_of_a_frame() -> None:
    content = encode(noise(2), "MP3")
    frame = content.index(content[:3], 4)
    assert abs(len(read_audio(content[frame + 50 :])) - 2 * RATE_HZ) < 3_000


def test_mp3_that_states_too_few_frames_is_whole() -> None:
    content = bytearray(encode(noise(2), "MP3"))
    place = content.index(b"Info") + 8 if b"Info" in content else content.index(b"Xing") + 8
    whole, content[place : place + 4] = read_audio(bytes(content)), (5).to_bytes(4, "big")
    np.testing.assert_array_equal(read_audio(bytes(content)), whole)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404", "a web page"),
        (b"PK\3\4" + bytes(100), "unpack it first"),
        (b"\x1f\x43\xb6\x75\xff" + bytes(100), "join the pieces"),
        ("liste".encode("utf-16"), "Format not recognised"),
    ],
)
def test_what_is_not_audio_is_named(content: bytes, what: str) -> None:
    with pytest.raises(AudioDecodeError, match=f"cannot be read as audio: .*{what}"):
        read_audio(content)


@pytest.mark.parametrize("form", ["WAV", "OGG", "FLAC", "MP3"])
def test_a_second_file_that_is_cut_is_missed(form: str) -> None:
    first, second = (encode(noise(4, seed), form) for seed in (1, 2))
    expected = np.concatenate([read_audio(first), read_audio(second)])
    with pytest.warns(AudioWarning, match="missing|damaged"):
        samples = read_audio(first + second[: int(len(second) * 0.9)])
    assert len(expected) / 2 < len(samples) < len(expected)
    np.testing.assert_array_equal(samples, expected[: len(samples)])


PCM = (noise(1) * 32_767).astype("<i2")


def wav(riff_bytes: int, data_bytes: int, before: bytes = b"", after: bytes = b"") -> bytes:
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE_HZ, 2 * RATE_HZ, 2, 16)
    head = struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE") + before + form
    return head + struct.pack("<4sI", b"data", data_bytes) + PCM.tobytes() + after


JUNK = struct.pack("<4sI", b"JUNK", 4_001) + bytes(4_002)


@pytest.mark.parametrize("before", [b"", JUNK])
@pytest.mark.parametrize("riff_bytes", [0, 36, 0xFFFFFFFF, None])
def test_wav_whose_recorder_crashed(riff_bytes: int | None, before: bytes) -> None:
    riff_bytes = 28 + len(before) if riff_bytes is None else riff_bytes
    with pytest.warns(AudioWarning, match="never finished"):
        samples = read_audio(wav(riff_bytes, 0, before))
    np.testing.assert_array_equal(samples, read_audio(PCM))
    with pytest.raises(AudioDecodeError, match="never finished"):
        read_audio(wav(riff_bytes, 0, before), strict=True)


@pytest.mark.parametrize("more", [1, 2, 44, 1_000, 10**6, 10**9])
def test_wav_that_states_too_much(more: int) -> None:
    with pytest.warns(AudioWarning, match=f"{more} of {PCM.nbytes + more} bytes"):
        samples = read_audio(wav(36 + PCM.nbytes + more, PCM.nbytes + more))
    np.testing.assert_array_equal(samples, read_audio(PCM))


def test_wav_with_a_second_chunk_of_samples_is_read_up_to_it() -> None:
    content = encode(noise(1), "WAV", "PCM_16")
    second = content + b"data" + (200).to_bytes(4, "little") + bytes(200)
    with pytest.warns(AudioWarning, match="a second chunk of samples follows"):
        np.testing.assert_array_equal(read_audio(second), read_audio(content))


def test_wav_without_samples_but_with_other_chunks_is_empty() -> None:
    content = wav(0, 0)[: -PCM.nbytes] + struct.pack("<4sI", b"LIST", 4) + b"abcd"
    with pytest.raises(AudioValueError, match="no samples"):
        read_audio(content)


@pytest.mark.parametrize(
    ("form", "endian", "magic", "order"),
    [("AIFF", "FILE", b"SSND", "big"), ("WAV", "BIG", b"data", "big"), ("AU", "BIG", b".snd", "big")],
)
def test_others_whose_recorder_crashed(form: str, endian: str, magic: bytes, order: str) -> None:
    content = bytearray(encode(PCM, form, "PCM_16", endian=endian))
    place = content.index(magic) + (8 if form == "AU" else 4)
    content[place : place + 4] = bytes(4)
    with pytest.warns(AudioWarning, match="never finished"):
        samples = read_audio(bytes(content))
    assert len(PCM) - 8 <= len(samples) <= len(PCM)
    np.testing.assert_array_equal(samples, read_audio(PCM)[: len(samples)])


@pytest.mark.parametrize("suffix", ["raw", "RAW", "pcm", "mp3", "sd2", ""])
def test_a_suffix_never_matters(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"speech.{suffix}"
    path.write_bytes(encode(PCM, "WAV", "PCM_16"))
    np.testing.assert_array_equal(read_audio(path), read_audio(PCM))
    with path.open("rb") as file:
        np.testing.assert_array_equal(read_audio(file), read_audio(PCM))
    assert stated_duration_s(path) == 1
    path.write_bytes(PCM.tobytes())
    with pytest.raises(AudioDecodeError, match="raw samples"):
        read_audio(path)
    assert stated_duration_s(path) is None


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_of_any_bytes(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe\n.wav"
    Path(os.fsdecode(path)).write_bytes(encode(PCM, "WAV", "PCM_16"))
    np.testing.assert_array_equal(read_audio(os.fsdecode(path)), read_audio(PCM))


@pytest.mark.parametrize("num_channels", [2, 3, 6])
def test_channels_that_cancel(num_channels: int) -> None:
    left = noise(20)
    channels = np.zeros((len(left), num_channels), np.float32)
    channels[:, 0], channels[:, -1] = left, -0.95 * left
    for source in (encode(channels, "WAV", "FLOAT"), channels):
        with pytest.warns(AudioWarning, match="opposite phase") as caught:
            samples = read_audio(source)
        assert len(caught) == 1
        np.testing.assert_array_equal(samples, left)


@pytest.mark.parametrize("num_channels", [2, 6, 32])
def test_channels_that_do_not_cancel_are_averaged(num_channels: int) -> None:
    independent = np.stack([noise(2, seed) for seed in range(num_channels)], 1)
    one = np.zeros_like(independent)
    one[:, 1] = independent[:, 1]
    for channels in (independent, one, np.zeros_like(one)):
        np.testing.assert_allclose(read_audio(channels), channels.mean(axis=1), atol=1e-7)


def test_a_limit_of_duration() -> None:
    bomb = encode(np.zeros(RATE_HZ * 600, np.float32), "FLAC")
    assert len(bomb) < 100_000
    sources = [bomb, without_length(bomb), np.zeros(RATE_HZ * 600, np.float32)]
    for source in sources:
        assert len(read_audio(source, max_duration_s=600)) == 600 * RATE_HZ
        with pytest.raises(AudioTooLongError, match="limit of 599 s"):
            next(stream_audio(source, max_duration_s=599))  # before the first block
    blocks = (np.zeros(RATE_HZ, np.float32) for _ in range(10**9))
    with pytest.raises(AudioTooLongError):
        read_audio(blocks, max_duration_s=10)
    joined = encode(noise(6), "OGG") + encode(noise(6), "OGG")
    with pytest.raises(AudioTooLongError):
        read_audio(joined, max_duration_s=10)


class Pipe:
    """A binary file that cannot seek."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3", "AIFF"])
def test_a_file_object_that_cannot_seek(form: str) -> None:
    content = encode(noise(3), form)
    np.testing.assert_array_equal(read_audio(Pipe(content)), read_audio(content))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_named_pipe_without_a_length(tmp_path: Path) -> None:
    content = without_length(encode(noise(3), "FLAC"))
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe"), read_audio(content))
    writer.join()


def test_blocks_joined_are_the_recording() -> None:
    content = encode(noise(50), "OGG", "OPUS") + encode(noise(3), "OGG", "OPUS")
    blocks = list(stream_audio(content))
    assert len(blocks) > 2 and all(len(a) and len(b) for a, b in pairwise(blocks))
    np.testing.assert_array_equal(np.concatenate(blocks), read_audio(content))

"""A recording that was cut short is never taken for a shorter one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime import read_audio
from sewd_runtime.errors import AudioDecodeError


def encode(seconds: float, form: str, subtype: str) -> bytes:
    noise = np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds))
    file = io.BytesIO()
    soundfile.write(file, noise, 16_000, format=form, subtype=subtype)
    return file.getvalue()


def can_write(form: str, subtype: str) -> bool:
    try:
        encode(1, form, subtype)
    except soundfile.LibsndfileError:
        return False
    return True


FORMATS = [
    (form, subtype)
    for form in ("WAV", "WAVEX", "FLAC", "OGG", "MP3", "AIFF")
    for subtype in soundfile.available_subtypes(form)
    if not subtype.startswith("DWVW")  # libsndfile cannot read back from memory what it wrote
    if can_write(form, subtype)
]


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_truncated(form: str, subtype: str, share: float, tmp_path: Path) -> None:
    content = encode(2, form, subtype)
    content = content[: int(len(content) * share)]
    (tmp_path / "cut").write_bytes(content)
    for source in (content, tmp_path / "cut"):
        with pytest.raises(AudioDecodeError):
            read_audio(source)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_wav_cut_anywhere(subtype: str) -> None:
    content = encode(0.01, "WAV", subtype)
    assert len(read_audio(content)) == 160
    for size in range(1, len(content)):
        with pytest.raises(AudioDecodeError):
            read_audio(content[:size])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_written_to_a_pipe_has_no_size_and_is_whole(size: int) -> None:
    content = bytearray(encode(1, "WAV", "PCM_16"))
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = size.to_bytes(4, "little")
    assert len(read_audio(bytes(content))) == 16_000


def test_another_riff_file_is_not_a_truncated_wav() -> None:
    with pytest.raises(AudioDecodeError, match="cannot be read as audio"):
        read_audio(b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(20))


def test_mp3_with_a_tag_is_whole() -> None:
    if ("MP3", "MPEG_LAYER_III") not in FORMATS:
        pytest.skip("this libsndfile has no MP3")
    content = encode(1, "MP3", "MPEG_LAYER_III")
    tag = b"ID3\x03\0\0\0\0\x07\x76" + bytes(7 * 128 + 0x76)
    np.testing.assert_array_equal(read_audio(tag + content), read_audio(content))
    with pytest.raises(AudioDecodeError, match="truncated"):
        read_audio(tag + content[: len(content) // 2])

"""Of a recording that was cut short, what is there is read, with a warning; ``strict`` refuses it."""

from __future__ import annotations

import io
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from sewd_runtime import AudioDecodeError, AudioError, AudioWarning, read_audio


@cache
def encode(seconds: float, form: str, subtype: str) -> bytes:
    noise = np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds))
    file = io.BytesIO()
    soundfile.write(file, noise, 16_000, format=form, subtype=subtype)
    content = file.getvalue()
    if subtype.startswith("ALAC"):  # libsndfile pads the last chunk to an even size; a lost pad is no loss
        place = content.index(b"data") + 4
        content = content[: place + 8 + int.from_bytes(content[place : place + 8], "big")]
    return content


def can_write(form: str, subtype: str) -> bool:
    try:
        encode(1, form, subtype)
    except soundfile.LibsndfileError:
        return False
    return True


FORMATS = [
    (form, subtype)
    for form in ("WAV", "WAVEX", "RF64", "W64", "AU", "CAF", "FLAC", "OGG", "MP3", "AIFF")
    for subtype in soundfile.available_subtypes(form)
    if not subtype.startswith("DWVW")  # libsndfile cannot read back from memory what it wrote
    if can_write(form, subtype)
]


@cache
def whole(form: str, subtype: str) -> np.ndarray:
    return read_audio(encode(4, form, subtype))


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_strict_refuses(form: str, subtype: str, share: float, tmp_path: Path) -> None:
    content = encode(2, form, subtype)
    content = content[: int(len(content) * share)]
    (tmp_path / "cut").write_bytes(content)
    for source in (content, tmp_path / "cut"):
        with pytest.raises(AudioDecodeError):
            read_audio(source, strict=True)


@given(kind=st.sampled_from(FORMATS), share=st.floats(0, 1, exclude_max=True))
@example(kind=("CAF", "ALAC_16"), share=1 - 2**-53)  # one byte
def test_the_beginning_is_read_with_a_warning(kind: tuple[str, str], share: float) -> None:
    content, expected = encode(4, *kind), whole(*kind)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            samples = read_audio(content[: int(len(content) * share)])
        except AudioError:
            samples = expected[:0]
    np.testing.assert_array_equal(samples, expected[: len(samples)])
    if len(samples):
        ends_of_pages = kind[0] == "OGG"  # cut between two pages, nothing shows that more should follow
        assert ends_of_pages or [each.category for each in caught] == [AudioWarning]


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_nearly_all_of_it_is_read(form: str, subtype: str) -> None:
    if subtype.startswith("ALAC"):
        pytest.skip("its table of packets stands at the end")
    content, expected = encode(4, form, subtype), whole(form, subtype)
    with pytest.warns(AudioWarning, match="truncated"):
        samples = read_audio(content[: int(len(content) * 0.9)])
    assert len(samples) > 0.6 * len(expected)  # a page of Ogg is about a second


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_wav_cut_anywhere(subtype: str) -> None:
    content = encode(0.01, "WAV", subtype)
    expected = read_audio(content)
    assert len(expected) == 160
    first, frame_bytes = content.index(b"data") + 8, (len(content) - content.index(b"data") - 8) // 160
    for size in range(1, len(content)):
        with pytest.raises(AudioDecodeError):
            read_audio(content[:size], strict=True)
        if size < first + frame_bytes:
            with pytest.raises(AudioDecodeError):
                read_audio(content[:size])
            continue
        with pytest.warns(AudioWarning, match=f"{len(content) - size} of {len(content) - first} bytes"):
            samples = read_audio(content[:size])
        np.testing.assert_array_equal(samples, expected[: (size - first) // frame_bytes])


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000, 0x80000000])
def test_wav_written_to_a_pipe_has_no_size_and_is_whole(size: int) -> None:
    content = bytearray(encode(1, "WAV", "PCM_16"))
    place = content.index(b"data") + 4
    content[place : place + 4] = content[4:8] = size.to_bytes(4, "little")
    assert len(read_audio(bytes(content), strict=True)) == 16_000


def test_another_riff_file_is_not_a_truncated_wav() -> None:
    with pytest.raises(AudioDecodeError, match="cannot be read as audio"):
        read_audio(b"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0" + bytes(20))


def test_mp3_with_a_tag_is_whole() -> None:
    content = encode(1, "MP3", "MPEG_LAYER_III")
    tag = b"ID3\x03\0\0\0\0\x07\x76" + bytes(7 * 128 + 0x76)
    np.testing.assert_array_equal(read_audio(tag + content), read_audio(content))
    with pytest.raises(AudioDecodeError, match="truncated"):
        read_audio(tag + content[: len(content) // 2], strict=True)

"""Law: the checksums are those of the catalogue, and a text with its checksum behind it has none."""

import pytest

from sewd_runtime.audio.checksum import Checksum


# CRC-8/SMBUS and CRC-16/UMTS of https://reveng.sourceforge.io/crc-catalogue; Ogg's has no entry there.
@pytest.mark.parametrize(("bits", "polynomial", "value"), [(8, 0x07, 0xF4), (16, 0x8005, 0xFEE8)])
def test_the_checksum_of_the_digits(bits: int, polynomial: int, value: int) -> None:
    assert Checksum(bits, polynomial)(b"123456789") == value


@pytest.mark.parametrize(("bits", "polynomial"), [(8, 0x07), (16, 0x8005), (32, 0x04C11DB7)])
def test_nothing_remains_of_a_text_with_its_checksum(bits: int, polynomial: int) -> None:
    checksum = Checksum(bits, polynomial)
    text = bytes(range(255, 0, -1))
    whole = text + checksum(text).to_bytes(bits // 8, "big")
    assert checksum(whole) == 0
    assert checksum(whole[:9] + b"\0" + whole[10:]) != 0

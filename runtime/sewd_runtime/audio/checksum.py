"""Cyclic redundancy checks (CRC) as FLAC and Ogg have them: highest bit first, from 0, not inverted."""


class Checksum:
    """The remainder of a polynomial of degree ``bits``, 8 or more, given without its highest power."""

    def __init__(self, bits: int, polynomial: int) -> None:
        self._shift, self._mask = bits - 8, (1 << bits) - 1
        self._table = []
        for byte in range(256):
            value = byte << self._shift
            for _ in range(8):
                value = value << 1 ^ (polynomial if value >> bits - 1 else 0)
                value &= self._mask
            self._table.append(value)

    def __call__(self, content: bytes | bytearray) -> int:
        """Return the checksum of some bytes; that of bytes with their checksum behind them is 0."""
        table, shift, mask, value = self._table, self._shift, self._mask, 0
        for byte in content:
            value = (value << 8 & mask) ^ table[value >> shift ^ byte]
        return value

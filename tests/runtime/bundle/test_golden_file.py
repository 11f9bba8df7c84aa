"""Law: a golden file is two float32 arrays within stated limits, or a BundleError."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sewd_runtime.bundle.folder import MAX_READ_BYTES, open_bundle
from sewd_runtime.bundle.manifest import GOLDEN_NAME
from sewd_runtime.cli import main
from sewd_runtime.errors import BundleError
from sewd_runtime.inference.golden import read_golden

Rehash = Callable[[Path], None]

SAMPLES = np.random.default_rng(0).normal(0, 0.1, 800).astype(np.float32)
EXPECTED = np.zeros((10, 32), np.float32)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('the pickle ran')",)


def npz(**arrays: object) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{"samples": SAMPLES, "expected": EXPECTED, **arrays})  # type: ignore[arg-type]
    return content.getvalue()


def npy(array: object) -> bytes:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=True)  # type: ignore[arg-type]
    return content.getvalue()


def header(shape: str, descr: str = "'<f4'", data: bytes = bytes(64), version: bytes = b"\1\0") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + data


def zipped(method: int = zipfile.ZIP_STORED, **members: bytes) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in {"samples": npy(SAMPLES), "expected": npy(EXPECTED), **members}.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def encrypted() -> bytes:
    content = bytearray(npz())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = content.find(mark)
        while place >= 0:
            content[place + offset] |= 1
            place = content.find(mark, place + 1)
    return bytes(content)


def overwritten(content: bytes, place: int, what: bytes) -> bytes:
    return content[:place] + what + content[place + len(what) :]


BAD = {
    "empty": b"",
    "text": b"hello",
    "an array, no archive": npy(SAMPLES),
    "pickle": pickle.dumps(Evil()),
    "pickled array": zipped(samples=npy(np.array([Evil()], object))),
    "encrypted": encrypted(),
    "lzma": zipped(zipfile.ZIP_LZMA),
    "bzip2": zipped(zipfile.ZIP_BZIP2),
    "damaged deflate": overwritten(zipped(zipfile.ZIP_DEFLATED), 200, b"\xff" * 40),
    "damaged values": overwritten(npz(), 600, b"\xff" * 4),
    "cut short": npz()[:-30],
    "no array": zipped(samples=b"x"),
    "another member": npz(more=SAMPLES),
    "float64": npz(samples=SAMPLES.astype(np.float64)),
    "big-endian": npz(samples=SAMPLES.astype(">f4")),
    "two axes": npz(samples=SAMPLES[None]),
    "too short": npz(samples=SAMPLES[:30]),
    "too long": npz(samples=np.zeros(16_000 * 60 + 1, np.float32)),
    "no frames' axis": npz(expected=EXPECTED[0]),
    "a frame more": npz(expected=EXPECTED[[0, *range(len(EXPECTED))]]),
    "other outputs": npz(expected=EXPECTED[:, 1:]),
    "NaN samples": npz(samples=np.full(800, np.nan, np.float32)),
    "infinite output": npz(expected=np.full((10, 32), np.inf, np.float32)),
    "more shape than data": zipped(samples=header("(1000000000000000,)")),
    "shape of 2**64": zipped(samples=header("(18446744073709551616,)")),
    "shape of many digits": zipped(samples=header(f"({'9' * 5000},)")),
    "negative shape": zipped(samples=header("(-1,)")),
    "fractional shape": zipped(samples=header("(1.5,)")),
    "code for a type": zipped(samples=header("(16,)", descr="__import__('os').system('false')")),
    "another version": zipped(samples=header("(16,)", version=b"\3\0")),
}


@pytest.fixture
def put(broken_bundle: Path, rehash: Rehash) -> Callable[[bytes], Path]:
    """Return a function that makes a bundle with this golden file, its hash right."""

    def write(content: bytes) -> Path:
        (broken_bundle / GOLDEN_NAME).write_bytes(content)
        rehash(broken_bundle / GOLDEN_NAME)
        return broken_bundle

    return write


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_numpy_writes_is_read(put: Callable[[bytes], Path], method: int) -> None:
    samples, expected = read_golden(open_bundle(put(zipped(method))))
    np.testing.assert_array_equal(samples, SAMPLES)
    np.testing.assert_array_equal(expected, EXPECTED)


@pytest.mark.parametrize("kind", BAD)
def test_every_other_file_is_refused(put: Callable[[bytes], Path], kind: str) -> None:
    with pytest.raises(BundleError, match=r"golden\.npz"):
        read_golden(open_bundle(put(BAD[kind])))


def test_a_small_file_does_not_unpack_to_a_gigabyte(put: Callable[[bytes], Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("samples.npy", "w", force_zip64=True) as member:
            member.write(header("(50000000,)", data=b""))
            for _ in range(200):
                member.write(bytes(10**6))
        archive.writestr("expected.npy", npy(EXPECTED))
    content = (tmp_path / "bomb").read_bytes()
    sizes = (200_000_128).to_bytes(4, "little"), (9_000_000).to_bytes(4, "little")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for bomb in (content, content.replace(*sizes)):  # it may also lie about its size
        with pytest.raises(BundleError, match=r"golden\.npz"):
            read_golden(open_bundle(put(bomb)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KB


def test_a_golden_file_too_large_to_read(put: Callable[[bytes], Path]) -> None:
    with pytest.raises(BundleError, match=f"at most {MAX_READ_BYTES} are read"):
        read_golden(open_bundle(put(npz() + bytes(MAX_READ_BYTES))))


def test_inspect_says_failed(put: Callable[[bytes], Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(put(b"")), "--precision", "fp32"]) == 1
    assert "FAILED" in capsys.readouterr().out

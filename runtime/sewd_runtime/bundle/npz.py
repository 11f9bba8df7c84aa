"""Float32 arrays in a zip archive, as ``numpy.savez`` writes them; read within limits, and nothing else."""

import io
import math
import re
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.errors import BundleError

MAX_ARRAY_BYTES = 16 << 20
"""The largest array, unpacked with its header."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_IS_ENCRYPTED = 1

_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00(?P<size>..)"
    rb"(?P<text>\{'descr': '<f4', 'fortran_order': False, 'shape': \((?P<shape>[0-9, ]{2,60})\), \} *\n)",
    re.DOTALL,
)
"""NumPy's format 1.0 of an array in C order."""


def read_npz(content: bytes, names: Sequence[str], *, where: str) -> list[NDArray[np.float32]]:
    """Return the arrays of an archive that has exactly these names, each read-only, float32 and finite.

    Raises BundleError.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            wanted = [f"{name}.npy" for name in names]
            if sorted(members) != sorted(wanted) or len(archive.infolist()) != len(wanted):
                raise ValueError("it has other members")
            return [_read_array(archive, members[name]) for name in wanted]
    # All that the zip and deflate readers raise on damaged bytes.
    except (ValueError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        arrays = " and ".join(names)
        raise BundleError(
            f"{where}: must hold the float32 arrays {arrays}, as numpy.savez writes them: {error}; "
            f"export it again"
        ) from error


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[np.float32]:
    """Unpack one array; raises ValueError before more than ``MAX_ARRAY_BYTES`` are unpacked."""
    if member.flag_bits & _IS_ENCRYPTED or member.compress_type not in _METHODS:
        raise ValueError(f"{member.filename} is encrypted, or packed with a method other than deflate")
    if member.file_size > MAX_ARRAY_BYTES:
        raise ValueError(
            f"{member.filename} has {member.file_size} bytes, at most {MAX_ARRAY_BYTES} are read"
        )
    with archive.open(member) as file:
        content = file.read(MAX_ARRAY_BYTES + 1)
    header = _HEADER.match(content)
    if header is None or int.from_bytes(header["size"], "little") != len(header["text"]):
        raise ValueError(f"{member.filename} is no float32 array in C order, NumPy's format 1.0")
    shape = tuple(int(axis) for axis in header["shape"].split(b",") if axis.strip())
    if 4 * math.prod(shape) != len(content) - header.end():
        raise ValueError(f"{member.filename} has the shape {shape} and {len(content) - header.end()} bytes")
    array = np.frombuffer(content, np.dtype("<f4"), offset=header.end()).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError(f"{member.filename} has values that are not finite")
    return array.astype(np.float32, copy=False)

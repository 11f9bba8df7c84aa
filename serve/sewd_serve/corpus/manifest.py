"""Manifests: which recordings there are, read line by line, since they may list millions."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sewd_runtime.commands._lists import PATH_KEYS
from sewd_runtime.errors import MissingPackageError, TextError
from sewd_runtime.text.files import is_file_name

_KEYS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "path": PATH_KEYS,
    "reference": ("reference", "text"),
    "start": ("start", "offset"),
    "end": ("end",),
    "duration": ("duration",),
}
"""Field → its column or key: ours first, then those of ``sewd evaluate``, data sets and NeMo."""

_WITHOUT_HEADER = ("path", "reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A row of a manifest: a recording, or the part of one between two times.

    id: the path, if there is none. path: as the manifest has it, relative to its folder, or an address.
    start_s, end_s: of the part. length_s: of what is to be transcribed, if the manifest states it.
    """

    id: str
    path: str
    reference: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    length_s: float | None = None


def read_recordings(manifest: Path) -> Iterator[Recording]:
    """Yield the recordings of a manifest: JSON lines, Parquet, or otherwise tab-separated columns.

    Raises TextError for a folder and a wrong row, MissingPackageError for Parquet without pyarrow, OSError.
    """
    if manifest.is_dir():
        raise TextError(f"{manifest}: a folder; give the list of its recordings, such as a transcripts.tsv")
    ending = manifest.suffix.lower()
    if ending in (".jsonl", ".ndjson", ".json"):
        rows = _read_json_lines(manifest)
    else:
        rows = _read_parquet(manifest) if ending == ".parquet" else _read_tsv(manifest)
    for where, row in rows:
        yield _recording(row, f"{manifest}: {where}")


def _read_json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TextError(f"{path}: line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise TextError(f'{path}: line {number}: write {{"id": "a", "path": "a.wav"}}')
        yield f"line {number}", row


def _read_tsv(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    columns: tuple[str, ...] = ()
    for number, line in _lines(path):
        cells = tuple(line.split("\t"))
        if not columns:
            columns = cells if set(cells) & set(_KEYS["path"]) else _WITHOUT_HEADER
            if columns is cells:
                continue
        if len(cells) > len(columns):
            raise TextError(f"{path}: line {number}: {len(cells)} columns, not {', '.join(columns)}")
        yield f"line {number}", {key: cell for key, cell in zip(columns, cells, strict=False) if cell}


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, with their numbers from 1."""
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        try:
            for number, line in enumerate(file, 1):
                if line := line.rstrip("\r\n"):
                    yield number, line
        except UnicodeDecodeError as error:
            raise TextError(f"{path}: not UTF-8: {error.reason}; save it as UTF-8") from error


def _read_parquet(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    parquet = find_parquet()
    try:
        file = parquet.ParquetFile(path)
        names = {name for aliases in _KEYS.values() for name in aliases} & set(file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=sorted(names)):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row
    except (OSError, TextError):
        raise
    except Exception as error:  # pyarrow's own
        raise TextError(f"{path}: not Parquet: {error}") from error


def find_parquet() -> Any:
    """Return the module ``pyarrow.parquet``; raises MissingPackageError, which names the extra."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError(f"Parquet needs pyarrow: pip install 'sewd[corpus]' ({error})") from error
    return pyarrow.parquet


def _recording(row: Mapping[str, Any], where: str) -> Recording:
    try:
        return _checked(row)
    except ValueError as error:
        raise TextError(f"{where}: {error}") from error


def _checked(row: Mapping[str, Any]) -> Recording:
    values = {field: _first(row, aliases) for field, aliases in _KEYS.items()}
    path = _text(values, "path")
    if path is None or not is_file_name(path):
        raise ValueError(f"{path!r:.60} is not the name of a file; a row needs a path")
    name = _text(values, "id")
    start_s, end_s, duration_s = (_seconds(values, field) for field in ("start", "end", "duration"))
    if end_s is None and start_s is not None and duration_s is not None:
        end_s = start_s + duration_s  # as NeMo writes it
    if end_s is not None and end_s <= (start_s or 0.0):
        raise ValueError(f"the part ends at {end_s:g} s, before it starts")
    return Recording(
        id=path if name is None else name,
        path=path,
        reference=_text(values, "reference"),
        start_s=start_s,
        end_s=end_s,
        length_s=duration_s if end_s is None else end_s - (start_s or 0.0),
    )


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if (value := row.get(name)) is not None:
            return value
    return None


def _text(values: Mapping[str, Any], field: str) -> str | None:
    value = values[field]
    if value is None:
        return None
    if not isinstance(value, str):
        if field == "id" and isinstance(value, int):
            return str(value)
        raise ValueError(f"{field} {value!r:.60} is not a text")
    value.encode()  # raises ValueError for half of a surrogate pair
    return value


def _seconds(values: Mapping[str, Any], field: str) -> float | None:
    value = values[field]
    if value is None:
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(value, bool) or not 0 <= seconds < math.inf:
        raise ValueError(f"{field} {value!r:.60} is not a number of seconds")
    return seconds

"""The files of a shard: its rows, and beside them a small one about them, ``NAME.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TextIO

from sewd_runtime.system.writing import whole_file
from sewd_serve.corpus.manifest import find_parquet
from sewd_serve.corpus.shards import NAME, Shard

FORMATS = ("jsonl", "parquet")
_ABOUT = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What is in a shard, or in several.

    wrong_words, words, wrong_characters, characters: of the recordings with a reference that did not fail.
    """

    recordings: int = 0
    failed: int = 0
    audio_s: float = 0.0
    wrong_words: int = 0
    words: int = 0
    wrong_characters: int = 0
    characters: int = 0

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both."""
        names = [field.name for field in fields(self)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A folder of shards. format: of the rows, one of FORMATS."""

    folder: Path
    format: str

    def path(self, name: str) -> Path:
        """Return the path of a shard's rows."""
        return self.folder / f"{name}.{self.format}"

    def counts(self, name: str) -> Counts | None:
        """Return what is in a shard that is there, None if it is not."""
        try:
            about = json.loads(self._about(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Counts(**about["counts"]) if self.path(name).is_file() else None

    def names(self) -> set[str]:
        """Return the names of all shards that are in the folder, in any format."""
        paths = (path for ending in FORMATS for path in self.folder.glob(f"*.{ending}"))
        return {path.stem for path in paths if NAME.fullmatch(path.stem)}

    def write(
        self, shard: Shard, rows: Sequence[Mapping[str, Any]], counts: Counts, about: Mapping[str, Any]
    ) -> None:
        """Write a shard: first what is about it, then the rows, with which it is there. Raises OSError."""
        self.path(shard.name).unlink(missing_ok=True)  # of a run before: never beside what is about this one
        content = json.dumps({**about, "counts": asdict(counts)}, indent=2, ensure_ascii=False) + "\n"
        with whole_file(self._about(shard.name)) as file:
            file.write(content)
        with whole_file(self.path(shard.name)) as file:
            (_write_parquet if self.format == "parquet" else _write_json_lines)(file, rows, content)

    def _about(self, name: str) -> Path:
        return self.folder / f"{name}{_ABOUT}"


def _write_json_lines(file: TextIO, rows: Iterable[Mapping[str, Any]], _: str) -> None:
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write_parquet(file: TextIO, rows: Sequence[Mapping[str, Any]], about: str) -> None:
    parquet = find_parquet()
    import pyarrow as arrow

    text, number = arrow.string(), arrow.float64()
    word = arrow.struct([("text", text), ("start_s", number), ("end_s", number), ("confidence", number)])
    schema = arrow.schema(
        [
            *((name, text) for name in ("id", "path")),
            *((name, number) for name in ("start_s", "end_s", "duration_s")),
            *(("text", text), ("words", arrow.list_(word)), ("confidence", number)),
            *(("reference", text), ("wer", number), ("error", text)),
        ],
        metadata={"sewd": about},
    )
    parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), file.buffer, compression="zstd")

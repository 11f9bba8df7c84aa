"""Where results lie, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
SPEECH = ROOT.parent / "shared/speech"
"""The shared recordings, where they are present."""

EMBEDDED = ROOT / "export/sewd_export/models/digits"
"""The checkpoint of the digits model."""


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write indented JSON; the file appears only when it is complete."""
    _write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def write_rows(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with a line for each row of a table, so that a diff can be read."""
    parts = [f"{json.dumps(key)}: {_lines(value)}" for key, value in content.items()]
    _write_text(path, "{\n" + ",\n".join(parts) + "\n}\n")


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of results, None where there is none."""
    if not path.is_file():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _lines(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f" {json.dumps(row, ensure_ascii=False)}" for row in value) + "\n]"
    return json.dumps(value, ensure_ascii=False)

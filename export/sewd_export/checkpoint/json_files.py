"""JSON objects of a checkpoint, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sewd_export.errors import CheckpointNotFoundError, CheckpointReadError


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in the file. Raises CheckpointNotFoundError, CheckpointReadError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(f"{path.parent} holds no {path.name}: not a checkpoint") from error
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointReadError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointReadError(f"{path} holds a {type(content).__name__} where an object is needed")
    return content

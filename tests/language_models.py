"""Bundles that have a language model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sewd_runtime.system.hashing import sha256_of

ENTRY = {"file": "lm.arpa", "alpha": 0.7, "beta": 1.5, "unknown_score": -9.0}
UNMEASURED = {"words": 0, "greedy_wer": None, "wer": None, "default": False}


def list_language_model(bundle: Path, measured: dict[str, Any] = UNMEASURED) -> Path:
    """Write ``lm.arpa`` of the bundle and what was measured of it into the manifest; return its path."""
    lm, source = bundle / "lm.arpa", bundle / "bundle.json"
    manifest = json.loads(source.read_text())
    manifest["files"][lm.name] = {"size_bytes": lm.stat().st_size, "sha256": sha256_of(lm)}
    source.write_text(json.dumps({**manifest, "language_model": {**ENTRY, **measured}}))
    return lm

"""Timings of variants on this machine, cached so that they are measured once."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sewd_runtime.system.machine import cache_folder

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The time that a variant, e.g. ``openvino bf16``, takes for ten seconds of audio."""

    variant: str
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingsFile:
    """The cache file for one set of facts: everything that the timings depend on, as JSON."""

    path: Path
    facts: Mapping[str, Any]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "TimingsFile | None":
        """Return the file in the user's cache folder, None if there is no such folder."""
        facts = {"format_version": FORMAT_VERSION, **facts}
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        try:
            return cls(path=cache_folder() / "timings" / f"{digest[:16]}.json", facts=facts)
        except RuntimeError:
            return None

    def read(self) -> list[Timing]:
        """Return the timings, fastest first; none if the file is missing, damaged or of other facts."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["facts"] != self.facts:
                return []
            timings = [
                Timing(variant=str(row["variant"]), milliseconds=float(row["milliseconds"]))
                for row in content["timings"]
            ]
        except (OSError, ValueError, KeyError, TypeError):
            return []
        return sorted(timings, key=lambda timing: timing.milliseconds)

    def write(self, timings: Sequence[Timing]) -> bool:
        """Write the file and rename it into place; return whether that succeeded."""
        text = json.dumps({"facts": self.facts, "timings": [asdict(timing) for timing in timings]}, indent=2)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.stem)
        except OSError:
            return False
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            Path(name).replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            return False
        return True

"""Timings of variants on this machine, cached so that they are measured once."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sewd_runtime.system.machine import cache_folder
from sewd_runtime.system.writing import whole_file

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
        """Write the file; return whether that succeeded."""
        content = {"facts": self.facts, "timings": [asdict(timing) for timing in timings]}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self.path) as file:
                file.write(json.dumps(content, indent=2) + "\n")
        except OSError:
            return False
        return True

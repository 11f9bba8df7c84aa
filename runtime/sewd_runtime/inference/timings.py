"""Timings of variants on this machine, cached so that they are measured once."""

import hashlib
import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sewd_runtime.system.cached_files import read_cached
from sewd_runtime.system.machine import cache_folder
from sewd_runtime.system.writing import whole_file

FORMAT_VERSION = 1
MAX_BYTES = 1 << 20

_log = logging.getLogger("sewd")


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
        """Return the timings, fastest first; none if the file is missing or of other facts.

        Anything else in its place is ignored, with a warning in the log.
        """
        try:
            content = json.loads(read_cached(self.path, max_bytes=MAX_BYTES))
            if content["facts"] != self.facts:
                return []
            timings = [
                Timing(variant=str(row["variant"]), milliseconds=float(row["milliseconds"]))
                for row in content["timings"]
            ]
            if not all(0 < timing.milliseconds < math.inf for timing in timings):
                raise ValueError("a time that is none")
        except FileNotFoundError:
            return []
        except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
            _log.warning("auto: %s: ignored, not timings of sewd: %s", self.path, error)
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

"""Shards: recordings that follow one another in a manifest, and the names of their files."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sewd_serve.corpus.manifest import Recording

HOURS, RECORDINGS = 10.0, 1000
"""Where shards are cut by default: minutes of work for a core, and a file of some megabytes."""

NAME = re.compile(r"\d{6,}-[0-9a-f]{16}")
"""Of a shard's files."""

_LAYOUT = 1
"""Of the files' content: another one gives other names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A shard ends when it has so many hours of audio.

    recordings: how many of unknown length count as much. The length is the manifest's: recordings are not
    opened, so that shards depend on nothing else.
    """

    hours: float = HOURS
    recordings: int = RECORDINGS

    def share(self, recording: Recording) -> float:
        """Return how much of a shard a recording fills."""
        length_s = recording.length_s
        return 1 / self.recordings if length_s is None else length_s / (3600 * self.hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Some recordings; name: their place among the shards, and a hash of all that the file depends on."""

    name: str
    recordings: tuple[Recording, ...]


def cut_shards(recordings: Iterable[Recording], cut: Cut, *, task: str) -> Iterator[Shard]:
    """Yield the shards of a manifest; task: bundle and options in words, for the names."""
    group: list[Recording] = []
    place, share = 0, 0.0
    for recording in recordings:
        group.append(recording)
        share += cut.share(recording)
        if share >= 1 - 1e-9:
            yield _shard(place, group, task)
            place, share, group = place + 1, 0.0, []
    if group:
        yield _shard(place, group, task)


def _shard(place: int, group: list[Recording], task: str) -> Shard:
    rows = [(one.id, one.path, one.reference, one.start_s, one.end_s) for one in group]
    digest = hashlib.sha256(json.dumps([_LAYOUT, task, rows]).encode()).hexdigest()
    return Shard(name=f"{place:06}-{digest[:16]}", recordings=tuple(group))

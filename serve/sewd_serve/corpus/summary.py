"""What the command reports at the end: as a table, and in ``summary.json``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from sewd_serve.corpus.output import Counts

NAME = "summary.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A corpus, and this run's share of it.

    shards, counts: of the whole corpus, as far as it is done. shards_run, audio_run_s, seconds: of this run.
    shards_failed: which could not be run.
    """

    shards: int
    counts: Counts
    shards_run: int
    audio_run_s: float
    seconds: float
    shards_failed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as JSON values; rates are shares, None where nothing has a reference."""
        counts = self.counts
        return {
            "shards": self.shards,
            **asdict(counts),
            "hours": counts.audio_s / 3600,
            "wer": _rate(counts.wrong_words, counts.words),
            "cer": _rate(counts.wrong_characters, counts.characters),
            "run": {
                "shards": self.shards_run,
                "shards_failed": self.shards_failed,
                "hours": self.audio_run_s / 3600,
                "seconds": round(self.seconds, 3),
                "rtfx": self._speed(),
            },
        }

    def as_table(self) -> str:
        """Return the figures that people look at, a line each."""
        counts = self.counts
        rows = [
            ("recordings", f"{counts.recordings:,} in {_shards(self.shards)}"),
            ("audio", f"{counts.audio_s / 3600:,.2f} h"),
            ("failed", f"{counts.failed:,}"),
        ]
        for name, wrong, total in (
            ("WER", counts.wrong_words, counts.words),
            ("CER", counts.wrong_characters, counts.characters),
        ):
            if (rate := _rate(wrong, total)) is not None:
                rows.append((name, f"{rate:.2%}"))
        speed = self._speed()
        ran = f"{_shards(self.shards_run)}, {self.audio_run_s / 3600:,.2f} h in {self.seconds:,.1f} s"
        rows.append(("this run", ran if speed is None else f"{ran}, {speed:,.0f}x real time"))
        return "".join(f"{name:<12}{value}\n" for name, value in rows)

    def _speed(self) -> float | None:
        return round(self.audio_run_s / self.seconds, 1) if self.shards_run else None


def _shards(count: int) -> str:
    return f"{count:,} shard{'' if count == 1 else 's'}"


def _rate(wrong: int, total: int) -> float | None:
    return wrong / total if total else None

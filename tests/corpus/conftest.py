"""A small corpus: clips of many lengths and rates, parts of one, no audio, and a file that is missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sewd_runtime.cli import main

ROOT = Path(__file__).parents[2]
SHARD = 4


@dataclass(frozen=True)
class Corpus:
    manifest: Path
    model: Path

    def arguments(self, output: Path, *options: str) -> list[str]:
        """Return the arguments of a run with shards of few recordings."""
        shape = ["--shard-recordings", str(SHARD), "--model", str(self.model)]
        return ["corpus", str(self.manifest), "-o", str(output), *shape, *options]

    def run(self, output: Path, *options: str) -> int:
        return main(self.arguments(output, *options))


def contents(output: Path) -> dict[str, bytes]:
    """Return the files of all shards; the summary has times, which differ from run to run."""
    return {path.name: path.read_bytes() for path in output.iterdir() if path.name != "summary.json"}


def rows(output: Path) -> list[dict]:
    """Return the rows of all shards in order."""
    return [
        json.loads(line) for path in sorted(output.glob("*.jsonl")) for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder, random = tmp_path_factory.mktemp("corpus"), np.random.default_rng(0)
    listed = []
    for number, seconds in enumerate((0.5, 2.1, 0.01, 0.5, 22.0, 1.9, 1.7, 0.6, 0.9)):
        rate_hz = (16_000, 8_000)[number % 2]
        samples = random.normal(0, 0.1, int(seconds * rate_hz))
        soundfile.write(folder / f"{number}.wav", samples, rate_hz)
        listed.append({"id": f"r{number}", "path": f"{number}.wav", "reference": "SIX TWO"})
    (folder / "no.wav").write_text("no audio")
    listed.insert(2, {"path": "no.wav", "reference": "ONE"})
    listed.append({"id": "gone", "path": "gone.wav"})
    listed += [
        {"id": f"part{start}", "path": "4.wav", "start": start, "end": start + 1.5} for start in (3, 20)
    ]
    manifest = folder / "list.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in listed))
    return Corpus(manifest=manifest, model=ROOT / "tests/data/tiny")


@pytest.fixture(scope="session")
def unbroken(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run that nothing interrupted."""
    output = tmp_path_factory.mktemp("unbroken") / "output"
    assert corpus.run(output) == 1  # some recordings fail
    return output

"""Journals of interrupted runs: lines changed, dropped, repeated and in another order, bytes mutated."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random

from fuzz.mutants import Mutant, mutate_bytes
from fuzz.mutate_json import mutate_json
from sewd_runtime.long.journal import Journal, Task
from sewd_runtime.long.steps import Step
from sewd_runtime.long.windows import Place
from sewd_runtime.text.transcript import Segment, Word

_NAME = "lecture.partial.jsonl"
_TASK = Task(
    audio_sha256="a" * 64,
    bundle_sha256="b" * 64,
    precision="fp32",
    provider="cpu",
    library="onnxruntime",
    options="--decoder=greedy",
)
_WORDS = tuple(
    Word(text=text, start_s=i, end_s=i + 0.5, confidence=0.9) for i, text in enumerate(("ONE", "ÄÖ", "4"))
)
_STEPS = [
    Step(
        segments=(Segment(text="ONE ÄÖ 4", start_s=i, end_s=i + 3.0, words=_WORDS),),
        done=Place(region=i * 16_000, frame=i),
        num_samples=i * 16_000,
    )
    for i in range(1, 5)
]


def make(random: Random) -> Mutant:
    """Mutate a journal of four steps."""
    content = _journal()
    lines = content.splitlines(keepends=True)
    change = random.choice(("bytes", "bytes", "json", "json", "drop", "repeat", "exchange"))
    number = random.randrange(len(lines))
    if change == "bytes":
        content, note = mutate_bytes(random, content, header=random.choice((200, len(content))))
        return Mutant(files={_NAME: content}, note=note)
    if change == "json":
        text, change = mutate_json(random, json.loads(lines[number]))
        lines[number] = text + b"\n"
    elif change == "drop":
        del lines[number]
    elif change == "repeat":
        lines.insert(random.randrange(len(lines)), lines[number])
    else:
        other = random.randrange(len(lines))
        lines[number], lines[other] = lines[other], lines[number]
    return Mutant(files={_NAME: b"".join(lines)}, note=f"line {number + 1}: {change}")


def attempt(folder: Path) -> None:
    """Resume the run; nothing but steps that were written may be resumed, in their order."""
    journal = Journal.resume(folder / _NAME, _TASK)
    journal.close()
    assert journal.steps == _STEPS[: len(journal.steps)], "steps that nobody wrote were resumed"


@cache
def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.start(Path(folder, _NAME), _TASK)
        for step in _STEPS:
            journal.add(step)
        journal.close()
        return journal.path.read_bytes()

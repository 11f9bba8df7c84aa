"""Journals of interrupted runs: lines changed, dropped, repeated and in another order, bytes mutated.

Some are sealed again after that, as if another program had written them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import sewd_runtime
from fuzz.mutants import SEEDS, Mutant, mutate_bytes, special_file
from fuzz.mutate_json import mutate_json
from sewd_runtime.long.journal import Journal, Task
from sewd_runtime.long.segmentation import Segmentation
from sewd_runtime.long.steps import Step
from sewd_runtime.long.windows import START, Place
from sewd_runtime.text.formats import FORMATS
from sewd_runtime.text.transcript import Segment, Word

_NAME, _SEALED_NAME, _OTHER = "lecture.partial.jsonl", "sealed.partial.jsonl", "another file"
_NOISE = np.random.default_rng(0).normal(0, 0.1, 96_000).astype(np.float32)
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
    """Mutate a journal of four steps, or put something else in its place."""
    if random.random() < 0.03:
        return replace(special_file(random, (_NAME,), ""), files={_OTHER: _journal()})
    content = _journal()
    lines = content.splitlines(keepends=True)
    change = random.choice(("bytes", "bytes", "json", "json", "drop", "repeat", "exchange", *["sealed"] * 6))
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
    elif change == "exchange":
        other = random.randrange(len(lines))
        lines[number], lines[other] = lines[other], lines[number]
    else:
        content, note = _mutate_and_seal(random, [json.loads(line) for line in lines], number)
        return Mutant(files={_SEALED_NAME: content}, note=f"line {number + 1}: sealed: {note}")
    return Mutant(files={_NAME: b"".join(lines)}, note=f"line {number + 1}: {change}")


def attempt(folder: Path) -> None:
    """Resume the run. Of what was not sealed again, only steps that were written are resumed, in their order.

    What was sealed again is continued, joined and written in every format, as any other journal.
    """
    sealed, other = folder / _SEALED_NAME, folder / _OTHER
    journal = Journal.resume(sealed if sealed.exists() else folder / _NAME, _TASK)
    journal.close()
    assert not other.exists() or other.read_bytes() == _journal(), "another file was changed"
    if not sealed.exists():
        assert journal.steps == _STEPS[: len(journal.steps)], "steps that nobody wrote were resumed"
        return
    done = journal.steps[-1].done if journal.steps else START
    following = _recognizer().steps(iter([_NOISE]), segmentation=Segmentation(whole_s=0), done=done)
    transcript = _recognizer().join([*journal.steps, *following])
    for form in FORMATS.values():
        form.write(transcript)


def _mutate_and_seal(random: Random, documents: list[dict[str, Any]], number: int) -> tuple[bytes, str]:
    """Mutate the text of a line, and give all lines the seals that fit."""
    for document in documents:
        del document["seal"]
    texts = [json.dumps(document).encode() for document in documents]
    texts[number], note = mutate_json(random, documents[number])
    content, seal = b"", b""
    for text in texts:
        rest = b"{" + text[1:]
        seal = hashlib.sha256(seal + rest).hexdigest().encode()
        content += b'{"seal": "' + seal + b'", ' + rest[1:] + b"\n"
    return content, note


@cache
def _recognizer() -> sewd_runtime.Recognizer:
    return sewd_runtime.Recognizer.load(SEEDS / "tiny", threads=1)


@cache
def _journal() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.start(Path(folder, _NAME), _TASK)
        for step in _STEPS:
            journal.add(step)
        journal.close()
        return journal.path.read_bytes()

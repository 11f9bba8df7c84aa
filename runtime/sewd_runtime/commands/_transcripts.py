"""How ``sewd transcribe`` writes: to the terminal, or a file for each recording."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sewd_runtime.commands._files import Writer, printer
from sewd_runtime.transcript import Transcript

_SUFFIXES = {"text": ".txt", "json": ".json"}


def add_output(command: argparse.ArgumentParser) -> None:
    """Add where to write."""
    command.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="write NAME.txt or NAME.json there, for each file"
    )


def find_misuse(options: argparse.Namespace) -> str | None:
    """Say which options do not go together; None where all do."""
    if options.output_dir is None:
        return "--resume needs --output-dir: what was done is kept there" if options.resume else None
    counts = Counter(Path(name).stem for name in options.files)
    twice = sorted(stem for stem, count in counts.items() if count > 1)
    return f"--output-dir: several files are called {twice[0]}; run them apart" if twice else None


def writer(options: argparse.Namespace) -> Writer[Transcript]:
    """Return what writes a transcript as the options say."""
    if options.output_dir is None:
        return printer(options, lambda transcript: transcript.text, as_json)
    folder: Path = options.output_dir

    def write(name: str, transcript: Transcript) -> None:
        path = folder / f"{Path(name).stem}{_SUFFIXES[options.format]}"
        if options.format == "json":
            content = json.dumps({"file": name, **as_json(transcript)}, ensure_ascii=False)
        else:
            content = transcript.text
        beside = path.with_name(f"{path.name}.partial")
        beside.write_text(f"{content}\n", encoding="utf-8")
        beside.replace(path)

    return write


def as_json(transcript: Transcript) -> dict[str, Any]:
    """Return the plain values of a transcript."""
    words = [asdict(word) for word in transcript.words]
    return {"text": transcript.text, "duration_s": transcript.duration_s, "words": words}

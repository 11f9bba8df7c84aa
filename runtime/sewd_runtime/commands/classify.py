"""``sewd classify``."""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

from sewd_runtime._types import Samples
from sewd_runtime.bundle.folder import KEYWORDS
from sewd_runtime.classifier import Classifier
from sewd_runtime.commands._command import add_json, parse_count, parse_seconds
from sewd_runtime.commands._files import (
    ERRORS,
    add_files,
    choose_workers,
    limit_whole,
    printer,
    reader,
    run_files,
    walk_folders,
)
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.text.transcript import Classification, ClassifiedWindow

HELP = "Classify recordings: by default, spot ten spoken commands."
EXAMPLES = """\
  sewd classify speech.wav
  sewd classify --every 0.5 recording.wav
  sewd classify --model my-classifier --json *.wav > labels.jsonl
"""
_OUTPUT = f"""\
One file: its label and probability; several: one line each, "FILE: LABEL PROBABILITY".
With --every, a line for each window: "START END LABEL PROBABILITY", in seconds.
{ERRORS}"""

_Blocks: TypeAlias = tuple[str, Iterator[Samples]]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_files(command)
    output = command.add_argument_group("output", _OUTPUT)
    text = "take windows that begin every S seconds, each as if it were a file; files may be of any length"
    output.add_argument("--every", type=parse_seconds, metavar="S", help=text)
    text = "length of a window (default: 1, on which the embedded model was trained)"
    output.add_argument("--window", type=parse_seconds, metavar="S", default=1.0, help=text)
    text = "the K most probable labels (default: 1, in JSON all)"
    output.add_argument("--top-k", type=parse_count, metavar="K", help=text)
    chosen = output.add_mutually_exclusive_group()
    chosen.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    add_json(chosen, "short for --format json: one object per line")
    add_model(command, default=KEYWORDS, workers=True)


def run(options: argparse.Namespace) -> int:
    """Classify the files and return the exit code."""
    walk_folders(options)
    choose_workers(options)
    model = load_model(options, Classifier)
    rate_hz = model.manifest.sample_rate_hz

    def as_text(found: Classification) -> str:
        return _as_text(found.top(options.top_k or 1))

    def as_json(found: Classification) -> dict[str, Any]:
        return asdict(found.top(options.top_k))

    write = printer(options, as_text, as_json)
    if options.every is None:
        limit_whole(options)
        read = reader(options, rate_hz, lambda _, blocks: model.network.read(blocks, None))
        return run_files(options, read, model.classify_batch, write, workers=model.network.workers)

    def write_windows(recordings: Sequence[_Blocks]) -> Iterator[None]:
        """Write the windows of each recording as soon as they are known."""
        for name, blocks in recordings:
            for window in model.classify_windows(blocks, every_s=options.every, window_s=options.window):
                write(name, window)
            yield

    read = reader(options, rate_hz, lambda name, blocks: (name, blocks))
    return run_files(options, read, write_windows, lambda *_: None, workers=1)


def _as_text(found: Classification) -> str:
    scores = zip(found.labels, found.probabilities, strict=True)
    text = " ".join(f"{label} {probability:.4f}" for label, probability in scores)
    if isinstance(found, ClassifiedWindow):
        return f"{found.start_s:.2f} {found.end_s:.2f} {text}"
    return text

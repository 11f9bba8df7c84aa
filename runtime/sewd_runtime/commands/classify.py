"""``sewd classify``."""

import argparse
from dataclasses import asdict

from sewd_runtime.classifier import Classifier
from sewd_runtime.commands._command import add_json
from sewd_runtime.commands._files import ERRORS, add_files, printer, reader, run_files, walk_folders
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.text.transcript import Classification

HELP = "Classify recordings."
EXAMPLES = """\
  sewd classify --model my-classifier speech.wav
  sewd classify --model my-classifier --json *.wav > labels.jsonl
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_files(command)
    text = (
        f'One file: its label and probability; several: one line each, "FILE: LABEL PROBABILITY".\n{ERRORS}'
    )
    add_json(command.add_argument_group("output", text), "one JSON object per line")
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Classify the files and return the exit code."""
    walk_folders(options)
    model = load_model(options, Classifier)
    read = reader(options, model.manifest.sample_rate_hz, lambda _, blocks: model.network.read(blocks, None))
    return run_files(options, read, model.classify_batch, printer(options, _as_text, asdict))


def _as_text(classification: Classification) -> str:
    return f"{classification.label} {classification.probability:.4f}"

"""``sewd classify``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from functools import partial
from typing import Any

from sewd_runtime.classifier import Classifier
from sewd_runtime.commands._files import OUTPUT, add_files, printer, read_short, run_files
from sewd_runtime.commands._shared import EXIT_CODES, add_model, load_model
from sewd_runtime.text.transcript import Classification

HELP = "Write the label of recordings."
EPILOG = OUTPUT + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(command)
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Classify the files and return the exit code."""
    model = load_model(options, Classifier)
    read = partial(read_short, network=model.network, longest=sys.maxsize)
    return run_files(options, read, model.classify_batch, printer(options, _as_text, _as_json))


def _as_text(classification: Classification) -> str:
    return f"{classification.label} {classification.probability:.4f}"


def _as_json(classification: Classification) -> dict[str, Any]:
    return asdict(classification)

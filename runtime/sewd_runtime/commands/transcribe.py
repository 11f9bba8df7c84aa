"""``sewd transcribe``."""

from __future__ import annotations

import argparse
from functools import partial

from sewd_runtime.commands._files import add_files, read_short, run_files
from sewd_runtime.commands._shared import EXIT_CODES, USAGE, add_model, complain, load_recognizer
from sewd_runtime.commands._transcripts import OUTPUT, add_output, choose_writer, find_misuse
from sewd_runtime.formats import FORMATS
from sewd_runtime.segmentation import SEGMENTATION

HELP = "Write what is said in recordings."
EPILOG = OUTPUT + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(command, formats=tuple(FORMATS))
    add_output(command)
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    if misuse := find_misuse(options):
        complain(ValueError(misuse))
        return USAGE
    model = load_recognizer(options, "transcribe")
    longest = round(SEGMENTATION.whole_s * model.manifest.sample_rate_hz)
    read = partial(read_short, engine=model.engine, longest=longest)
    transcribe = partial(model.transcribe_batch, characters=options.characters)
    return run_files(options, read, transcribe, choose_writer(options))

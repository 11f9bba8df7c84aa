"""``sewd transcribe``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from typing import Any

from sewd_runtime.commands._decoding import add_decoding, decoder_of, find_decoding_misuse
from sewd_runtime.commands._files import OUTPUT, add_files, read_short, run_files
from sewd_runtime.commands._shared import EXIT_CODES, USAGE, add_model, complain, load_model
from sewd_runtime.errors import TaskError
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.segmentation import SEGMENTATION
from sewd_runtime.transcript import Transcript

HELP = "Write what is said in recordings."
EPILOG = OUTPUT + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(command)
    add_model(command)
    add_decoding(command)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    if misuse := find_decoding_misuse(options):
        complain(ValueError(misuse))
        return USAGE
    decoder = decoder_of(options)
    model = load_model(options)
    if not isinstance(model, Recognizer):
        raise TaskError(f"{model.engine.bundle.path}: is for {model.manifest.task}, transcribe needs ctc")
    longest = round(SEGMENTATION.whole_s * model.manifest.sample_rate_hz)
    read = partial(read_short, engine=model.engine, longest=longest)
    transcribe = partial(model.transcribe_batch, decoder=decoder)
    return run_files(options, read, transcribe, _as_text, _as_json)


def _as_text(transcript: Transcript) -> str:
    return transcript.text


def _as_json(transcript: Transcript) -> dict[str, Any]:
    words = [asdict(word) for word in transcript.words]
    found = {"text": transcript.text, "duration_s": transcript.duration_s, "words": words}
    if any(segment.alternatives for segment in transcript.segments):
        found["alternatives"] = [[asdict(one) for one in each.alternatives] for each in transcript.segments]
    return found

"""``sewd transcribe``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from sewd_runtime._types import AudioSource
from sewd_runtime.commands._files import OUTPUT, add_files, read_short, run_files
from sewd_runtime.commands._long_files import LONG_FILES, LongFiles, add_long_files, chosen_segmentation
from sewd_runtime.commands._shared import EXIT_CODES, USAGE, add_model, complain, load_model
from sewd_runtime.commands._transcripts import add_output, find_misuse, writer
from sewd_runtime.decode import Greedy
from sewd_runtime.errors import TaskError
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.transcript import Transcript

HELP = "Write what is said in recordings."
EPILOG = OUTPUT + LONG_FILES + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(command)
    add_output(command)
    add_long_files(command)
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    if misuse := find_misuse(options):
        complain(ValueError(misuse))
        return USAGE
    model = load_model(options)
    if not isinstance(model, Recognizer):
        raise TaskError(f"{model.engine.bundle.path}: is for {model.manifest.task}, transcribe needs ctc")
    long_files = LongFiles(
        recognizer=model,
        decoder=Greedy(),
        segmentation=chosen_segmentation(options),
        journals=options.output_dir,
        resume=options.resume,
    )
    if options.output_dir is not None:
        options.output_dir.mkdir(parents=True, exist_ok=True)
    longest = round(long_files.segmentation.whole_s * model.manifest.sample_rate_hz)
    read = partial(read_short, engine=model.engine, longest=longest)
    write = writer(options)

    def write_and_forget(name: str, transcript: Transcript) -> None:
        write(name, transcript)
        long_files.forget(name)

    return run_files(options, read, partial(_transcribe, long_files), write_and_forget)


def _transcribe(long_files: LongFiles, recordings: Sequence[AudioSource]) -> Iterable[Transcript]:
    """Transcribe short recordings, which are arrays, together; a long one comes alone."""
    if isinstance(recordings[0], np.ndarray):
        return long_files.recognizer.transcribe_batch(recordings, segmentation=long_files.segmentation)
    return long_files.run(recordings[0])

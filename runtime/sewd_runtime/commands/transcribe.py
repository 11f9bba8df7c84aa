"""``sewd transcribe``."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from sewd_runtime._types import AudioSource
from sewd_runtime.commands._decoding import (
    add_decoding,
    decoder_of,
    describe_decoding,
    find_decoding_misuse,
)
from sewd_runtime.commands._files import add_files, read_short, run_files
from sewd_runtime.commands._long_files import (
    LONG_FILES,
    LongFiles,
    add_long_files,
    chosen_segmentation,
    find_long_misuse,
)
from sewd_runtime.commands._shared import EXIT_CODES, USAGE, add_model, complain, load_model
from sewd_runtime.commands._transcripts import OUTPUT, add_output, choose_writer, find_misuse
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.formats import FORMATS
from sewd_runtime.text.transcript import Transcript

HELP = "Write what is said in recordings."
EPILOG = OUTPUT + LONG_FILES + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    add_files(command, formats=tuple(FORMATS))
    add_output(command)
    add_long_files(command)
    add_model(command)
    add_decoding(command, n_best=True)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    misuse = find_misuse(options) or find_long_misuse(options) or find_decoding_misuse(options)
    if misuse:
        complain(ValueError(misuse))
        return USAGE
    decoder = decoder_of(options)
    model = load_model(options, Recognizer)
    if options.output_dir is not None:
        options.output_dir.mkdir(parents=True, exist_ok=True)
    long_files = LongFiles(
        recognizer=model,
        decoder=decoder,
        decoding=describe_decoding(options),
        segmentation=chosen_segmentation(options),
        characters=options.characters,
        journals=options.output_dir,
        resume=options.resume,
    )
    longest = round(long_files.segmentation.whole_s * model.manifest.sample_rate_hz)
    read = partial(read_short, network=model.network, longest=longest)
    save = choose_writer(options)

    def write(name: str, transcript: Transcript) -> None:
        save(name, transcript)
        long_files.forget(name)

    return run_files(options, read, partial(_transcribe, long_files), write)


def _transcribe(long_files: LongFiles, recordings: Sequence[AudioSource]) -> Iterable[Transcript]:
    """Transcribe short recordings, which are arrays, together; a long one comes alone."""
    if recordings and not isinstance(recordings[0], np.ndarray):
        return long_files.run(recordings[0])
    return long_files.recognizer.transcribe_batch(
        recordings, decoder=long_files.decoder, characters=long_files.characters
    )

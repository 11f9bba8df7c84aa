"""``sewd transcribe``."""

import argparse
from collections.abc import Iterable, Sequence
from functools import partial

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.audio.time_range import TimeRange
from sewd_runtime.commands._channels import SplitFile, run_channels, split_reader
from sewd_runtime.commands._decoding import add_decoding, check_decoding, decoder_of, describe_decoding
from sewd_runtime.commands._files import (
    SPLIT,
    add_files,
    choose_workers,
    describe_reading,
    reader,
    run_files,
    walk_folders,
)
from sewd_runtime.commands._long_files import (
    LongFile,
    LongFiles,
    add_long_files,
    check_long_files,
    chosen_segmentation,
)
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.commands._skipping import skip_existing, skip_made, source_of
from sewd_runtime.commands._transcripts import add_output, check_output, choose_writer
from sewd_runtime.recognizer import Recognizer, transcribe_opened
from sewd_runtime.text.transcript import Transcript

HELP = "Transcribe recordings."
EXAMPLES = """\
  sewd transcribe speech.wav
  sewd transcribe --format srt -o subtitles *.mp3
  sewd transcribe --start 90 --duration 30 --channel split call.wav
  sewd transcribe --json --hotword "Aachen=8" - < speech.flac
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_files(command, split=True)
    add_output(command, default="text")
    add_model(command, workers=True)
    add_long_files(command)
    add_decoding(command, n_best=True)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    walk_folders(options)
    choose_workers(options)
    check_long_files(options)
    if options.skip_existing:
        skip_existing(options)
    check_output(options)
    if options.channel == SPLIT and options.n_best is not None:
        options.error("--n-best gives readings of whole segments, which --channel split cuts into turns")
    check_decoding(options)
    model = load_model(options, Recognizer)
    decoder = decoder_of(options, model.decoders)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    long_files = LongFiles(
        recognizer=model,
        decoder=decoder,
        decoding=describe_decoding(options, model.manifest) + describe_reading(options),
        part=TimeRange(start_s=options.start, duration_s=options.duration),
        segmentation=chosen_segmentation(options),
        characters=options.characters,
        journals=options.output,
        resume=options.resume,
    )
    read = reader(options, model.manifest.sample_rate_hz, long_files.open)
    if options.channel == SPLIT:
        read = split_reader(options)
    source = source_of(options, long_files)
    if options.resume:
        skip_made(options, source)
    save = choose_writer(options, source)

    def write(name: str, transcript: Transcript) -> None:
        save(name, transcript.shifted(options.start))
        long_files.forget(name)

    run_one = partial(_transcribe, long_files, options)
    return run_files(options, read, run_one, write, workers=model.network.workers)


def _transcribe(
    long_files: LongFiles,
    options: argparse.Namespace,
    recordings: Sequence[Samples | LongFile | SplitFile],
) -> Iterable[Transcript]:
    """Transcribe recordings that run whole together; a long one, and one to be split, comes alone."""
    if recordings and isinstance(recordings[0], SplitFile):
        return run_channels(recordings[0], options, long_files)
    if recordings and isinstance(recordings[0], LongFile):
        return long_files.run(recordings[0])
    batch = [samples for samples in recordings if isinstance(samples, np.ndarray)]
    return transcribe_opened(long_files.recognizer, batch, long_files.options)

"""``sewd transcribe``."""

import argparse
from collections.abc import Iterable, Sequence
from functools import partial

from sewd_runtime._types import Samples
from sewd_runtime.commands._decoding import add_decoding, check_decoding, decoder_of, describe_decoding
from sewd_runtime.commands._files import add_files, reader, run_files, walk_folders
from sewd_runtime.commands._long_files import (
    LongFile,
    LongFiles,
    add_long_files,
    check_long_files,
    chosen_segmentation,
)
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.commands._transcripts import add_output, check_output, choose_writer
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.transcript import Transcript

HELP = "Transcribe recordings."
EXAMPLES = """\
  sewd transcribe speech.wav
  sewd transcribe --format srt -o subtitles *.mp3
  sewd transcribe --json --hotword "Aachen=8" - < speech.flac
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_files(command)
    add_output(command, default="text")
    add_model(command)
    add_long_files(command)
    add_decoding(command, n_best=True)


def run(options: argparse.Namespace) -> int:
    """Transcribe the files and return the exit code."""
    walk_folders(options)
    check_output(options)
    check_long_files(options)
    check_decoding(options)
    decoder = decoder_of(options)
    model = load_model(options, Recognizer)
    if options.output is not None:
        options.output.mkdir(parents=True, exist_ok=True)
    long_files = LongFiles(
        recognizer=model,
        decoder=decoder,
        decoding=describe_decoding(options),
        segmentation=chosen_segmentation(options),
        characters=options.characters,
        journals=options.output,
        resume=options.resume,
    )
    read = reader(options, model.manifest.sample_rate_hz, long_files.open)
    save = choose_writer(options)

    def write(name: str, transcript: Transcript) -> None:
        save(name, transcript)
        long_files.forget(name)

    return run_files(options, read, partial(_transcribe, long_files), write)


def _transcribe(long_files: LongFiles, recordings: Sequence[Samples | LongFile]) -> Iterable[Transcript]:
    """Transcribe recordings that run whole together; a long one comes alone."""
    if recordings and isinstance(recordings[0], LongFile):
        return long_files.run(recordings[0])
    return long_files.recognizer.transcribe_batch(
        [samples for samples in recordings if not isinstance(samples, LongFile)],
        decoder=long_files.decoder,
        segmentation=long_files.segmentation,
        characters=long_files.characters,
    )

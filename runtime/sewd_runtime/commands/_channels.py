"""``sewd transcribe --channel split``: each channel of a file is transcribed on its own."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sewd_runtime.audio.reading import count_channels
from sewd_runtime.commands._files import Reader, read_blocks
from sewd_runtime.commands._long_files import LongFiles
from sewd_runtime.errors import AudioValueError
from sewd_runtime.recognizer import transcribe_opened
from sewd_runtime.text.channels import merge_channels
from sewd_runtime.text.transcript import Transcript

MAX_CHANNELS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitFile:
    """A file whose channels are transcribed one after another."""

    name: str
    channels: int


def split_reader(options: argparse.Namespace) -> Reader:
    """Return a function that opens a file to count its channels."""

    def read_file(name: str) -> SplitFile:
        if name == "-":
            raise AudioValueError("--channel split reads each channel on its own; give a file, not stdin")
        channels = count_channels(name, ffmpeg=options.ffmpeg)
        if channels > MAX_CHANNELS:
            raise AudioValueError(
                f"{name}: has {channels} channels, and --channel split takes up to {MAX_CHANNELS}; "
                f"choose one with --channel N"
            )
        return SplitFile(name=name, channels=channels)

    return read_file


def run_channels(file: SplitFile, options: argparse.Namespace, long_files: LongFiles) -> Iterator[Transcript]:
    """Yield the transcript of all channels.

    Interrupted with Ctrl-C, it yields the transcript so far and raises KeyboardInterrupt when asked for more;
    with a journal for each channel, it raises at once.
    """
    transcripts: list[Transcript] = []
    try:
        for channel in range(1, file.channels + 1):
            for transcript in _run_channel(file.name, channel, options, long_files):
                transcripts.append(transcript)  # noqa: PERF402 - kept if the next step is interrupted
    except KeyboardInterrupt:
        if long_files.journals is None and transcripts:
            yield merge_channels(transcripts)
        raise
    yield merge_channels(transcripts)


def _run_channel(
    name: str, channel: int, options: argparse.Namespace, long_files: LongFiles
) -> Iterator[Transcript]:
    recognizer = long_files.recognizer
    blocks = read_blocks(name, options, recognizer.manifest.sample_rate_hz, channel=channel)
    recording = long_files.open(name, blocks, channel)
    if not isinstance(recording, np.ndarray):
        yield from long_files.run(recording)
        return
    yield from transcribe_opened(recognizer, [recording], long_files.options)

"""``sewd stream``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.audio.microphone import BLOCK_S, open_microphone
from sewd_runtime.audio.reading import stream_audio
from sewd_runtime.commands._decoding import add_decoding, decoder_of, find_decoding_misuse
from sewd_runtime.commands._partials import InPlace, JsonLines, Show, show_lines
from sewd_runtime.commands._shared import (
    DONE,
    EXIT_CODES,
    INTERRUPTED,
    SOME_FAILED,
    USAGE,
    add_model,
    complain,
    load_model,
    parse_count,
)
from sewd_runtime.errors import AudioError, AudioValueError
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.streaming.stream import Stream, Streaming

Blocks: TypeAlias = "Generator[NDArray[Any], None, None]"

HELP = "Write what is said while it is heard: from a microphone, a pipe, or a file."
EPILOG = (
    """\
output:
  text  on a terminal: one line drawn anew, what may still change dimmed; else a line for what is final
  json  an object a line for each change: final words with times, and pending text
Interrupted, it ends with what was heard so far; that is how a microphone ends, so its exit code is 0.

  arecord -q -t raw -f S16_LE -r 16000 | sewd stream --rate 16000 -

"""
    + EXIT_CODES
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    source = command.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", metavar="FILE", help="WAV, FLAC, OGG or MP3; - for stdin")
    source.add_argument("--microphone", action="store_true", help="the default one (extra: mic)")
    command.add_argument(
        "--rate", type=parse_count, metavar="HZ", help="stdin is raw, 16 bits, one channel, at this rate"
    )
    command.add_argument("--realtime", action="store_true", help="hear a file no faster than it was spoken")
    command.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
    for name, default, text in (
        ("chunk", Streaming().chunk_s, "the model runs each time so much more was heard"),
        ("right-context", Streaming().right_context_s, "what is heard after a word before it is final"),
        ("left-context", Streaming().left_context_s, "what is heard again before what is new"),
    ):
        help_text = f"{text} (default: {default:g})"
        command.add_argument(f"--{name}", type=float, metavar="S", default=default, help=help_text)
    add_model(command)
    add_decoding(command)


def run(options: argparse.Namespace) -> int:
    """Transcribe the stream and return the exit code."""
    try:
        streaming = _streaming(options)
        if misuse := find_decoding_misuse(options):
            raise ValueError(misuse)
    except ValueError as error:
        complain(error)
        return USAGE
    decoder = decoder_of(options)
    model = load_model(options, Recognizer)
    rate_hz, blocks = _open(options, model.manifest.sample_rate_hz)
    stream = model.stream(sample_rate_hz=rate_hz, decoder=decoder, streaming=streaming)
    with closing(blocks), _shown(options.format) as show, _noted_interrupt() as is_interrupted:
        code = _hear(stream, blocks, show, is_interrupted, options.file or "")
        show(stream.finish())
    return INTERRUPTED if is_interrupted() and not options.microphone else code


def _streaming(options: argparse.Namespace) -> Streaming:
    """Make of the options how the stream is cut; raises AudioValueError."""
    if options.rate is not None and options.file != "-":
        raise AudioValueError("--rate is for raw samples on stdin: give - as the FILE")
    return Streaming(
        chunk_s=options.chunk,
        right_context_s=options.right_context,
        left_context_s=options.left_context,
    )


def _hear(stream: Stream, blocks: Blocks, show: Show, is_interrupted: Callable[[], bool], name: str) -> int:
    """Feed the stream until its source ends, or somebody interrupts, and return the exit code."""
    try:
        for block in blocks:
            show(stream.feed(block))
            if is_interrupted():
                break
    except (AudioError, OSError) as error:
        complain(error, name)
        return SOME_FAILED
    return DONE


def _open(options: argparse.Namespace, model_rate_hz: int) -> tuple[int, Blocks]:
    """Return the rate of the source in Hz and its blocks."""
    if options.microphone:
        return open_microphone()
    if options.rate is not None:
        return options.rate, _raw_blocks(round(BLOCK_S * options.rate))
    blocks = _file_blocks(options.file, model_rate_hz)
    return model_rate_hz, _paced(blocks, model_rate_hz) if options.realtime else blocks


def _raw_blocks(size: int) -> Blocks:
    """Yield what arrives on stdin, samples of 16 bits, little-endian, as soon as it is there."""
    rest = b""
    while content := os.read(sys.stdin.fileno(), 2 * size):
        content = rest + content
        whole = len(content) // 2 * 2
        rest = content[whole:]
        yield np.frombuffer(content[:whole], "<i2")


def _file_blocks(name: str, rate_hz: int) -> Blocks:
    source = sys.stdin.buffer.read() if name == "-" else name
    size = round(BLOCK_S * rate_hz)
    for block in stream_audio(source, target_rate_hz=rate_hz):
        for first in range(0, len(block), size):
            yield block[first : first + size]


def _paced(blocks: Blocks, rate_hz: int) -> Blocks:
    """Yield each block when it would have been spoken."""
    began, num_samples = time.monotonic(), 0
    for block in blocks:
        num_samples += len(block)
        time.sleep(max(0.0, began + num_samples / rate_hz - time.monotonic()))
        yield block


@contextmanager
def _shown(output_format: str) -> Iterator[Show]:
    if output_format == "json":
        yield JsonLines()
    elif not sys.stdout.isatty():
        yield show_lines
    else:
        with closing(InPlace()) as show:
            yield show


@contextmanager
def _noted_interrupt() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether Ctrl-C was pressed; pressed twice, it interrupts as always."""
    noted: list[int] = []

    def note(number: int, _: Any) -> None:
        noted.append(number)
        signal.signal(number, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)

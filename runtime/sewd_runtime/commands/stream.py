"""``sewd stream``."""

import argparse
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.audio.microphone import BLOCK_S, open_microphone
from sewd_runtime.commands._command import (
    DONE,
    INTERRUPTED,
    SOME_FAILED,
    add_json,
    complain,
    parse_count,
    parse_number,
)
from sewd_runtime.commands._decoding import add_decoding, check_decoding, decoder_of
from sewd_runtime.commands._files import KINDS, add_part, add_reading, describe_reading, read_blocks
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.commands._partials import InPlace, JsonLines, Show, show_lines
from sewd_runtime.errors import AudioError, AudioValueError
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.streaming.stream import Stream, Streaming
from sewd_runtime.system.signals import Interrupt
from sewd_runtime.system.standard_streams import standard_input
from sewd_runtime.system.terminal import can_redraw

Blocks: TypeAlias = Generator[NDArray[Any], None, None]

HELP = "Transcribe while listening: to a microphone, a pipe or a file."
EXAMPLES = """\
  sewd stream --microphone
  ffmpeg -loglevel error -i URL -f wav - | sewd stream -
  arecord -q -t raw -f S16_LE -r 16000 | sewd stream --rate 16000 -
"""

_OUTPUT = """\
On a terminal: one line, updated in place, with pending words dimmed; otherwise committed words, in lines.
Ctrl-C ends the stream and writes what was heard so far; with --microphone the exit code is then 0."""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = command.add_argument_group("input")
    source = group.add_mutually_exclusive_group(required=True)
    source.add_argument("file", nargs="?", metavar="FILE", help=KINDS)
    source.add_argument("--microphone", action="store_true", help="the default microphone; needs sewd[mic]")
    text = "sample rate of raw samples on stdin: 16 bits, little-endian, one channel"
    group.add_argument("--rate", type=parse_count, metavar="HZ", help=text)
    group.add_argument("--realtime", action="store_true", help="play a file no faster than it was spoken")
    add_reading(group)
    add_part(group)
    text = "one JSON object per change: committed words with times, and pending text"
    add_json(command.add_argument_group("output", _OUTPUT), text)
    add_model(command)
    group = command.add_argument_group("streaming")
    for name, default, text in (
        ("chunk", Streaming().chunk_s, "new audio per run of the model"),
        ("right-context", Streaming().right_context_s, "audio after a word before it is committed"),
        ("left-context", Streaming().left_context_s, "audio before the chunk that the model runs again"),
    ):
        help_text = f"{text} (default: {default:g})"
        group.add_argument(f"--{name}", type=parse_number, metavar="S", default=default, help=help_text)
    add_decoding(command)


def run(options: argparse.Namespace) -> int:
    """Transcribe the stream and return the exit code."""
    streaming = _streaming(options)
    check_decoding(options)
    model = load_model(options, Recognizer)
    decoder = decoder_of(options, model.decoders)
    rate_hz, blocks = _open(options, model.manifest.sample_rate_hz)
    stream = model.stream(sample_rate_hz=rate_hz, decoder=decoder, streaming=streaming)
    with closing(blocks), _shown(options.format, options.start) as show, Interrupt() as interrupt:
        code = _hear(stream, blocks, show, interrupt, options.file or "")
        show(stream.finish())
    return INTERRUPTED if interrupt.is_noted and not options.microphone else code


def _streaming(options: argparse.Namespace) -> Streaming:
    """Return the streaming options; exits with wrong usage where they are out of range."""
    if options.rate is not None and options.file != "-":
        options.error("--rate is for raw samples on stdin: give - as the FILE")
    if describe_reading(options) and (options.microphone or options.rate is not None):
        options.error("--start, --duration and --channel are for a FILE, or stdin without --rate")
    try:
        return Streaming(
            chunk_s=options.chunk,
            right_context_s=options.right_context,
            left_context_s=options.left_context,
        )
    except AudioValueError as error:
        options.error(str(error))
        raise


def _hear(stream: Stream, blocks: Blocks, show: Show, interrupt: Interrupt, name: str) -> int:
    """Feed the stream until its source ends or Ctrl-C is pressed, and return the exit code."""
    while not interrupt.is_noted:
        try:
            block = interrupt.next_of(blocks)
            if block is None:
                break
            partial = stream.feed(block)
        except (AudioError, OSError) as error:
            complain(error, name)
            return SOME_FAILED
        show(partial)
    return DONE


def _open(options: argparse.Namespace, model_rate_hz: int) -> tuple[int, Blocks]:
    """Return the rate of the source in Hz and its blocks."""
    if options.microphone:
        return open_microphone()
    if options.rate is not None:
        return options.rate, _raw_blocks(round(BLOCK_S * options.rate))
    blocks = _file_blocks(options, model_rate_hz)
    return model_rate_hz, _paced(blocks, model_rate_hz) if options.realtime else blocks


def _raw_blocks(size: int) -> Blocks:
    """Yield 16-bit little-endian samples from stdin as soon as they arrive."""
    rest = b""
    pipe = standard_input()
    while content := pipe.read1(2 * size):
        content = rest + content
        whole = len(content) // 2 * 2
        rest = content[whole:]
        yield np.frombuffer(content[:whole], "<i2")


def _file_blocks(options: argparse.Namespace, rate_hz: int) -> Blocks:
    size = round(BLOCK_S * rate_hz)
    for block in read_blocks(options.file, options, rate_hz):
        for first in range(0, len(block), size):
            yield block[first : first + size]


def _paced(blocks: Blocks, rate_hz: int) -> Blocks:
    """Yield each block no sooner than it would have been spoken."""
    began, num_samples = time.monotonic(), 0
    for block in blocks:
        num_samples += len(block)
        time.sleep(max(0.0, began + num_samples / rate_hz - time.monotonic()))
        yield block


@contextmanager
def _shown(output_format: str, start_s: float) -> Iterator[Show]:
    if output_format == "json":
        yield JsonLines(start_s)
    elif not can_redraw(sys.stdout):
        yield show_lines
    else:
        with closing(InPlace()) as show:
            yield show

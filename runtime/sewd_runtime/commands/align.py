"""``sewd align``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sewd_runtime._types import AudioSource
from sewd_runtime.commands._files import KINDS, run_files
from sewd_runtime.commands._shared import (
    EXIT_CODES,
    SOME_FAILED,
    USAGE,
    add_model,
    complain,
    load_model,
)
from sewd_runtime.commands._transcripts import OUTPUT, add_output, choose_writer, find_misuse
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.formats import FORMATS
from sewd_runtime.text.transcript import Transcript

HELP = "Write when each word of a known text is said in a recording."
EPILOG = OUTPUT + EXIT_CODES


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    command.add_argument("files", nargs=1, metavar="FILE", help=KINDS)
    text = command.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", metavar="TEXT", help="all that is said")
    text.add_argument("--text-file", type=Path, metavar="PATH", help="a UTF-8 file of all that is said")
    command.add_argument("--format", choices=tuple(FORMATS), default="json", help="(default: json)")
    add_output(command)
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Align the file and return the exit code."""
    if misuse := find_misuse(options):
        complain(ValueError(misuse))
        return USAGE
    try:
        text = options.text if options.text_file is None else options.text_file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        complain(error, str(options.text_file))
        return SOME_FAILED
    model = load_model(options, Recognizer)

    def align(audios: Sequence[AudioSource]) -> list[Transcript]:
        return [model.align(audio, text, characters=options.characters) for audio in audios]

    return run_files(options, _read, align, choose_writer(options))


def _read(name: str) -> AudioSource:
    return sys.stdin.buffer.read() if name == "-" else name

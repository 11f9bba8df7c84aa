"""``sewd align``."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from sewd_runtime._types import Samples
from sewd_runtime.commands._command import SOME_FAILED, complain
from sewd_runtime.commands._files import KINDS, add_part, add_reading, reader, run_files
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.commands._transcripts import add_output, check_output, choose_writer
from sewd_runtime.errors import TextError
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.files import read_text_file
from sewd_runtime.text.transcript import Transcript

HELP = "Find when each word of a known text is said in a recording."
EXAMPLES = """\
  sewd align --text "six six eight" speech.wav
  sewd align --text "call 911 now" --lenient speech.wav
  sewd align --text-file speech.txt --format vtt speech.wav > speech.vtt
"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    group = command.add_argument_group("input")
    group.add_argument("files", nargs=1, metavar="FILE", help=KINDS)
    add_reading(group)
    add_part(group)
    text = group.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", metavar="TEXT", help="all that is said")
    text.add_argument("--text-file", type=Path, metavar="PATH", help="a text file of all that is said")
    hint = "let digits and letters that the model cannot write match anything, and the word * too"
    group.add_argument("--lenient", action="store_true", help=hint)
    add_output(command, default="json")
    add_model(command)


def run(options: argparse.Namespace) -> int:
    """Align the file and return the exit code."""
    check_output(options)
    try:
        text = options.text if options.text_file is None else read_text_file(options.text_file)
    except (OSError, TextError) as error:
        complain(error, str(options.text_file))
        return SOME_FAILED
    model = load_model(options, Recognizer)

    read = reader(options, model.manifest.sample_rate_hz, lambda _, blocks: blocks)

    def align(recordings: Sequence[Iterator[Samples]]) -> list[Transcript]:
        return [
            model.align(blocks, text, characters=options.characters, lenient=options.lenient)
            for blocks in recordings
        ]

    save = choose_writer(options)
    return run_files(
        options, read, align, lambda name, each: save(name, each.shifted(options.start)), workers=1
    )

"""Writing transcripts: to standard output, or to a file for each recording."""

import argparse
from operator import attrgetter
from pathlib import Path

from sewd_runtime.commands._command import add_json, refuse_inputs
from sewd_runtime.commands._files import ERRORS, Writer, printer
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.text.formats import FORMATS, as_dict
from sewd_runtime.text.transcript import Transcript

_FORMATS = f"""\
text           one file: its text alone; several: one line each, "FILE: text"
json           one object per line
srt, vtt, tsv  subtitles (SubRip, WebVTT) or a table of them, one document per recording
With --output DIR, FILE NAME.wav is written to DIR/NAME.txt (.json, .srt ...) and nothing to stdout. There
a file is replaced only if sewd wrote it (DIR/.sewd-outputs says so) and nobody has changed it since.
{ERRORS}"""


def add_output(command: argparse.ArgumentParser, *, default: str) -> None:
    """Add what is written of a transcript, and where to."""
    group = command.add_argument_group("output", _FORMATS)
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--format", choices=tuple(FORMATS), default=default, help=f"(default: {default})")
    add_json(chosen, "short for --format json")
    group.add_argument("--characters", action="store_true", help="add the times of characters; needs --json")
    group.add_argument("-o", "--output", type=Path, metavar="DIR", help="write a file for each FILE into DIR")


def check_output(options: argparse.Namespace) -> None:
    """Exit with wrong usage where the output options contradict one another."""
    chosen = FORMATS[options.format]
    if options.characters and options.format != "json":
        options.error("--characters needs --json")
    if options.output is None:
        if chosen.is_document and len(options.files) > 1:
            options.error(f"--format {options.format} takes one FILE; for several give --output DIR")
        return
    endings = {row.ending for row in FORMATS.values()}
    if not options.output.is_dir() and (options.output.exists() or options.output.suffix in endings):
        options.error(f"--output {options.output}: not a folder; give one, and the format with --format")
    sources: dict[Path, str] = {}
    for name in options.files:
        path = beside(options.output, name, chosen.ending)
        if path in sources:
            options.error(f"{sources[path]} and {name} would both be written to {path}; give one at a time")
        sources[path] = name
    refuse_inputs(options, sources)
    folder = OutputFolder(options.output)
    try:
        for path in sources:
            folder.check(path)
    except OSError as error:
        options.error(f"{error.filename}: {error.strerror}")


def choose_writer(options: argparse.Namespace) -> Writer[Transcript]:
    """Return a function that writes a transcript where the options say."""
    chosen = FORMATS[options.format]

    def show(name: str, transcript: Transcript) -> None:
        print(chosen.write(transcript), end="", flush=True)

    if options.output is not None:
        folder = OutputFolder(options.output)
        return lambda name, transcript: folder.write(
            beside(options.output, name, chosen.ending), chosen.write(transcript)
        )
    return show if chosen.is_document else printer(options, attrgetter("text"), as_dict)


def beside(folder: Path, name: str, ending: str) -> Path:
    """Return the path in ``folder`` for what is written about the recording ``name``."""
    return folder / f"{'stdin' if name == '-' else Path(name).stem}{ending}"

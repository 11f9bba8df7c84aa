"""Writing transcripts: to standard output, or to a file for each recording."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sewd_runtime.commands._command import add_json, parse_count, parse_positive, parse_seconds, refuse_inputs
from sewd_runtime.commands._files import ERRORS, Writer, printer
from sewd_runtime.commands._lists import id_of
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.text.case import sentence_case
from sewd_runtime.text.cues import CueLimits
from sewd_runtime.text.formats import FORMATS, as_dict
from sewd_runtime.text.transcript import Transcript

_FORMATS = f"""\
text           one file: its text alone; several: one line each, "FILE: text"
json           one object per line
srt, vtt, tsv  subtitles (SubRip, WebVTT) or a table of them, one document per recording
With --output DIR, FILE NAME.wav is written to DIR/NAME.txt (.json, .srt ...) and nothing to stdout. There
a file is replaced only if sewd wrote it (DIR/.sewd-outputs says so) and nobody has changed it since.
{ERRORS}"""


_LIMITS = {
    "line_characters": ("--line-characters", parse_count, "longest line (default: 42)"),
    "lines": ("--lines", parse_count, "lines of a cue (default: 2)"),
    "characters_per_s": ("--characters-per-second", parse_positive, "reading speed to aim at (default: 20)"),
    "shortest_s": ("--shortest-cue", parse_seconds, "seconds a cue is shown at least (default: 0.83)"),
    "longest_s": ("--longest-cue", parse_seconds, "seconds a cue is shown at most (default: 7)"),
}
"""Field of CueLimits → its option, parser and help."""


def add_output(command: argparse.ArgumentParser, *, default: str) -> None:
    """Add what is written of a transcript, and where to."""
    group = command.add_argument_group("output", _FORMATS)
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--format", choices=tuple(FORMATS), default=default, help=f"(default: {default})")
    add_json(chosen, "short for --format json")
    group.add_argument("--characters", action="store_true", help="add the times of characters; needs --json")
    group.add_argument("-o", "--output", type=Path, metavar="DIR", help="write a file for each FILE into DIR")
    text = "sentence: small letters, and capitals after pauses, where a sentence is guessed to begin"
    group.add_argument(
        "--case", choices=("model", "sentence"), default="model", help=f"{text} (default: model)"
    )
    group = command.add_argument_group("subtitles", "For srt, vtt and tsv.")
    for name, (flag, parse, text) in _LIMITS.items():
        group.add_argument(
            flag, dest=name, type=parse, metavar="N" if parse is parse_count else "X", help=text
        )
    group.add_argument("--highlight", action="store_true", help="vtt that shows word by word what is spoken")


def check_output(options: argparse.Namespace) -> None:
    """Exit with wrong usage where the output options contradict one another."""
    chosen = FORMATS[options.format]
    given = [row[0] for name, row in _LIMITS.items() if getattr(options, name) is not None]
    if given and not chosen.has_cues:
        options.error(f"{given[0]} needs --format srt, vtt or tsv")
    if options.highlight and options.format != "vtt":
        options.error("--highlight needs --format vtt")
    if options.characters and options.format != "json":
        options.error("--characters needs --json")
    if options.output is None:
        if chosen.is_document and len(options.files) > 1:
            options.error(f"--format {options.format} takes one FILE; for several give --output DIR")
        return
    endings = {row.ending for row in FORMATS.values()}
    if not options.output.is_dir() and (options.output.exists() or options.output.suffix in endings):
        options.error(f"--output {options.output}: not a folder; give one, and the format with --format")
    check_folder(options, chosen.ending)


def check_folder(options: argparse.Namespace, ending: str) -> None:
    """Exit with wrong usage if a file in the folder of the outputs must not be written."""
    sources: dict[Path, str] = {}
    for name in options.files:
        path = beside(options.output, name, ending)
        if path in sources:
            options.error(
                f"{sources[path]} and {name} would both be written to {path}; name their outputs by a list "
                "for --files-from, on each line ID, tab, PATH"
            )
        sources[path] = name
    refuse_inputs(options, sources)
    folder = OutputFolder(options.output)
    try:
        for path in sources:
            folder.check(path)
    except OSError as error:
        options.error(f"{error.filename}: {error.strerror}")


def choose_writer(
    options: argparse.Namespace, source: Callable[[str], str] = lambda _: ""
) -> Writer[Transcript]:
    """Return a function that writes a transcript where the options say.

    source: file → what ``OutputFolder`` shall record that its output was made from.
    """
    chosen, write = FORMATS[options.format], _writer(options)

    def show(name: str, transcript: Transcript) -> None:
        print(write(transcript), end="", flush=True)

    if options.output is not None:
        folder = OutputFolder(options.output)
        return lambda name, transcript: folder.write(
            beside(options.output, name, chosen.ending), write(transcript), source=source(name)
        )
    is_whole = chosen.is_document or (options.format == "text" and len(options.files) == 1)
    cased = sentence_case if options.case == "sentence" else _as_it_is
    return (
        show
        if is_whole
        else printer(
            options, lambda transcript: cased(transcript).text, lambda transcript: as_dict(cased(transcript))
        )
    )


def describe_output(options: argparse.Namespace) -> str:
    """Return the options that the content of an output depends on, as text."""
    names = ("format", "case", "characters", "highlight", *_LIMITS)
    return " ".join(f"{name}={getattr(options, name)}" for name in names)


def _writer(options: argparse.Namespace) -> Callable[[Transcript], str]:
    """Return a function that returns the content of a file, as the options say. Raises CueLimitsError."""
    write = FORMATS[options.format].write
    if FORMATS[options.format].has_cues:
        given = {name: getattr(options, name) for name in _LIMITS if getattr(options, name) is not None}
        write = partial(write, limits=CueLimits(**given))
    if options.highlight:
        write = partial(write, highlight=True)
    return write if options.case == "model" else lambda transcript: write(sentence_case(transcript))


def _as_it_is(transcript: Transcript) -> Transcript:
    return transcript


def beside(folder: Path, name: str, ending: str) -> Path:
    """Return the path in ``folder`` for what is written about the recording ``name``."""
    return folder / f"{id_of(name) or ('stdin' if name == '-' else Path(name).stem)}{ending}"

"""Transcripts as the commands write them: on standard output, or a file for each recording."""

from __future__ import annotations

import argparse
from pathlib import Path

from sewd_runtime.commands._files import Writer, printer
from sewd_runtime.text.formats import FORMATS, Format, as_dict
from sewd_runtime.text.transcript import Transcript

OUTPUT = """\
output:
  text  one file: its result alone; several: one line each, "FILE: result"
  json  one object a line, for one file too
  srt, vtt, tsv  subtitles (SubRip, WebVTT) or a table of them, one FILE or with --output-dir
  --output-dir DIR  writes DIR/NAME.srt (.txt, .json ...) for FILE NAME.wav and nothing else
Errors go to stderr, one line each, "sewd: FILE: message".

"""


def add_output(command: argparse.ArgumentParser) -> None:
    """Add what is told of a transcript, and where to."""
    command.add_argument("--characters", action="store_true", help="times of every character, in json")
    command.add_argument("--output-dir", type=Path, metavar="DIR", help="write a file for each FILE into DIR")


def find_misuse(options: argparse.Namespace) -> str | None:
    """Tell what is wrong with the choice of output; None: nothing."""
    chosen = FORMATS[options.format]
    if options.characters and options.format != "json":
        return "--characters needs --format json"
    if options.output_dir is None:
        if chosen.is_document and len(options.files) > 1:
            return f"--format {options.format} takes one FILE, or --output-dir DIR to write a file for each"
        return None
    if options.output_dir.exists() and not options.output_dir.is_dir():
        return f"--output-dir {options.output_dir}: is no folder"
    seen: dict[Path, str] = {}
    for name in options.files:
        path = _target(options.output_dir, name, chosen)
        if path in seen:
            return f"{seen[path]} and {name} would both be written to {path}; give another --output-dir"
        seen[path] = name
    return None


def choose_writer(options: argparse.Namespace) -> Writer[Transcript]:
    """Return what writes a transcript where the options say."""
    chosen = FORMATS[options.format]

    def save(name: str, transcript: Transcript) -> None:
        path = _target(options.output_dir, name, chosen)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, chosen.write(transcript))

    def show(name: str, transcript: Transcript) -> None:
        print(chosen.write(transcript), end="", flush=True)

    if options.output_dir is not None:
        return save
    return show if chosen.is_document else printer(options, _text, as_dict)


def write_whole(path: Path, content: str) -> None:
    """Write a UTF-8 file so that nobody ever sees a part of it; raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(content, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _text(transcript: Transcript) -> str:
    return transcript.text


def _target(folder: Path, name: str, chosen: Format) -> Path:
    return beside(folder, name, chosen.ending)


def beside(folder: Path, name: str, ending: str) -> Path:
    """Return the path of what is written about the recording ``name`` of the command line."""
    return folder / f"{'stdin' if name == '-' else Path(name).stem}{ending}"

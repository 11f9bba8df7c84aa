"""Many files through one model: read in groups, a result or an error for each, in order."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from sewd_runtime._types import Samples
from sewd_runtime.audio.folders import find_recordings, suffixes
from sewd_runtime.audio.reading import stream_audio
from sewd_runtime.commands._command import DONE, SOME_FAILED, complain, parse_seconds, parse_time
from sewd_runtime.errors import SewdError
from sewd_runtime.system.progress import show_progress
from sewd_runtime.system.standard_streams import standard_input
from sewd_runtime.system.terminal import json_line, printable

Result = TypeVar("Result")
Recording: TypeAlias = Any
"""What a command's reader returns: an array runs with others, anything else alone."""

Reader: TypeAlias = Callable[[str], Recording | Exception]
Runner: TypeAlias = Callable[[Sequence[Recording]], Iterable[Result]]
Writer: TypeAlias = Callable[[str, Result], None]

ERRORS = 'Errors go to stderr, one line each: "sewd: FILE: message".'

KINDS = "WAV, FLAC, OGG or MP3, with sewd[media] M4A, MP4, WebM and others; - for stdin"

SPLIT = "split"
"""The ``--channel`` that stands for each on its own."""

_GROUP_SAMPLES = 10_000_000
"""Samples read before they run: enough to find recordings of similar length, few enough to fit in memory."""

_GROUP_FILES = 64


def add_files(command: argparse.ArgumentParser, *, split: bool = False) -> None:
    """Add the recordings and how they are read."""
    group = command.add_argument_group("input")
    text = f"{KINDS}; a folder stands for all recordings in it and in its folders"
    group.add_argument("files", nargs="+", metavar="FILE", help=text)
    add_reading(group, split=split)
    add_part(group)


def walk_folders(options: argparse.Namespace) -> None:
    """Replace each folder among the files by its recordings, sorted; exits with wrong usage for none."""
    files: list[str] = []
    for name in options.files:
        is_folder = bool(name) and Path(name).is_dir()
        found = [name]
        if is_folder:
            found = [str(path) for path in find_recordings(Path(name), ffmpeg=options.ffmpeg)]
        if not found:
            options.error(
                f"{name}: there is no recording in this folder ({', '.join(suffixes(ffmpeg=options.ffmpeg))})"
            )
        files += found
    options.files = files


def add_reading(group: argparse._ActionsContainer, *, split: bool = False) -> None:
    """Add how recordings are read. split: also each channel on its own."""
    text = "mix (default), a number from 1" + ", or split: each on its own, labelled, without silence" * split
    parse = partial(_parse_channel, split=split)
    group.add_argument("--channel", type=parse, metavar="N", help=f"which channel: {text}")
    text = "let the program ffmpeg read what needs sewd[media], if that is not installed"
    group.add_argument("--ffmpeg", action="store_true", help=text)
    text = "refuse a truncated recording; without it, a warning says what is missing"
    group.add_argument("--strict", action="store_true", help=text)
    group.add_argument(
        "--max-duration", type=parse_seconds, metavar="SECONDS", help="refuse a recording that is longer"
    )


def add_part(group: argparse._ActionsContainer) -> None:
    """Add ``--start`` and ``--duration``."""
    text = "begin at this second; times still count from the start of the recording"
    group.add_argument("--start", type=parse_time, metavar="S", default=0.0, help=text)
    group.add_argument("--duration", type=parse_seconds, metavar="S", help="read only so many seconds")


def _parse_channel(text: str, *, split: bool) -> int | str | None:
    if text == "mix" or (split and text == SPLIT):
        return None if text == "mix" else SPLIT
    if not text.isdecimal() or int(text) < 1:
        names = "mix, split" if split else "mix"
        raise argparse.ArgumentTypeError(f"{text!r} is not {names} or the number of a channel, from 1")
    return int(text)


def describe_reading(options: argparse.Namespace) -> str:
    """Return what is read of each file in words, nothing if it is all."""
    if (options.start, options.duration, options.channel) == (0.0, None, None):
        return ""
    return f" start={options.start} duration={options.duration} channel={options.channel}"


def run_files(
    options: argparse.Namespace,
    read: Reader,
    run: Runner[Result],
    write: Writer[Result],
) -> int:
    """Run all files: write each result as soon as it is known, report each failure, and continue."""
    code = DONE
    results = _results(options.files, read, run)
    for name, result in show_progress(results, total=len(options.files)):
        if not isinstance(result, Exception):
            try:
                write(name, result)
                continue
            except BrokenPipeError:
                raise
            except OSError as error:
                result, name = error, error.filename or name
        code = SOME_FAILED
        complain(result, name)
    return code


def printer(
    options: argparse.Namespace,
    as_text: Callable[[Result], str],
    as_json: Callable[[Result], dict[str, Any]],
) -> Writer[Result]:
    """Return a function that prints a result on one line."""

    def write(name: str, result: Result) -> None:
        if options.format == "json":
            line = json_line({"file": name, **as_json(result)})
        else:
            text = " ".join(as_text(result).splitlines())
            line = printable(text if len(options.files) == 1 else f"{name}: {text}")
        print(line, flush=True)

    return write


def _results(
    names: Sequence[str], read: Reader, run: Runner[Result]
) -> Iterator[tuple[str, Result | Exception]]:
    """Yield the result or the error of every file, in order; never holds more than one group's audio."""
    for group in _read_groups(names, read):
        recordings = [content for _, content in group if not isinstance(content, Exception)]
        results = _run_group(recordings, run)
        for name, content in group:
            yield name, content if isinstance(content, Exception) else next(results)
        next(results, None)  # an interrupted run raises after its result


def _read_groups(names: Sequence[str], read: Reader) -> Iterator[list[tuple[str, Recording | Exception]]]:
    """Yield files that were read, in order: as many as fit in a group, or one that is too long for any."""
    group: list[tuple[str, Recording | Exception]] = []
    num_samples = 0
    for name in names:
        content = read(name)
        if not isinstance(content, (np.ndarray, Exception)):
            if group:
                yield group
            yield [(name, content)]
            group, num_samples = [], 0
            continue
        group.append((name, content))
        num_samples += len(content) if isinstance(content, np.ndarray) else 0
        if num_samples >= _GROUP_SAMPLES or len(group) >= _GROUP_FILES:
            yield group
            group, num_samples = [], 0
    if group:
        yield group


def read_blocks(
    name: str, options: argparse.Namespace, rate_hz: int, *, channel: int | None = None
) -> Iterator[Samples]:
    """Return the blocks of a file, or of stdin if its name is "-", at a rate, read as the options say.

    channel: which one to read, that of the options if None.
    """
    return stream_audio(
        standard_input() if name == "-" else name,
        target_rate_hz=rate_hz,
        strict=options.strict,
        max_duration_s=options.max_duration,
        channel=options.channel if channel is None else channel,
        start_s=options.start,
        duration_s=options.duration,
        ffmpeg=options.ffmpeg,
    )


def reader(
    options: argparse.Namespace, rate_hz: int, read: Callable[[str, Iterator[Samples]], Recording]
) -> Reader:
    """Return a function that reads a file; an error is returned, to be reported in its turn.

    read: takes the name of the file and its blocks at a rate in Hz.
    """

    def read_file(name: str) -> Recording | Exception:
        try:
            return read(name, read_blocks(name, options, rate_hz))
        except (SewdError, OSError) as error:
            return error

    return read_file


def _run_group(recordings: Sequence[Recording], run: Runner[Result]) -> Iterator[Result | Exception]:
    try:
        yield from run(recordings)
    except (SewdError, OSError) as error:
        if len(recordings) == 1:
            yield error
            return
        # One of them is at fault, or together they need too much memory.
        for recording in recordings:
            yield from _run_group([recording], run)

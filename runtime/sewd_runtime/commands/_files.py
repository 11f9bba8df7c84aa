"""Many files through one model: a result or an error for each, in order."""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from sewd_runtime._types import AudioSource, Samples
from sewd_runtime.audio.folders import expand, find_recordings, is_folder, suffixes
from sewd_runtime.audio.reading import stated_duration_s, stream_audio
from sewd_runtime.commands._command import DONE, SOME_FAILED, complain, explain, parse_seconds, parse_time
from sewd_runtime.commands._lists import FAILURES, add_list, id_of, read_list, write_failures
from sewd_runtime.errors import SewdError
from sewd_runtime.inference.pipeline import Recording, run_recordings
from sewd_runtime.long.segmentation import SEGMENTATION
from sewd_runtime.system.machine import available_cores
from sewd_runtime.system.progress import show_progress
from sewd_runtime.system.standard_streams import standard_input
from sewd_runtime.system.terminal import json_line, printable

Result = TypeVar("Result")

Reader: TypeAlias = Callable[[str], Recording]
Runner: TypeAlias = Callable[[Sequence[Recording]], Iterable[Result]]
Writer: TypeAlias = Callable[[str, Result], None]

ERRORS = 'Errors go to stderr, one line each: "sewd: FILE: message".'

KINDS = "WAV, FLAC, OGG or MP3, with sewd[media] M4A, MP4, WebM and others; - for stdin"

SPLIT = "split"
"""The ``--channel`` that stands for each on its own."""

_PIECE_S = 20.0
"""A long recording runs in windows of about this length."""

_MANY_FILES = 10
"""So many files have a summary of the failures at the end, as they have a bar; and every list has."""

_MAX_NAMED = 10


def add_files(command: argparse.ArgumentParser, *, split: bool = False) -> None:
    """Add the recordings and how they are read."""
    group = command.add_argument_group("input")
    text = f"{KINDS}; a folder stands for all recordings in it and in its folders"
    group.add_argument("files", nargs="*", metavar="FILE", help=text)
    add_list(group)
    add_reading(group, split=split)
    add_part(group)


def walk_folders(options: argparse.Namespace) -> None:
    """Replace patterns among the files, and folders among these and those listed, by recordings, sorted.

    Exits with wrong usage for a folder with none, and for a bad list. cmd.exe and PowerShell leave patterns
    to the program.
    """
    options.files = list(chain.from_iterable(map(expand, options.files)))
    read_list(options)
    files: list[str] = []
    for name in options.files:
        found = [name]
        if is_folder(name):
            found = [str(path) for path in find_recordings(Path(name), ffmpeg=options.ffmpeg)]
        if not found:
            options.error(
                f"{name}: there is no recording in this folder ({', '.join(suffixes(ffmpeg=options.ffmpeg))})"
            )
        files += found
    options.files = files


def choose_workers(options: argparse.Namespace) -> None:
    """Set ``options.workers`` if it was not given: as many as cores, if there are recordings for them.

    Callers with a thread each are as fast as one with all threads on an idle machine, and twice as fast
    beside other programs (docs/performance.md). A long recording has work for several. Exits as
    ``check_workers`` says.
    """
    check_workers(options)
    if options.workers is None:
        most = most_workers(options)
        pieces = len(options.files)
        if pieces < most:
            pieces = sum(_num_pieces(name) for name in options.files)
        options.workers = max(1, min(most, pieces))


def check_workers(options: argparse.Namespace) -> None:
    """Exit with wrong usage for more than one worker of a provider that runs one batch at a time."""
    if options.provider != "cpu" and (options.workers or 1) > 1:
        options.error(f"--workers is for --provider cpu; {options.provider} runs one batch at a time")


def most_workers(options: argparse.Namespace) -> int:
    """Return for how many workers there are cores; other providers than ``cpu`` take one."""
    return max(1, available_cores() // (options.threads or 1)) if options.provider == "cpu" else 1


def _num_pieces(name: str) -> int:
    """Return about how many batches at once a recording has work for."""
    length_s = (None if name == "-" else stated_duration_s(Path(name))) or 0.0
    return 1 if length_s <= SEGMENTATION.whole_s else int(length_s // _PIECE_S)


def add_reading(group: argparse._ActionsContainer, *, split: bool = False) -> None:
    """Add how recordings are read. split: also each channel on its own."""
    text = "mix (default), a number from 1" + ", or split: each on its own, labelled, without silence" * split
    parse = partial(_parse_channel, split=split)
    group.add_argument("--channel", type=parse, metavar="N", help=f"which channel: {text}")
    text = "let the program ffmpeg read what needs sewd[media], if that is not installed"
    group.add_argument("--ffmpeg", action="store_true", help=text)
    text = "refuse a truncated recording; without it, a warning says what is missing"
    group.add_argument("--strict", action="store_true", help=text)
    text = (
        f"refuse a recording that is longer (default: none, or {SEGMENTATION.whole_s:g} where it runs whole)"
    )
    group.add_argument("--max-duration", type=parse_seconds, metavar="SECONDS", help=text)


def add_part(group: argparse._ActionsContainer) -> None:
    """Add ``--start`` and ``--duration``."""
    text = "begin at this time, in seconds or as 1:02:03; times still count from the start of the recording"
    group.add_argument("--start", type=parse_time, metavar="S", default=0.0, help=text)
    group.add_argument("--duration", type=parse_seconds, metavar="S", help="read only so much, likewise")


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
    *,
    workers: int,
) -> int:
    """Run all files: write each result as soon as it is known, report each failure, and continue."""
    failures: list[tuple[str, str]] = []
    answers = run_recordings(options.files, read=read, run=run, workers=workers, caught=(SewdError, OSError))
    with closing(answers):
        for name, result in show_progress(answers, total=len(options.files)):
            if not isinstance(result, Exception):
                try:
                    write(name, result)
                    continue
                except BrokenPipeError:
                    raise
                except OSError as error:
                    result, name = error, error.filename or name
            complain(result, id_of(name) or name)
            failures.append((name, explain(result)))
    return _report(options, failures)


def _report(options: argparse.Namespace, failures: Sequence[tuple[str, str]]) -> int:
    """Say and write which of many files failed, and return the exit code."""
    total, code = len(options.files), SOME_FAILED if failures else DONE
    if total < _MANY_FILES and getattr(options, "files_from", None) is None:
        return code
    folder, where = getattr(options, "output", None), ""
    if isinstance(folder, Path) and folder.is_dir():
        try:
            write_failures(failures, folder)
            where = f"; {folder / FAILURES} is a list of them for --files-from"
        except OSError as error:
            complain(error)
            code = SOME_FAILED
    if failures:
        names = ", ".join(id_of(name) or name for name, _ in failures[:_MAX_NAMED])
        more = f" and {len(failures) - _MAX_NAMED:,} more" if len(failures) > _MAX_NAMED else ""
        complain(f"recordings failed, {len(failures):,} of {total:,}: {names}{more}{where}")
    return code


def printer(
    options: argparse.Namespace,
    as_text: Callable[[Result], str],
    as_json: Callable[[Result], dict[str, Any]],
) -> Writer[Result]:
    """Return a function that prints a result on one line."""

    def write(name: str, result: Result) -> None:
        if options.format == "json":
            row = {"file": name} if id_of(name) is None else {"id": id_of(name), "file": name}
            line = json_line({**row, **as_json(result)})
        else:
            text = " ".join(as_text(result).splitlines())
            line = printable(text if len(options.files) == 1 else f"{id_of(name) or name}: {text}")
        print(line, flush=True)

    return write


def limit_whole(options: argparse.Namespace) -> None:
    """Refuse recordings that are too long to run whole, unless ``--max-duration`` says otherwise."""
    if options.max_duration is None:
        options.max_duration = SEGMENTATION.whole_s


def read_blocks(
    name: str, options: argparse.Namespace, rate_hz: int, *, channel: int | None = None
) -> Iterator[Samples]:
    """Return the blocks of a file, or of stdin if its name is "-", at a rate, read as the options say.

    channel: which one to read, that of the options if None.
    """
    return stream_part(
        standard_input() if name == "-" else name,
        options,
        rate_hz,
        channel=options.channel if channel is None else channel,
        start_s=options.start,
        duration_s=options.duration,
    )


def stream_part(
    source: AudioSource,
    options: argparse.Namespace,
    rate_hz: int,
    *,
    channel: int | None,
    start_s: float,
    duration_s: float | None,
) -> Iterator[Samples]:
    """Return the blocks of a part of a source at a rate; all else of how it is read is in the options."""
    return stream_audio(
        source,
        target_rate_hz=rate_hz,
        strict=options.strict,
        max_duration_s=options.max_duration,
        channel=channel,
        start_s=start_s,
        duration_s=duration_s,
        ffmpeg=options.ffmpeg,
    )


def reader(
    options: argparse.Namespace, rate_hz: int, read: Callable[[str, Iterator[Samples]], Recording]
) -> Reader:
    """Return a function that reads a file.

    read: takes the name of the file and its blocks at a rate in Hz.
    """
    return lambda name: read(name, read_blocks(name, options, rate_hz))

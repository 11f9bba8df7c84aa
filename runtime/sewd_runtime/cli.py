"""The ``sewd`` command."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any, TypeAlias, TypeVar

import numpy as np

import sewd_runtime
from sewd_runtime._types import AudioSource
from sewd_runtime.bench import command as bench
from sewd_runtime.engine import Engine
from sewd_runtime.errors import PrecisionWarning, SewdError, TaskError
from sewd_runtime.inspection import inspect_bundle
from sewd_runtime.progress import show_progress
from sewd_runtime.providers import PROVIDERS
from sewd_runtime.recognizer import Classifier, Encoder, Recognizer, load
from sewd_runtime.segmentation import SEGMENTATION
from sewd_runtime.transcript import Classification, Transcript

Result = TypeVar("Result")
Reader: TypeAlias = "Callable[[str], AudioSource | Exception]"

DONE, SOME_FAILED, USAGE, NO_MODEL, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 3, 130, 141

_EXIT_CODES = """\
exit codes:
  0    all done
  1    some input could not be read or run; the rest was done (inspect: a check failed)
  2    wrong usage
  3    the bundle, its precision, the provider or an extra package cannot be used
  130  interrupted
  141  the reader of the output went away
"""

_OUTPUT = """\
output:
  text  one file: its result alone; several: one line each, "FILE: result"
  json  one object a line, for one file too
Errors go to stderr, one line each, "sewd: FILE: message".

"""

_GROUP_SAMPLES = 10_000_000
"""Read before they are run: enough to find recordings of like length, little enough to hold."""

_GROUP_FILES = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    # A file name or a label may hold what the terminal cannot show.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code: int = options.command(options)
        sys.stdout.flush()
    except (SewdError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            # Python flushes stdout once more when it ends; give it somewhere to write to.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return BROKEN_PIPE
        _complain(error)
        return NO_MODEL
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    text = "Run exported SEW-D speech models."
    parser = argparse.ArgumentParser(prog="sewd", description=text, epilog=_EXIT_CODES, formatter_class=shape)
    parser.add_argument("--version", action="version", version=f"sewd {sewd_runtime.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command, epilog, text in (
        ("transcribe", _transcribe, _OUTPUT + _EXIT_CODES, "Write what is said in recordings."),
        ("classify", _classify, _OUTPUT + _EXIT_CODES, "Write the label of recordings."),
        ("inspect", _inspect, _EXIT_CODES, "Show a bundle, check its hashes, rerun its golden utterance."),
        (
            "bench",
            bench.run,
            bench.EPILOG + _EXIT_CODES,
            "Measure a bundle's speed and memory on this machine.",
        ),
    ):
        each = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=shape)
        each.set_defaults(command=command)
        which = "bundle folder or embedded model (default: digits)"
        if command in (_inspect, bench.run):
            each.add_argument("model", nargs="?", metavar="BUNDLE", help=which)
        else:
            each.add_argument("files", nargs="+", metavar="FILE", help="WAV, FLAC, OGG or MP3; - for stdin")
            each.add_argument("--model", metavar="BUNDLE", help=which)
            each.add_argument("--format", choices=("text", "json"), default="text", help="(default: text)")
        if command is bench.run:
            bench.add_arguments(each)
        else:
            _add_choice(each, every_precision=command is _inspect)
            each.add_argument("--threads", type=_count, metavar="N", help="(default: one for each core)")
    return parser


def _add_choice(command: argparse.ArgumentParser, *, every_precision: bool) -> None:
    default = "all that the provider runs" if every_precision else "fp32 where there is one"
    auto = "" if every_precision else "; auto: the fastest here, measured once"
    command.add_argument("--precision", metavar="P", help=f"of the model's{auto} (default: {default})")
    providers = ", ".join(PROVIDERS)
    command.add_argument(
        "--provider", metavar="NAME", default="cpu", help=f"{providers}{auto} (default: cpu)"
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError(text)
    return count


def _load(options: argparse.Namespace) -> Recognizer | Classifier | Encoder:
    """Load the model, on standard error what ``auto`` chose and what the choice is warned of, a line each."""
    with _logged(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PrecisionWarning)  # not only once a place
        model = load(
            options.model, precision=options.precision, provider=options.provider, threads=options.threads
        )
    for warning in caught:
        print(f"sewd: {' '.join(str(warning.message).split())}", file=sys.stderr, flush=True)
    return model


@contextmanager
def _logged() -> Iterator[None]:
    log, handler = logging.getLogger("sewd"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("sewd: %(message)s"))
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.setLevel(level)
        log.removeHandler(handler)


def _transcribe(options: argparse.Namespace) -> int:
    model = _load(options)
    if not isinstance(model, Recognizer):
        raise TaskError(f"{model.engine.bundle.path}: is for {model.manifest.task}, transcribe needs ctc")
    longest = round(SEGMENTATION.whole_s * model.manifest.sample_rate_hz)
    reader = partial(_read, engine=model.engine, longest=longest)
    return _run_files(options, reader, model.transcribe_batch, _transcript_text, _transcript_json)


def _classify(options: argparse.Namespace) -> int:
    model = _load(options)
    if not isinstance(model, Classifier):
        raise TaskError(
            f"{model.engine.bundle.path}: is for {model.manifest.task}, classify needs classification"
        )
    reader = partial(_read, engine=model.engine, longest=sys.maxsize)
    return _run_files(options, reader, model.classify_batch, _classification_text, _classification_json)


def _inspect(options: argparse.Namespace) -> int:
    passed = True
    report = inspect_bundle(
        options.model, precision=options.precision, provider=options.provider, threads=options.threads
    )
    for line, ok in report:
        print(line, flush=True)
        passed = passed and ok
    return DONE if passed else SOME_FAILED


def _transcript_text(transcript: Transcript) -> str:
    return transcript.text


def _transcript_json(transcript: Transcript) -> dict[str, Any]:
    words = [asdict(word) for word in transcript.words]
    return {"text": transcript.text, "duration_s": transcript.duration_s, "words": words}


def _classification_text(classification: Classification) -> str:
    return f"{classification.label} {classification.probability:.4f}"


def _classification_json(classification: Classification) -> dict[str, Any]:
    return asdict(classification)


def _run_files(
    options: argparse.Namespace,
    read: Reader,
    run: Callable[[Sequence[AudioSource]], list[Result]],
    as_text: Callable[[Result], str],
    as_json: Callable[[Result], dict[str, Any]],
) -> int:
    """Run all files, write each result as soon as it is there, complain about each failure, go on."""
    code = DONE
    results = _results(options.files, read, run)
    for name, result in show_progress(results, total=len(options.files)):
        if isinstance(result, Exception):
            code = SOME_FAILED
            _complain(result, name)
        elif options.format == "json":
            print(json.dumps({"file": name, **as_json(result)}, ensure_ascii=False), flush=True)
        else:
            print(as_text(result) if len(options.files) == 1 else f"{name}: {as_text(result)}", flush=True)
    return code


def _results(
    names: Sequence[str], read: Reader, run: Callable[[Sequence[AudioSource]], list[Result]]
) -> Iterator[tuple[str, Result | Exception]]:
    """Yield the result or the error of every file, in order, never holding more than a group's audio."""
    for group in _read_groups(names, read):
        recordings = [content for _, content in group if not isinstance(content, Exception)]
        results = _run_group(recordings, run)
        for name, content in group:
            yield name, content if isinstance(content, Exception) else next(results)


def _read_groups(names: Sequence[str], read: Reader) -> Iterator[list[tuple[str, AudioSource | Exception]]]:
    group: list[tuple[str, AudioSource | Exception]] = []
    num_samples = 0
    for name in names:
        content = read(name)
        group.append((name, content))
        num_samples += len(content) if isinstance(content, np.ndarray) else 0
        if num_samples >= _GROUP_SAMPLES or len(group) >= _GROUP_FILES:
            yield group
            group, num_samples = [], 0
    if group:
        yield group


def _read(name: str, *, engine: Engine, longest: int) -> AudioSource | Exception:
    """Return a file's samples; where there are more than ``longest``, what they can be read from later."""
    try:
        source = sys.stdin.buffer.read() if name == "-" else name
        samples = engine.peek(source, None, longest=longest)
    except (SewdError, OSError) as error:
        return error
    return source if samples is None else samples


def _run_group(
    recordings: Sequence[AudioSource], run: Callable[[Sequence[AudioSource]], list[Result]]
) -> Iterator[Result | Exception]:
    try:
        yield from run(recordings)
    except (SewdError, OSError) as error:
        if len(recordings) == 1:
            yield error
            return
        # One of them is at fault, or they are too much together.
        for recording in recordings:
            yield from _run_group([recording], run)


def _complain(error: Exception, name: str = "") -> None:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    message = " ".join(reason.split()).removeprefix(f"{name}: ")
    print(f"sewd: {name}: {message}" if name else f"sewd: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

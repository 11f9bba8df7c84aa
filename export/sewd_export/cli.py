"""The command `sewd-export`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewd_export.arguments import parse_arguments
from sewd_export.errors import ExportWarning
from sewd_export.precisions import REFERENCE
from sewd_export.progress import StageLog
from sewd_runtime.system.signals import sigterm_as_interrupt
from sewd_runtime.system.terminal import json_line, printable, set_encoding

if TYPE_CHECKING:
    from sewd_export.exporter import Exported
    from sewd_export.tensorrt import EngineOptions

SOME_FAILED = 3
"""Exit code: the bundle is written without the precisions that failed."""


@sigterm_as_interrupt()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    set_encoding()
    arguments = parse_arguments(argv)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from sewd_runtime import SewdError

    progress = StageLog(quiet=arguments.quiet or arguments.json)
    try:
        with _shown_warnings():
            if arguments.verify:
                return _verify(arguments, progress)
            return _convert(arguments, arguments.bundle) if arguments.bundle else _export(arguments, progress)
    except (SewdError, OSError) as error:
        _warn(" ".join(str(error).split()))  # torch's messages have many lines
        return 1
    except KeyboardInterrupt:
        print("sewd-export: interrupted", file=sys.stderr)
        return 130


@contextlib.contextmanager
def _shown_warnings() -> Iterator[None]:
    """Print our own warnings on a line, as errors are."""
    show = warnings.showwarning

    def print_line(message: Warning | str, category: type[Warning], *where: Any, **output: Any) -> None:
        if issubclass(category, ExportWarning):
            _warn(str(message))
        else:
            show(message, category, *where, **output)

    with warnings.catch_warnings():
        warnings.showwarning = print_line
        yield


def _export(arguments: argparse.Namespace, progress: StageLog) -> int:
    progress("import torch and transformers")
    from sewd_export import addition, exporter

    options: dict[str, Any] = {
        "precisions": (REFERENCE, *arguments.precisions),
        "audio": arguments.audio,
        "evaluate": arguments.evaluate,
        "max_wer_increase": arguments.max_wer_increase,
        "calibrate": arguments.calibrate,
        "strict": arguments.strict,
        "progress": progress,
    }
    if arguments.add:
        exported = addition.add(arguments.add, arguments.checkpoint, **options)
    else:
        engines = _engine_options(arguments)
        exported = exporter.export(arguments.checkpoint, arguments.output, engines=engines, **options)
    if arguments.json:
        _print_json(exported, progress.elapsed_s)
    elif not arguments.quiet:
        _print_tables(exported)
    if arguments.layout or arguments.ort:
        _convert(arguments, exported.path)
    for why in exported.failed.values():
        _warn(why)
    progress("done")
    return SOME_FAILED if exported.failed else 0


def _print_json(exported: Exported, elapsed_s: float) -> None:
    manifest = exported.manifest
    result = {
        "bundle": str(exported.path),
        "seconds": round(elapsed_s, 1),
        "precisions": {name: asdict(entry) for name, entry in manifest.precisions.items()},
        "sensitivities": {name: asdict(result) for name, result in exported.sensitivities.items()},
        "engines": {name: asdict(entry) for name, entry in manifest.engines.items()},
        "failed": dict(exported.failed),
        "warnings": exported.warnings,
    }
    print(json_line(result))


def _print_tables(exported: Exported) -> None:
    print(f"\n{exported.report}\n")
    for name, sensitivity in exported.sensitivities.items():
        print(*map(printable, sensitivity.describe(name)), "", sep="\n")
    manifest = exported.manifest
    files = [entry.file for entry in manifest.precisions.values()]
    for file in (*files, *(engine.file for engine in manifest.engines.values())):
        print(f"{printable(str(exported.path / file))}  {manifest.files[file].size_bytes / 1e6:.1f} MB")
    for warning in exported.warnings:
        _warn(warning)


def _warn(message: str) -> None:
    print(f"sewd-export: {printable(message)}", file=sys.stderr)


def _convert(arguments: argparse.Namespace, bundle: Path) -> int:
    """Write a bundle in the other formats, and print their folders unless quiet."""
    from sewd_export.layouts.ort_format import write_ort
    from sewd_export.layouts.writing import write_layout

    written = [write_layout(bundle, layout) for layout in arguments.layout]
    if arguments.ort:
        written.append(write_ort(bundle))
    if arguments.json and arguments.bundle:
        print(json_line({"bundle": str(bundle), "written": [str(path) for path in written]}))
    elif not (arguments.quiet or arguments.json):
        print(*(printable(str(path)) for path in written), sep="\n")
    return 0


def _engine_options(arguments: argparse.Namespace) -> EngineOptions | None:
    if not arguments.tensorrt:
        return None
    from sewd_export.tensorrt import PROFILES, EngineOptions

    return EngineOptions(
        profiles=arguments.profile or PROFILES, compute_capabilities=arguments.compute_capability
    )


def _verify(arguments: argparse.Namespace, progress: StageLog) -> int:
    progress("import torch and transformers")
    from sewd_export.verification import verify

    reports = verify(arguments.verify, arguments.checkpoint, audio=arguments.audio, progress=progress)
    if arguments.json:
        precisions = {report.precision: asdict(report.evidence) for report in reports}
        failures = [line for report in reports for line in report.failures]
        result = {"bundle": str(arguments.verify), "precisions": precisions, "failures": failures}
        print(json_line(result))
    elif not arguments.quiet:
        print("", *reports, sep="\n")
    for report in reports:
        report.check()
    progress("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())

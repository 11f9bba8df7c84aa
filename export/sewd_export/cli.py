"""The command `sewd-export`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewd_export.arguments import converts, parse_arguments
from sewd_export.checkpoint.sources import explain
from sewd_export.errors import CheckpointNotFoundError, ExportWarning
from sewd_export.extra import extra_required
from sewd_export.precisions import REFERENCE
from sewd_export.progress import StageLog
from sewd_export.refusals import check_added, check_recordings, check_replaced, local_bundle_of
from sewd_export.staging import check_target
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.system.signals import sigterm_as_interrupt
from sewd_runtime.system.terminal import json_line, printable, set_encoding
from sewd_runtime.system.writing import whole_file

if TYPE_CHECKING:
    from sewd_export.exporter import Exported
    from sewd_export.parity.report import ParityReport
    from sewd_export.summary import Summary
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
        with _shown_warnings(), extra_required():
            for folder in filter(None, (arguments.audio, arguments.calibrate, arguments.evaluate)):
                check_recordings(folder)  # importing torch takes seconds
            if arguments.verify:
                return _verify(arguments, progress)
            return _convert(arguments, arguments.bundle) if arguments.bundle else _export(arguments, progress)
    except (SewdError, OSError) as error:
        if report := getattr(error, "report", ""):  # of the precision that failed
            _show_failure(arguments, report)
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
    if mistake := explain(arguments.checkpoint):
        raise CheckpointNotFoundError(mistake)
    precisions = (REFERENCE, *arguments.precisions)
    if arguments.add:
        check_added(open_bundle(arguments.add), precisions)
    elif target := arguments.output or local_bundle_of(arguments.checkpoint):
        check_target(target.resolve())
        check_replaced(target, precisions, has_engines=arguments.tensorrt)
    progress("import torch and transformers")
    from sewd_export import addition, exporter

    options: dict[str, Any] = {
        "precisions": precisions,
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
        options["lm"] = arguments.lm
        exported = exporter.export(arguments.checkpoint, arguments.output, engines=engines, **options)
    summary = _summarize(arguments, exported, progress)
    _show(arguments, summary, *_blocks(exported))
    if arguments.json:
        _print_json(exported, summary.speeds, progress.elapsed_s)
    else:
        for warning in exported.warnings:
            _warn(warning)
    if converts(arguments):
        _convert(arguments, exported.path)
    for why in exported.failed.values():
        _warn(why)
    progress("done")
    return SOME_FAILED if exported.failed else 0


def _print_json(exported: Exported, speeds: Mapping[str, float], elapsed_s: float) -> None:
    manifest = exported.manifest
    result = {
        "bundle": str(exported.path),
        "seconds": round(elapsed_s, 1),
        "precisions": {name: asdict(entry) for name, entry in manifest.precisions.items()},
        "sensitivities": {name: asdict(result) for name, result in exported.sensitivities.items()},
        "language_model": manifest.language_model and asdict(manifest.language_model),
        "engines": {name: asdict(entry) for name, entry in manifest.engines.items()},
        "failed": dict(exported.failed),
        "speeds": speeds,
        "warnings": exported.warnings,
    }
    print(json_line(result))


def _summarize(arguments: argparse.Namespace, exported: Exported, progress: StageLog) -> Summary:
    from sewd_export.summary import Summary, measure_speeds

    speeds = {}
    if arguments.json or arguments.report or not arguments.quiet:
        progress("measure the speed")
        speeds = measure_speeds(exported.path)
    return Summary(
        path=exported.path,
        manifest=exported.manifest,
        reports=exported.reports,
        failed=exported.failed,
        speeds=speeds,
    )


def _show(arguments: argparse.Namespace, summary: Summary, *more: str) -> None:
    """Print the summary, then more blocks, and write the file of --report."""
    details = ["", summary.details]
    if arguments.report:
        with whole_file(arguments.report) as file:
            print(summary, *details, sep="\n", file=file)
    if not (arguments.quiet or arguments.json):
        print("", summary, *(details if arguments.verbose else ()), *more, sep="\n")


def _show_failure(arguments: argparse.Namespace, report: str) -> None:
    if arguments.report:
        with whole_file(arguments.report) as file:
            print(report, file=file)
    if arguments.verbose and not (arguments.quiet or arguments.json or arguments.verify):
        print(report)


def _blocks(exported: Exported) -> list[str]:
    """Return what a bound kept in float32, and the files of TensorRT engines."""
    kept = [line for name, found in exported.sensitivities.items() for line in ("", *found.describe(name))]
    manifest = exported.manifest
    engines = [
        f"{exported.path / engine.file}  {manifest.files[engine.file].size_bytes / 1e6:.1f} MB"
        for engine in manifest.engines.values()
    ]
    return [*map(printable, [*kept, *engines, *_language_model(exported)])]


def _language_model(exported: Exported) -> list[str]:
    """Return whether the language model of the bundle helps, and how to decode with it, if it has one."""
    from sewd_export.parity.language_model import MIN_WORDS

    entry = exported.manifest.language_model
    if entry is None:
        return []
    text = "decode without it: --no-lm"
    if not entry.default:
        command = ("sewd", "transcribe", "--model", str(exported.path), "--decoder", "beam", "speech.flac")
        text = f"decode with it: {shlex.join(command)}"
    lines = [f"language model {entry.file}: {entry.describe()}; {text}"]
    if not entry.words:
        lines.append("to measure it: --audio with a transcripts.tsv, and pip install 'sewd[lm]'")
    elif entry.words < MIN_WORDS:
        lines.append(f"to use it by default, measure it on {MIN_WORDS} words or more")
    return ["", *lines]


def _warn(message: str) -> None:
    print(f"sewd-export: {printable(message)}", file=sys.stderr)


def _convert(arguments: argparse.Namespace, bundle: Path) -> int:
    """Write a bundle in the other formats, and print their folders unless quiet."""
    from sewd_export.layouts.ort_format import write_ort
    from sewd_export.layouts.site import write_site
    from sewd_export.layouts.triton import write_triton
    from sewd_export.layouts.writing import write_layout

    if open_bundle(bundle).manifest.language_model and not (arguments.quiet or arguments.json):
        _warn(f"the language model stays in {bundle}: the other formats decode without it")
    written = [write_layout(bundle, layout) for layout in arguments.layout]
    if arguments.ort:
        written.append(write_ort(bundle))
    if arguments.web:
        written.append(write_site(bundle, arguments.web, ort_web=arguments.ort_web))
    if arguments.triton:
        written.append(write_triton(bundle, arguments.triton))
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
    open_bundle(arguments.verify)
    progress("import torch and transformers")
    from sewd_export.verification import verify

    reports = verify(arguments.verify, arguments.checkpoint, audio=arguments.audio, progress=progress)
    if arguments.json:
        precisions = {report.precision: asdict(report.evidence) for report in reports}
        failures = [line for report in reports for line in report.failures]
        result = {"bundle": str(arguments.verify), "precisions": precisions, "failures": failures}
        print(json_line(result))
    _show(arguments, _verified(arguments.verify, reports))
    for report in reports:
        report.check()
    progress("done")
    return 0


def _verified(bundle: Path, reports: Sequence[ParityReport]) -> Summary:
    from sewd_export.summary import Summary

    failed = {report.precision: report.failures[0] for report in reports if report.failures}
    manifest = open_bundle(bundle).manifest
    return Summary(path=bundle, manifest=manifest, reports=reports, failed=failed, is_written=False)


if __name__ == "__main__":
    sys.exit(main())

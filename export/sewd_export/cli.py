"""The command `sewd-export`."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sewd_export.arguments import parse_arguments
from sewd_export.precisions import REFERENCE

if TYPE_CHECKING:
    from sewd_export.tensorrt import EngineOptions


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    arguments = parse_arguments(argv)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from sewd_runtime import SewdError

    progress = _Progress(quiet=arguments.quiet or arguments.json)
    try:
        if arguments.verify:
            return _verify(arguments, progress)
        return _convert(arguments, arguments.bundle) if arguments.bundle else _export(arguments, progress)
    except (SewdError, OSError) as error:
        print(f"sewd-export: {' '.join(str(error).split())}", file=sys.stderr)  # torch's have many lines
        return 1
    except KeyboardInterrupt:
        print("sewd-export: interrupted", file=sys.stderr)
        return 130


class _Progress:
    """One line a stage on standard error, with the seconds since the start."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.start = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.start

    def __call__(self, stage: str) -> None:
        if not self.quiet:
            print(f"[{self.elapsed_s:5.1f} s] {stage}", file=sys.stderr)


def _export(arguments: argparse.Namespace, progress: _Progress) -> int:
    progress("import torch and transformers")
    from sewd_export.exporter import export

    exported = export(
        arguments.checkpoint,
        arguments.output,
        precisions=(REFERENCE, *arguments.precisions),
        audio=arguments.audio,
        evaluate=arguments.evaluate,
        max_wer_increase=arguments.max_wer_increase,
        calibrate=arguments.calibrate,
        engines=_engine_options(arguments),
        progress=progress,
    )
    precisions = {name: asdict(entry) for name, entry in exported.manifest.precisions.items()}
    if arguments.json:
        result = {
            "bundle": str(exported.path),
            "seconds": round(progress.elapsed_s, 1),
            "precisions": precisions,
            "sensitivities": {name: asdict(found) for name, found in exported.sensitivities.items()},
            "engines": {name: asdict(entry) for name, entry in exported.manifest.engines.items()},
            "warnings": exported.warnings,
        }
        print(json.dumps(result))
    elif not arguments.quiet:
        print(f"\n{exported.report}\n")
        for name, sensitivity in exported.sensitivities.items():
            print(*sensitivity.describe(name), "", sep="\n")
        manifest = exported.manifest
        files = [entry.file for entry in manifest.precisions.values()]
        for file in (*files, *(engine.file for engine in manifest.engines.values())):
            print(f"{exported.path / file}  {manifest.files[file].size_bytes / 1e6:.1f} MB")
        for warning in exported.warnings:
            print(f"sewd-export: {warning}", file=sys.stderr)
    if arguments.layout or arguments.ort:
        _convert(arguments, exported.path)
    progress("done")
    return 0


def _convert(arguments: argparse.Namespace, bundle: Path) -> int:
    """Write what else was asked for of a bundle, and name it unless quiet."""
    from sewd_export.layouts import write_layout
    from sewd_export.layouts.ort_format import write_ort

    written = [write_layout(bundle, layout) for layout in arguments.layout]
    if arguments.ort:
        written.append(write_ort(bundle))
    if arguments.json and arguments.bundle:
        print(json.dumps({"bundle": str(bundle), "written": [str(path) for path in written]}))
    elif not (arguments.quiet or arguments.json):
        print(*written, sep="\n")
    return 0


def _engine_options(arguments: argparse.Namespace) -> EngineOptions | None:
    if not arguments.tensorrt:
        return None
    from sewd_export.tensorrt import PROFILES, EngineOptions

    return EngineOptions(
        profiles=arguments.profile or PROFILES, compute_capabilities=arguments.compute_capability
    )


def _verify(arguments: argparse.Namespace, progress: _Progress) -> int:
    progress("import torch and transformers")
    from sewd_export.verification import verify

    reports = verify(arguments.verify, arguments.checkpoint, audio=arguments.audio, progress=progress)
    if arguments.json:
        precisions = {report.precision: asdict(report.evidence) for report in reports}
        failures = [line for report in reports for line in report.failures]
        result = {"bundle": str(arguments.verify), "precisions": precisions, "failures": failures}
        print(json.dumps(_finite(result), allow_nan=False))
    elif not arguments.quiet:
        print("", *reports, sep="\n")
    for report in reports:
        report.check()
    progress("done")
    return 0


def _finite(content: Any) -> Any:
    """Return the content with null for what JSON has no number for: the errors of a NaN."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    return None if isinstance(content, float) and not math.isfinite(content) else content


if __name__ == "__main__":
    sys.exit(main())

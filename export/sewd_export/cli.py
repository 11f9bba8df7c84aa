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

from sewd_export.precisions import PRECISIONS, REFERENCE

if TYPE_CHECKING:
    from sewd_export.tensorrt import EngineOptions, ProfileOptions

_EPILOG = """\
exit codes: 0 done; 1 the bundle is not the original, or the checkpoint cannot be exported: nothing was
written; 2 wrong usage; 130 interrupted: nothing was written."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.verify and arguments.output:
        parser.error("--verify writes nothing: leave out -o")
    if arguments.verify and arguments.precisions:
        parser.error("--verify compares every precision of the bundle: name none")
    _check_bound(parser, arguments)
    _check_engines(parser, arguments)
    if arguments.calibrate and not any(PRECISIONS[name].takes_ranges for name in arguments.precisions):
        parser.error(f"--calibrate is for {_takers_of_ranges()}: add it, or leave out --calibrate")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from sewd_runtime import SewdError

    progress = _Progress(quiet=arguments.quiet or arguments.json)
    try:
        return _verify(arguments, progress) if arguments.verify else _export(arguments, progress)
    except (SewdError, OSError) as error:
        print(f"sewd-export: {' '.join(str(error).split())}", file=sys.stderr)  # torch's have many lines
        return 1
    except KeyboardInterrupt:
        print("sewd-export: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sewd-export",
        description="Export a SEW-D checkpoint to a bundle that runs without torch, and prove it exact.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="a Hugging Face folder or a hub id; without it, the embedded digits model",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="BUNDLE", help="folder to write (default: NAME-bundle)"
    )
    for name, precision in PRECISIONS.items():
        if name != REFERENCE:  # which is always there
            parser.add_argument(
                f"--{name}",
                action="append_const",
                const=name,
                dest="precisions",
                default=[],
                help=precision.summary,
            )
    parser.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="compare on the recordings in this folder as well; with a transcripts.tsv there (name, tab, "
        "words), count word errors",
    )
    _add_bound(parser)
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help=f"measure ranges on the recordings in this folder, for {_takers_of_ranges()}",
    )
    _add_engines(parser)
    parser.add_argument(
        "--verify", type=Path, metavar="BUNDLE", help="compare an existing bundle again; write nothing"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    return parser


def _add_bound(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-wer-increase",
        type=_points,
        metavar="POINTS",
        help="keep the most sensitive products of a precision in float32, until its word error rate on the "
        "recordings of --evaluate is at most so many percentage points above float32's",
    )
    parser.add_argument(
        "--evaluate",
        type=Path,
        metavar="DIR",
        help="recordings with a transcripts.tsv, as for --audio; without one, --max-wer-increase is the "
        "percentage of transcripts that may differ from float32's",
    )


def _check_bound(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if (arguments.max_wer_increase is None) != (arguments.evaluate is None):
        parser.error("--max-wer-increase and --evaluate go together: a bound, and recordings to hold it on")
    if arguments.evaluate is None:
        return
    if arguments.verify:
        parser.error("--verify writes nothing: leave out --max-wer-increase and --evaluate")
    able = [name for name, precision in PRECISIONS.items() if precision.products is not None]
    if not set(able) & set(arguments.precisions):
        parser.error(f"--max-wer-increase is for {' and '.join(f'--{name}' for name in able)}")


def _add_engines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tensorrt",
        action="store_true",
        help="also build a TensorRT engine of each precision named, or of fp32; the engines are not run",
    )
    parser.add_argument(
        "--profile",
        type=_profile,
        action="append",
        default=[],
        metavar="MIN,OPT,MAX",
        help="shapes that the engines take, each RECORDINGSxSECONDS, 0 for the shortest; may be repeated "
        "(default: 1x0,1x2,16x4 and 1x4,1x10,8x20 and 1x20,1x30,2x60)",
    )
    parser.add_argument(
        "--compute-capability",
        action="append",
        default=[],
        metavar="X.Y",
        help="of the GPU that the engines are for, e.g. 8.9; may be repeated (default: the GPU here)",
    )


def _check_engines(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.verify and arguments.tensorrt:
        parser.error("--verify writes nothing: leave out --tensorrt")
    if not arguments.tensorrt and (arguments.profile or arguments.compute_capability):
        parser.error("--profile and --compute-capability are for --tensorrt")


def _profile(text: str) -> ProfileOptions:
    from sewd_export.tensorrt.profiles import ProfileOptions

    return ProfileOptions.parse(text)


def _points(text: str) -> float:
    points = float(text)
    if not (math.isfinite(points) and points >= 0):
        raise ValueError
    return points


def _takers_of_ranges() -> str:
    return " and ".join(f"--{name}" for name, precision in PRECISIONS.items() if precision.takes_ranges)


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
    progress("done")
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

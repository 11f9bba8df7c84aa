"""The arguments of `sewd-export`, and which of them go together; imports no torch, so --help is quick."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sewd_export.layouts import LAYOUTS
from sewd_export.precisions import PRECISIONS, REFERENCE, with_calibration, with_matmuls
from sewd_runtime import __version__

if TYPE_CHECKING:
    from sewd_export.tensorrt import ProfileOptions

_EPILOG = """\
examples:
  sewd-export                                   the embedded digits model, in float32
  sewd-export asapp/sew-d-tiny-100k-ft-ls100h --int8 -o tiny
  sewd-export CHECKPOINT --int8-static --calibrate recordings/
  sewd-export CHECKPOINT --int8 --evaluate recordings/ --max-wer-increase 0.5
  sewd-export --add tiny --fp16                 bring a precision into a bundle
  sewd-export --verify tiny                     compare a bundle again
  sewd-export --bundle tiny --layout onnx-asr   write what another tool opens
  sewd-export --bundle tiny --web page          write a page that transcribes in the browser

exit codes: 0 done; 1 the bundle differs from the original, or the checkpoint cannot be exported: nothing
was written; 2 wrong usage; 3 written without the precisions that failed, which are named; 130 interrupted
(Ctrl-C or SIGTERM): nothing was written."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; wrong ones, alone or together, end the program with exit code 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.revision:
        if not arguments.checkpoint or Path(arguments.checkpoint).exists():
            parser.error("--revision is for a hub id, owner/name")
        arguments.checkpoint += f"@{arguments.revision}"
    if arguments.bundle:
        _check_bundle(parser, arguments)
    if arguments.verify:
        _check_verify(parser, arguments)
    if arguments.add:
        _check_add(parser, arguments)
    _check_bound(parser, arguments)
    if not arguments.lm and (arguments.bundle or arguments.verify or arguments.add):
        parser.error("--no-lm is for an export")
    if arguments.ort_web and not arguments.web:
        parser.error("--ort-web needs --web")
    if not arguments.tensorrt and (arguments.profile or arguments.compute_capability):
        parser.error("--profile and --compute-capability need --tensorrt")
    if arguments.calibrate and not set(with_calibration()) & set(arguments.precisions):
        parser.error(f"--calibrate is for {_flags(with_calibration())}: add it, or leave out --calibrate")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sewd-export",
        description="Export a SEW-D checkpoint to a bundle that runs without torch, and verify it "
        "against the original.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sewd {__version__}")
    parser.add_argument(
        "checkpoint", nargs="?", help="a Hugging Face folder or hub id (default: the embedded digits model)"
    )
    parser.add_argument("--revision", metavar="R", help="a branch, tag or commit of a hub id")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="BUNDLE", help="folder to write (default: NAME-bundle)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("-q", "--quiet", action="store_true", help="print only errors")
    parser.add_argument("-v", "--verbose", action="store_true", help="print a row per utterance too")
    parser.add_argument(
        "--report",
        type=_report,
        metavar="FILE",
        help="write the tables, with a row per utterance, to a text file",
    )
    text = "leave out the language model in the checkpoint's folder language_model/"
    parser.add_argument("--no-lm", dest="lm", action="store_false", help=text)
    _add_precisions(parser)
    _add_recordings(parser)
    _add_engines(parser)
    _add_bundles(parser)
    return parser


def _add_precisions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("precisions", "written in addition to float32")
    for name, precision in PRECISIONS.items():
        if name != REFERENCE:
            group.add_argument(
                f"--{name}",
                action="append_const",
                const=name,
                dest="precisions",
                default=[],
                help=precision.summary,
            )
    group.add_argument(
        "--strict", action="store_true", help="write nothing if one fails (default: write the others)"
    )


def _add_recordings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "recordings",
        "folders of recordings; a transcripts.tsv there has a line per recording: name, tab, words",
    )
    group.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="compare on these recordings as well; with transcripts, count word errors",
    )
    group.add_argument(
        "--calibrate",
        type=Path,
        metavar="DIR",
        help=f"measure ranges on these recordings, for {_flags(with_calibration())}",
    )
    group.add_argument(
        "--evaluate",
        type=Path,
        metavar="DIR",
        help="the recordings of --max-wer-increase; without transcripts it bounds the percentage of outputs "
        "that differ from float32's",
    )
    group.add_argument(
        "--max-wer-increase",
        type=_points,
        metavar="POINTS",
        help="keep the most sensitive matmuls in float32, until the word error rate is at most this many "
        f"percentage points above float32's; for {_flags(with_matmuls())}",
    )


def _add_engines(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TensorRT")
    group.add_argument(
        "--tensorrt",
        action="store_true",
        help="also build a TensorRT engine of each precision given, or of fp32; engines are not run here",
    )
    group.add_argument(
        "--profile",
        type=_profile,
        action="append",
        default=[],
        metavar="MIN,OPT,MAX",
        help="input shapes of the engines, each RECORDINGSxSECONDS, 0 for the shortest; may be repeated "
        "(default: 1x0,1x2,16x4 and 1x4,1x10,8x20 and 1x20,1x30,2x60)",
    )
    group.add_argument(
        "--compute-capability",
        action="append",
        default=[],
        metavar="X.Y",
        help="of the target GPU, e.g. 8.9; may be repeated (default: the GPU of this machine)",
    )


def _add_bundles(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("bundles and other formats")
    group.add_argument(
        "--verify", type=Path, metavar="BUNDLE", help="compare an existing bundle again; write nothing"
    )
    group.add_argument(
        "--add",
        type=Path,
        metavar="BUNDLE",
        help="bring the precisions given into this bundle; all else in it stays as it is",
    )
    group.add_argument(
        "--bundle",
        type=Path,
        metavar="BUNDLE",
        help="take this bundle for --layout, --ort, --web and --triton instead of exporting",
    )
    _add_formats(group)


def _add_formats(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--layout",
        action="append",
        default=[],
        choices=tuple(LAYOUTS),
        help="also write the folder BUNDLE-LAYOUT that this tool opens; may be repeated",
    )
    group.add_argument(
        "--ort",
        action="store_true",
        help="also write BUNDLE-ort: onnxruntime's own format, and the operators that a reduced build needs",
    )
    group.add_argument(
        "--web",
        type=Path,
        metavar="DIR",
        help="also write a static page that transcribes in the browser; needs onnxruntime-web of npm",
    )
    group.add_argument(
        "--ort-web",
        type=Path,
        metavar="DIR",
        help="folder of onnxruntime-web (default: node_modules/onnxruntime-web, here or above)",
    )
    group.add_argument(
        "--triton", type=Path, metavar="DIR", help="also write a model repository of the Triton server"
    )


def _check_bundle(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if not converts(arguments):
        parser.error("--bundle converts a bundle: add --layout, --ort, --web or --triton")
    for_export = ("checkpoint", "output", "precisions", "audio", "verify", "add", "strict", "tensorrt")
    if any(getattr(arguments, name) for name in for_export):
        parser.error("--bundle exports nothing: leave out the checkpoint and the options of an export")


def converts(arguments: argparse.Namespace) -> bool:
    """Return whether the bundle is also to be written in another form."""
    return bool(arguments.layout or arguments.ort or arguments.web or arguments.triton)


def _check_verify(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.output:
        parser.error("--verify writes nothing: leave out -o")
    if arguments.precisions:
        parser.error("--verify compares every precision of the bundle: leave out the precisions")
    if converts(arguments):
        parser.error("--verify writes nothing: use --bundle for --layout, --ort, --web and --triton")
    if arguments.tensorrt:
        parser.error("--verify writes nothing: leave out --tensorrt")
    if arguments.add or arguments.strict:
        parser.error("--verify writes nothing: leave out --add and --strict")
    if arguments.evaluate:
        parser.error("--verify writes nothing: leave out --max-wer-increase and --evaluate")


def _check_add(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.output:
        parser.error("--add changes the bundle it names: leave out -o")
    if arguments.tensorrt:
        parser.error("--add adds precisions: leave out --tensorrt")
    if not arguments.precisions:
        parser.error("--add needs the precisions to add, such as --int8")


def _check_bound(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if (arguments.max_wer_increase is None) != (arguments.evaluate is None):
        parser.error("--max-wer-increase and --evaluate go together: a bound, and recordings to meet it on")
    if arguments.evaluate is not None and not set(with_matmuls()) & set(arguments.precisions):
        parser.error(f"--max-wer-increase is for {_flags(with_matmuls())}: add one of them")


def _profile(text: str) -> ProfileOptions:
    from sewd_export.tensorrt.profiles import ProfileOptions

    try:
        return ProfileOptions.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}; write e.g. 1x0,1x2,16x4") from error


def _report(text: str) -> Path:
    path = Path(text)
    if path.is_dir() or not path.parent.is_dir():
        fault = "a folder; name a file" if path.is_dir() else "there is no such folder to write to"
        raise argparse.ArgumentTypeError(f"{text}: {fault}")
    return path


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not (math.isfinite(points) and points >= 0):
        raise argparse.ArgumentTypeError(f"{text!r}: give percentage points, 0 or more")
    return points


def _flags(precisions: Sequence[str]) -> str:
    return " and ".join(f"--{name}" for name in precisions)

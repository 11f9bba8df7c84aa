"""What `sewd-export` takes, and what of it goes together; importing this takes none of torch."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sewd_export.precisions import PRECISIONS, REFERENCE

if TYPE_CHECKING:
    from sewd_export.tensorrt import ProfileOptions

_LAYOUTS = ("onnx-asr", "optimum")  # of `sewd_export.layouts`, which imports what --help need not wait for

_EPILOG = """\
exit codes: 0 done; 1 the bundle is not the original, or the checkpoint cannot be exported: nothing was
written; 2 wrong usage; 130 interrupted: nothing was written."""


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; what is wrong, alone or together, ends the program with exit code 2."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    _check_conversions(parser, arguments)
    if arguments.verify and arguments.output:
        parser.error("--verify writes nothing: leave out -o")
    if arguments.verify and arguments.precisions:
        parser.error("--verify compares every precision of the bundle: name none")
    _check_bound(parser, arguments)
    _check_engines(parser, arguments)
    if arguments.calibrate and not any(PRECISIONS[name].takes_ranges for name in arguments.precisions):
        parser.error(f"--calibrate is for {_takers_of_ranges()}: add it, or leave out --calibrate")
    return arguments


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
    _add_conversions(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.add_argument("-q", "--quiet", action="store_true", help="print nothing but errors")
    return parser


def _add_conversions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--layout",
        action="append",
        default=[],
        choices=_LAYOUTS,
        help="also write the folder BUNDLE-LAYOUT that this tool opens; may be repeated",
    )
    parser.add_argument(
        "--ort",
        action="store_true",
        help="also write BUNDLE-ort: onnxruntime's own format, and the operators a reduced build needs",
    )
    parser.add_argument(
        "--bundle", type=Path, metavar="BUNDLE", help="export nothing: take this bundle for --layout, --ort"
    )


def _check_conversions(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if not arguments.bundle:
        if arguments.verify and (arguments.layout or arguments.ort):
            parser.error("--verify writes nothing: use --bundle for --layout and --ort")
        return
    if not (arguments.layout or arguments.ort):
        parser.error("--bundle converts a bundle: add --layout or --ort")
    of_export = ("checkpoint", "output", "precisions", "audio", "verify", "tensorrt")
    if any(getattr(arguments, name) for name in of_export):
        parser.error("--bundle exports nothing: leave out the checkpoint and what is for exporting it")


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

"""Write a bundle's graphs in onnxruntime's own format, and the operators that a reduced build needs."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import sewd_runtime.inference.backends.onnxruntime  # noqa: F401 - switches off its telemetry
from sewd_export.errors import ExportError
from sewd_export.layouts.writing import write_record
from sewd_export.staging import LAYOUT_NAME, staged
from sewd_runtime.bundle.folder import open_bundle

OPERATORS_NAME = "required_operators.config"


def write_ort(bundle: str | Path, out: str | Path | None = None) -> Path:
    """Write `model.<precision>.ort` for each precision and `required_operators.config`; return the folder.

    The graphs are optimised for any CPU: without the blocked convolutions of x86-64 (NCHWc). The
    configuration is for `--include_ops_by_config` of onnxruntime's build.
    out: None is `<bundle>-ort`; what this wrote there earlier is replaced, if it is unchanged.
    Raises ExportError, BundleError.
    """
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    opened = open_bundle(Path(bundle))
    opened.verify()
    files = [entry.file for entry in opened.manifest.precisions.values()]
    own = {OPERATORS_NAME, *(str(Path(file).with_suffix(".ort")) for file in files)}
    target = Path(out) if out is not None else opened.path.with_name(f"{opened.path.name}-ort")
    with staged(target, record=LAYOUT_NAME) as folder:
        try:
            with _quiet():
                convert_onnx_models_to_ort(
                    opened.path, output_dir=folder, optimization_styles=[OptimizationStyle.Fixed]
                )
        except Exception as error:  # onnxruntime's errors have no other base
            raise ExportError(f"{opened.path}: onnxruntime cannot write its own format: {error}") from error
        _remove_folders(folder / OPERATORS_NAME)
        written = {path.name for path in folder.iterdir()}
        if written != own:
            raise ExportError(f"{opened.path}: onnxruntime wrote {', '.join(sorted(written))}")
        write_record(folder, "ort")
    return target


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hide what the converter prints and logs, and its unclosed files; errors are still raised."""
    level = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            yield
    finally:
        logging.disable(level)


def _remove_folders(path: Path) -> None:
    """Remove the temporary folder from the models' names in the comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [f"# - {Path(line[4:]).name}" if line.startswith("# - ") else line for line in lines]
    path.write_text("\n".join(kept) + "\n", encoding="utf-8")

"""The packages that the extra `export` brings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sewd_runtime.errors import MissingPackageError

PACKAGES = (
    *("torch", "transformers", "huggingface_hub", "safetensors"),
    *("onnx", "onnx_ir", "onnxscript", "onnxruntime", "jiwer"),
)
"""Modules of the extra that the exporter imports."""


@contextmanager
def extra_required() -> Iterator[None]:
    """Raise MissingPackageError, which says what to install, where a package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        if name not in PACKAGES:
            raise
        raise MissingPackageError(
            f"exporting needs {name}, which is not installed: install the CPU build of torch first, as "
            "https://pytorch.org/get-started says (pip may otherwise choose a CUDA build of several "
            "gigabytes), then pip install 'sewd[export]'"
        ) from error

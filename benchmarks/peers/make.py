"""Makers: each writes one artifact, in a process in its own environment.

A maker is called as `make(source, folder, calibration, options)`: a checkpoint's folder or another artifact's
file, an empty folder, and an `.npz` of utterances for calibration, each `(samples,)` float32 at 16 kHz.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.parity import normalise

EXAMPLE_SAMPLES = (2, 48_000)
REFUSED = "refused.json"
"""The file beside a bundle's folder with the precisions that failed their parity, and the reasons."""


def make_checkpoint(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Write a checkpoint of random weights; `options["model"]` is a row of MODELS."""
    from benchmarks.peers.models import MODELS, write_checkpoint

    write_checkpoint(MODELS[options["model"]], folder)


def export_with_transformers(
    source: Path, folder: Path, calibration: Path, options: Mapping[str, str]
) -> None:
    """Export with transformers.exporters; `ort_fusions` goes to its configuration."""
    import torch
    from transformers import AutoModelForCTC
    from transformers.exporters import OnnxConfig, OnnxExporter

    model = AutoModelForCTC.from_pretrained(source, dtype=torch.float32).eval()
    config: Any = OnnxConfig(dynamic=True, ort_fusions=options.get("ort_fusions"))
    example = {"input_values": torch.randn(EXAMPLE_SAMPLES)}
    OnnxExporter().export(model, example, config=config).save_pretrained(folder)


def export_with_optimum(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Export with optimum-onnx, as `optimum-cli export onnx --task automatic-speech-recognition` does."""
    from optimum.exporters.onnx import main_export

    main_export(str(source), folder, task="automatic-speech-recognition")


def export_with_sewd(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Export a bundle with every precision that passes its parity; write the others to REFUSED."""
    from sewd_export import export
    from sewd_export.precisions import PRECISIONS

    exported = export(source, folder, precisions=tuple(PRECISIONS))
    (folder.parent / REFUSED).write_text(json.dumps(dict(exported.failed)), encoding="utf-8")


def quantize_dynamic(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Quantize matmuls with onnxruntime, activations at run time; its int8 convolutions are slow."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as quantize

    quantize(
        source,
        folder / "model.onnx",
        op_types_to_quantize=["MatMul"],
        per_channel=True,
        weight_type=QuantType.QInt8,
    )


def quantize_static(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Quantize with onnxruntime, QDQ, after its preprocessing, calibrated on the utterances.

    options: `matmul_only` keeps the convolutions in float32.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantize
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = ({"input_values": values} for values in _utterances(calibration))

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.feeds, None)

    prepared = folder / "prepared.onnx"
    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    quantize(
        prepared,
        folder / "model.onnx",
        Reader(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"] if "matmul_only" in options else ["Conv", "MatMul"],
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()


def quantize_with_nncf(source: Path, folder: Path, calibration: Path, options: Mapping[str, str]) -> None:
    """Quantize weights and activations with NNCF for OpenVINO, calibrated on the utterances.

    options: `matmul_only` keeps the convolutions in float32.
    """
    import nncf
    import openvino

    model = openvino.Core().read_model(source)
    utterances = list(_utterances(calibration))
    convolutions = nncf.IgnoredScope(types=["Convolution", "GroupConvolution"])
    quantized = nncf.quantize(
        model,
        nncf.Dataset(utterances, lambda values: {"input_values": values}),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(utterances),
        ignored_scope=convolutions if "matmul_only" in options else None,
    )
    openvino.save_model(quantized, folder / "model.xml", compress_to_fp16=False)


def _utterances(calibration: Path) -> Iterator[NDArray[np.float32]]:
    """Yield each utterance as the input of the original graph, `(1, samples)`."""
    with np.load(calibration) as file:
        for name in file.files:
            yield normalise(file[name][None])


def main() -> None:
    """Make one artifact."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("maker")
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--calibration", type=Path, required=True)
    parser.add_argument("--options", type=json.loads, default={})
    arguments = parser.parse_args()
    globals()[arguments.maker](arguments.source, arguments.folder, arguments.calibration, arguments.options)


if __name__ == "__main__":
    main()

"""Models in OpenVINO."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.errors import PrecisionError, ProviderError
from sewd_runtime.inference.backends import Options, Tensor
from sewd_runtime.inference.backends.buckets import padded_length
from sewd_runtime.inference.backends.installed import find_version
from sewd_runtime.inference.backends.openvino.rewrites import GROUP, gather_flat, round_weights

NAME = "openvino"

_DTYPES = {"f32": "float32", "i64": "int64"}

_SHORTEST_SAMPLES = {"bf16": 16_000}
"""OpenVINO 2026.4 computes a convolution of up to 16 channels a group wrongly in bf16, by half of its value,
where it has stride 2 and its input is at least 3 shorter than its kernel: the positional convolution (kernel
31) of the digits model on recordings below 0.6 s. Published models have 24 channels a group and more."""

_CACHE_CAPACITY = "500"
"""Compiled operations of shapes that were met before. OpenVINO's own 5000 let the memory grow by 2 MB for
each new shape of a small model, past a gigabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVinoModel:
    """A compiled model; runs that come at once wait for one another, each has all the threads."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    compute: str
    _compiled: Any
    _idle: list[Any] = field(default_factory=list)

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Run one batch, padded to one of a few lengths, and leave out the frames of the padding.

        OpenVINO compiles its operations anew for each shape. Padding changes nothing in what an item gives,
        so few shapes serve all recordings: faster than new shapes, and in memory that stops growing.
        """
        values, lengths = feed["input_values"], feed["input_lengths"]
        if lengths.shape != values.shape[:1]:  # OpenVINO would stretch the one to fit the other
            raise ValueError(f"{values.shape} samples with {lengths.shape} lengths")
        shortest = _SHORTEST_SAMPLES.get(self.compute, 0)
        padding = padded_length(values.shape[1], shortest=shortest) - values.shape[1]
        padded = {**feed, "input_values": np.pad(values, ((0, 0), (0, padding)))}
        try:
            request = self._idle.pop()  # a request serves one run at a time
        except IndexError:
            request = self._compiled.create_infer_request()
        results = request.infer(padded)  # arrays of their own, not views of the request's memory
        self._idle.append(request)
        num_frames = int(results["output_lengths"].max(initial=0))
        found = [results[name] for name in names]
        return [output[:, :num_frames] if output.ndim == 3 else output for output in found]


def installed_version() -> str | None:
    """Return the version of the package."""
    return find_version("openvino", packages=("openvino",))


def devices() -> Sequence[str]:
    """Return what OpenVINO finds on this machine."""
    names: list[str] = _import_openvino().Core().available_devices
    return names


def open_model(path: Path, options: Options) -> OpenVinoModel:
    """Compile a model file; raises PrecisionError where the processor does not compute as asked.

    Nothing is written to disk: OpenVINO's CACHE_DIR, which would keep the compiled model, is not set.
    """
    openvino = _import_openvino()
    core = openvino.Core()
    offered = core.get_property(options.device, "OPTIMIZATION_CAPABILITIES")
    if options.compute != "f32" and options.compute.upper() not in offered:
        raise PrecisionError(f"this processor does not compute in {options.compute}; choose fp32")
    model = _read_onnx(path)
    gather_flat(model)
    if options.weights == "i8":
        round_weights(model)
    compiled = core.compile_model(model, options.device, _config(options))
    _check_granted(compiled, options)
    return OpenVinoModel(
        inputs=tuple(_tensor(port) for port in model.inputs),
        outputs=tuple(_tensor(port) for port in model.outputs),  # compiled ones may answer to others' names
        compute=options.compute,
        _compiled=compiled,
    )


def _import_openvino() -> Any:
    """Import openvino without the companion that reports every import to its makers over the network."""
    companion = "openvino_telemetry"
    if companion in sys.modules:
        import openvino

        return openvino
    sys.modules[companion] = None  # type: ignore[assignment]  # makes importing it fail, which openvino allows
    try:
        import openvino
    finally:
        del sys.modules[companion]
    return openvino


def _read_onnx(path: Path) -> Any:
    """Read with the ONNX reader: ``read_model`` tries all, and others complain on stderr."""
    from openvino.frontend import FrontEndManager

    reader = FrontEndManager().load_by_framework("onnx")
    return reader.convert(reader.load(str(path)))


def _config(options: Options) -> dict[str, Any]:
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # Without it a processor that has bf16 or f16 uses that.
        "INFERENCE_PRECISION_HINT": options.compute,
        # Pinned, the only threads of two processes would share the first core.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _CACHE_CAPACITY,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if options.weights == "i8" else 0,
        **options.settings,
    }
    if options.threads is not None:
        config["INFERENCE_NUM_THREADS"] = options.threads
    return config


def _check_granted(compiled: Any, options: Options) -> None:
    """Refuse a device or a type that was quietly put in place of the one asked for (f16 becomes bf16)."""
    used = compiled.get_property("EXECUTION_DEVICES")
    if list(used) != [options.device]:
        raise ProviderError(f"openvino left {options.device} for {', '.join(used) or 'nothing'}")
    compute = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if compute != options.compute:
        raise PrecisionError(f"openvino computes in {compute} where {options.compute} was asked for")


def _tensor(port: Any) -> Tensor:
    dtype = port.element_type.to_string()
    shape = tuple(axis.get_length() if axis.is_static else None for axis in port.partial_shape)
    return Tensor(name=port.any_name, dtype=_DTYPES.get(dtype, dtype), shape=shape)

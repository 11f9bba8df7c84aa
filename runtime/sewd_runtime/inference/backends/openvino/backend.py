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
from sewd_runtime.inference.backends.openvino.rewrites import GROUP, gather_flat, quantize_weights
from sewd_runtime.system.packages import find_version

NAME = "openvino"

_DTYPES = {"f32": "float32", "i64": "int64"}

_SHORTEST_SAMPLES = {"bf16": 16_000}
"""Shorter recordings are padded to this. In bf16, OpenVINO 2026.4 gets convolutions wrong by half of their
value if they have up to 16 channels per group, stride 2, and an input at least 3 shorter than the kernel: the
digits model's positional convolution (kernel 31) below 0.6 s. Published models have 24 or more channels."""

_CACHE_CAPACITY = "500"
"""How many compiled operations are cached. With OpenVINO's default of 5000, memory grew by 2 MB for each new
shape of a small model, past a gigabyte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenVinoModel:
    """A compiled model; concurrent runs wait for one another, each has all the threads."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    compute: str
    compiled: Any
    _idle: list[Any] = field(default_factory=list)

    def run(self, names: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """Run one batch, padded to one of a few lengths; return the results without the padding's frames.

        OpenVINO compiles its operations again for each new shape. Padding changes no item's result, so a few
        shapes serve all recordings: faster than new shapes, and in memory that stops growing.
        """
        values, lengths = feed["input_values"], feed["input_lengths"]
        if lengths.shape != values.shape[:1]:  # OpenVINO would broadcast one to the other
            raise ValueError(f"{values.shape} samples with {lengths.shape} lengths")
        shortest = _SHORTEST_SAMPLES.get(self.compute, 0)
        padding = padded_length(values.shape[1], shortest=shortest) - values.shape[1]
        padded = {**feed, "input_values": np.pad(values, ((0, 0), (0, padding)))}
        try:
            request = self._idle.pop()  # a request serves one run at a time
        except IndexError:
            request = self.compiled.create_infer_request()
        results = request.infer(padded)  # copies, not views of the request's memory
        self._idle.append(request)
        num_frames = int(results["output_lengths"].max(initial=0))
        outputs = [results[name] for name in names]
        return [output[:, :num_frames] if output.ndim == 3 else output for output in outputs]


def installed_version() -> str | None:
    """Return the version of the package."""
    return find_version("openvino", packages=("openvino",))


def devices() -> Sequence[str]:
    """Return the devices that OpenVINO finds on this machine."""
    names: list[str] = import_openvino().Core().available_devices
    return names


def open_model(path: Path, options: Options) -> OpenVinoModel:
    """Compile a model file; raises PrecisionError if the CPU does not have the type of ``compute``.

    Nothing is written to disk, because OpenVINO's CACHE_DIR is not set.
    """
    openvino = import_openvino()
    core = openvino.Core()
    offered = core.get_property(options.device, "OPTIMIZATION_CAPABILITIES")
    if options.compute != "f32" and options.compute.upper() not in offered:
        raise PrecisionError(f"this CPU does not compute in {options.compute}; choose fp32")
    model = read_onnx(path)
    gather_flat(model)
    if options.weights == "i8":
        quantize_weights(model)
    compiled = core.compile_model(model, options.device, _config(options))
    _check_granted(compiled, options)
    return OpenVinoModel(
        inputs=tuple(_tensor(port) for port in model.inputs),
        # The compiled model's outputs may have other names too.
        outputs=tuple(_tensor(port) for port in model.outputs),
        compute=options.compute,
        compiled=compiled,
    )


def import_openvino() -> Any:
    """Import openvino without its telemetry package, which reports every import over the network."""
    telemetry = "openvino_telemetry"
    if telemetry in sys.modules:
        import openvino

        return openvino
    sys.modules[telemetry] = None  # type: ignore[assignment]  # its import fails, which openvino tolerates
    try:
        import openvino
    finally:
        del sys.modules[telemetry]
    return openvino


def read_onnx(path: Path) -> Any:
    """Read with the ONNX frontend: ``read_model`` tries all frontends, and others write to stderr."""
    from openvino.frontend import FrontEndManager

    frontend = FrontEndManager().load_by_framework("onnx")
    return frontend.convert(frontend.load(str(path)))


def _config(options: Options) -> dict[str, Any]:
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        # By default, a CPU with bf16 or f16 computes in that.
        "INFERENCE_PRECISION_HINT": options.compute,
        # With pinning, two processes of one thread each would share the first core.
        "ENABLE_CPU_PINNING": False,
        "CPU_RUNTIME_CACHE_CAPACITY": _CACHE_CAPACITY,
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": GROUP if options.weights == "i8" else 0,
        **options.settings,
    }
    if options.threads is not None:
        config["INFERENCE_NUM_THREADS"] = options.threads
    return config


def _check_granted(compiled: Any, options: Options) -> None:
    """Raise if OpenVINO silently took another device, or another type (bf16 for f16)."""
    used = compiled.get_property("EXECUTION_DEVICES")
    if list(used) != [options.device]:
        raise ProviderError(f"openvino left {options.device} for {', '.join(used) or 'nothing'}")
    compute = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if compute != options.compute:
        raise PrecisionError(f"openvino computes in {compute}, not in {options.compute}; choose fp32")


def _tensor(port: Any) -> Tensor:
    dtype = port.element_type.to_string()
    shape = tuple(axis.get_length() if axis.is_static else None for axis in port.partial_shape)
    return Tensor(name=port.any_name, dtype=_DTYPES.get(dtype, dtype), shape=shape)

"""Execution providers by name: which library runs a model, on what, and in which precisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sewd_runtime.errors import ProviderError
from sewd_runtime.inference.backends import Backend
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime import tensorrt_backend as onnxruntime_tensorrt_backend
from sewd_runtime.inference.backends.openvino import backend as openvino_backend
from sewd_runtime.inference.backends.tensorrt import backend as tensorrt_backend
from sewd_runtime.system.packages import explain_install, find_conflicts

FALLBACK = "cpu"
"""What runs a model whose provider cannot, where the caller allows that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to run models.

    device: the library's own name for it; extra: of ours, what installs the library; None: no package does.
    package: what has to bring the library for it to have this device. needs: what else, for people.
    precisions: the only ones it runs; None: any that has a file, and none that is derived from another's.
    preferred: the precisions that are taken where none is named, the first that the bundle has.
    cpu_share: of the nodes, how many it may leave to the processor; products it may not.
    remarks: precision → what whoever loads it should know.
    engines: whether it runs the bundle's engines in place of its models.
    is_proven: whether the export's evidence holds for it; where not, the golden utterance runs at each load.
    run_on: where this was really run; None: nowhere.
    """

    backend: Backend
    device: str
    extra: str | None
    package: str = "onnxruntime"
    needs: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[str, ...] | None = None
    preferred: tuple[str, ...] = ("fp32",)
    cpu_share: float = 0.5
    remarks: Mapping[str, str] = field(default_factory=dict)
    engines: bool = False
    is_proven: bool = True
    run_on: str | None = None

    @property
    def remedy(self) -> str:
        """What to do where the library or its device is absent."""
        if self.extra is None:
            return f"no package has it; {self.needs}"
        return explain_install(f"sewd[{self.extra}]", package=self.package)


# Settings are onnxruntime 1.32's: docs/execution-providers, <provider>_execution_provider_info.cc.
PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(
        backend=onnxruntime_backend,
        device="CPUExecutionProvider",
        extra="cpu",
        remarks={
            "fp16": "it computes in float32 and converts in between, no faster than fp32; fp16 is for GPUs"
        },
        run_on="x86-64: every test",
    ),
    "openvino": Provider(
        backend=openvino_backend,
        device="CPU",
        extra="openvino",
        package="openvino",
        # int8 is missing: its dynamic scales are onnxruntime's operators, which OpenVINO does not fuse.
        precisions=(
            *("fp32", "bf16", "fp16"),
            *("int8-dynamic", "int8-dynamic+bf16", "int8-static", "int8-static+bf16"),
        ),
        run_on="x86-64: every test of it",
    ),
    "cuda": Provider(
        backend=onnxruntime_backend,
        device="CUDAExecutionProvider",
        extra="gpu",
        package="onnxruntime-gpu",
        needs="an NVIDIA driver, CUDA and cuDNN (pip install 'onnxruntime-gpu[cuda,cudnn]')",
        run_on="no GPU; the errors of onnxruntime-gpu 1.31.1 without CUDA",
        settings={
            "use_tf32": "0",  # 10 bits of mantissa, and parity was proven with 23
            "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tries all for each new length
            "arena_extend_strategy": "kSameAsRequested",  # doubling keeps twice the longest recording
        },
        precisions=("fp32", "fp16"),
        preferred=("fp16", "fp32"),
    ),
    "migraphx": Provider(
        backend=onnxruntime_backend,
        device="MIGraphXExecutionProvider",
        extra="migraphx",
        package="onnxruntime-migraphx",
        needs="an AMD GPU, ROCm and MIGraphX",
        precisions=("fp32", "fp16"),
        preferred=("fp16", "fp32"),
    ),
    "directml": Provider(
        backend=onnxruntime_backend,
        device="DmlExecutionProvider",
        extra="directml",
        package="onnxruntime-directml",
        needs="Windows 10 or newer and a GPU for DirectX 12",
        settings={"performance_preference": "high_performance", "device_filter": "gpu"},
        precisions=("fp32", "fp16"),
    ),
    "coreml": Provider(
        backend=onnxruntime_backend,
        device="CoreMLExecutionProvider",
        extra="cpu",
        needs="macOS 12 or newer",
        # NeuralNetwork, the default, knows fewer operators; ALL would compute in float16 where it likes.
        settings={"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"},
        precisions=("fp32", "fp16"),
    ),
    "webgpu": Provider(
        backend=onnxruntime_backend,
        device="WebGpuExecutionProvider",
        extra="webgpu",
        package="onnxruntime-webgpu",
        needs="a GPU with a Vulkan, Metal or Direct3D 12 driver",
        run_on="no GPU; the errors of onnxruntime-webgpu 1.27 without one",
        precisions=("fp32", "fp16"),
    ),
    "qnn": Provider(
        backend=onnxruntime_backend,
        device="QNNExecutionProvider",
        extra="qnn",
        package="onnxruntime-qnn",
        needs="a Qualcomm processor, or on x86-64 the simulator that the package has for Linux",
        run_on=(
            "x86-64, the simulator of onnxruntime-qnn 2.7: takes 48 of 367 nodes, so is refused; "
            "with a fall-back within the tolerances"
        ),
        settings={"backend_type": "htp", "htp_performance_mode": "burst"},
        precisions=("int8-static", "fp16", "fp32"),
        preferred=("int8-static", "fp16", "fp32"),
    ),
    "xnnpack": Provider(
        backend=onnxruntime_backend,
        device="XnnpackExecutionProvider",
        extra=None,
        needs="build onnxruntime with --use_xnnpack",
        precisions=("fp32",),
        cpu_share=0.9,  # it is a processor's library too, of products alone
    ),
    "tensorrt": Provider(
        backend=onnxruntime_tensorrt_backend,
        device="TensorrtExecutionProvider",
        extra="gpu",
        package="onnxruntime-gpu",
        needs="an NVIDIA driver, CUDA and TensorRT's libraries",
        precisions=("fp32", "fp16", "int8-static"),
        is_proven=False,
    ),
    "tensorrt-engine": Provider(
        backend=tensorrt_backend,
        device="GPU",
        extra="tensorrt",
        package="tensorrt-rtx-cu13",
        needs="an NVIDIA GPU and its driver",
        precisions=("fp32", "fp16", "int8-static"),
        engines=True,
        is_proven=False,
    ),
}


def look_up(name: str) -> Provider:
    """Return a provider's row; raises ProviderError for an unknown name."""
    if name not in PROVIDERS:
        usable = ", ".join(installed_providers()) or "none"
        raise ProviderError(f"unknown provider {name!r}; installed here: {usable}")
    return PROVIDERS[name]


def find_provider(name: str) -> Provider:
    """Look up a provider that can be used here.

    Raises ProviderError for an unknown name, a library that is not installed, a device that it lacks.
    """
    provider = look_up(name)
    library = provider.backend.NAME
    try:
        devices = provider.backend.devices()
    except (ImportError, AttributeError) as error:  # of two packages in one folder, a name can be missing
        raise ProviderError(f"provider {name!r} needs {library}: {error}; {provider.remedy}") from error
    if provider.device not in devices:
        # Where the right package is there, the system is the wrong one.
        is_right = provider.extra is not None and list(find_conflicts()) == [provider.package]
        remedy = f"it needs {provider.needs}" if is_right and provider.needs else provider.remedy
        raise ProviderError(
            f"provider {name!r} needs {provider.device}, this {library} has only {', '.join(devices)}; "
            f"{remedy}"
        )
    return provider


def installed_providers() -> list[str]:
    """Return the providers whose library is installed and has their device."""
    found = []
    for name, row in PROVIDERS.items():
        if row.backend.installed_version() is None:
            continue
        try:
            devices = row.backend.devices()
        except (ImportError, AttributeError, ProviderError):
            continue
        if row.device in devices:
            found.append(name)
    return found

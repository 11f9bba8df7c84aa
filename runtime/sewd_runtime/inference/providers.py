"""Execution providers by name: which library runs a model, on which device, and in which precisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sewd_runtime.bundle.engines import EngineEntry
from sewd_runtime.errors import ProviderError
from sewd_runtime.inference.backends import Backend
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime import tensorrt_backend as onnxruntime_tensorrt_backend
from sewd_runtime.inference.backends.openvino import backend as openvino_backend
from sewd_runtime.inference.backends.tensorrt import backend as tensorrt_backend
from sewd_runtime.system.packages import explain_install, find_conflicts

FALLBACK = "cpu"
"""Runs a model that its provider cannot, where the caller allows that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to run models.

    device: the library's name for it. extra: of sewd, what installs the library; None: no package has it.
    package: the one whose build of the library has this device. needs: further requirements, in words.
    precisions: the only ones it runs; None: every one with a file, and none that is derived.
    preferred: the default precision is the first of these that the bundle has.
    cpu_share: the share of nodes that it may leave to the CPU; matmuls it may not.
    remarks: precision → a warning when it is loaded.
    choose_engine: picks one of a bundle's TensorRT engines, which runs in place of the model.
    works_after_fork: whether a forked process, e.g. a worker of ``gunicorn --preload``, can open models.
    is_proven: whether the export's evidence holds here; if not, the golden utterance runs at each load.
    run_on: where it has run so far; None: nowhere.
    """

    backend: Backend = onnxruntime_backend
    device: str
    extra: str | None
    package: str = "onnxruntime"
    needs: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[str, ...] | None = None
    preferred: tuple[str, ...] = ("fp32",)
    cpu_share: float = 0.5
    remarks: Mapping[str, str] = field(default_factory=dict)
    choose_engine: Callable[[Sequence[EngineEntry]], EngineEntry] | None = None
    works_after_fork: bool = False
    is_proven: bool = True
    run_on: str | None = None

    @property
    def remedy(self) -> str:
        """What to do if the library or its device is absent."""
        if self.extra is None:
            return f"no package has it; {self.needs}"
        return explain_install(f"sewd[{self.extra}]", package=self.package)


# Settings as in onnxruntime 1.32: docs/execution-providers, <provider>_execution_provider_info.cc.
PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(
        device="CPUExecutionProvider",
        extra="cpu",
        remarks={"fp16": "onnxruntime computes it in float32 on CPUs, no faster than fp32; fp16 is for GPUs"},
        works_after_fork=True,
        run_on="x86-64: all tests",
    ),
    "openvino": Provider(
        backend=openvino_backend,
        device="CPU",
        extra="openvino",
        package="openvino",
        # Not int8: its dynamic scales are operators of onnxruntime that OpenVINO does not fuse.
        precisions=(
            *("fp32", "bf16", "fp16"),
            *("int8-dynamic", "int8-dynamic+bf16", "int8-static", "int8-static+bf16"),
        ),
        run_on="x86-64: all its tests",
    ),
    "cuda": Provider(
        device="CUDAExecutionProvider",
        extra="gpu",
        package="onnxruntime-gpu",
        needs="an NVIDIA driver, CUDA and cuDNN (pip install 'onnxruntime-gpu[cuda,cudnn]')",
        run_on="no GPU; only the errors of onnxruntime-gpu 1.31.1 without CUDA",
        settings={
            "use_tf32": "0",  # TF32 has 10 bits of mantissa; parity was proven with 23
            "cudnn_conv_algo_search": "HEURISTIC",  # EXHAUSTIVE tries every algorithm for each new length
            "arena_extend_strategy": "kSameAsRequested",  # doubling would keep twice the longest recording
        },
        precisions=("fp32", "fp16"),
        preferred=("fp16", "fp32"),
    ),
    "migraphx": Provider(
        device="MIGraphXExecutionProvider",
        extra="migraphx",
        package="onnxruntime-migraphx",
        needs="an AMD GPU, ROCm and MIGraphX",
        precisions=("fp32", "fp16"),
        preferred=("fp16", "fp32"),
    ),
    "directml": Provider(
        device="DmlExecutionProvider",
        extra="directml",
        package="onnxruntime-directml",
        needs="Windows 10 or newer and a GPU for DirectX 12",
        settings={"performance_preference": "high_performance", "device_filter": "gpu"},
        precisions=("fp32", "fp16"),
    ),
    "coreml": Provider(
        device="CoreMLExecutionProvider",
        extra="cpu",
        needs="macOS 12 or newer",
        # NeuralNetwork, the default, has fewer operators; ALL may compute in float16.
        settings={"ModelFormat": "MLProgram", "MLComputeUnits": "CPUAndGPU"},
        precisions=("fp32", "fp16"),
    ),
    "webgpu": Provider(
        device="WebGpuExecutionProvider",
        extra="webgpu",
        package="onnxruntime-webgpu",
        needs="a GPU with a Vulkan, Metal or Direct3D 12 driver",
        run_on="no GPU; only the errors of onnxruntime-webgpu 1.27 without one",
        precisions=("fp32", "fp16"),
    ),
    "qnn": Provider(
        device="QNNExecutionProvider",
        extra="qnn",
        package="onnxruntime-qnn",
        needs="a Qualcomm chip, or the package's simulator on x86-64 Linux",
        run_on=(
            "the simulator of onnxruntime-qnn 2.7 on x86-64: refused, as it takes only 48 of 367 nodes; "
            "with fall-back allowed, within tolerance"
        ),
        settings={"backend_type": "htp", "htp_performance_mode": "burst"},
        precisions=("int8-static", "fp16", "fp32"),
        preferred=("int8-static", "fp16", "fp32"),
    ),
    "xnnpack": Provider(
        device="XnnpackExecutionProvider",
        extra=None,
        needs="build onnxruntime with --use_xnnpack",
        precisions=("fp32",),
        cpu_share=0.9,  # it runs on the CPU too, and has kernels for matmuls alone
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
        choose_engine=tensorrt_backend.choose_engine_here,
        is_proven=False,
    ),
}


def look_up(name: str) -> Provider:
    """Return a provider's row; raises ProviderError for an unknown name."""
    if name not in PROVIDERS:
        usable = ", ".join(installed_providers()) or "none"
        meant = "; an NVIDIA GPU is 'cuda'" if name.lower() in ("gpu", "nvidia") else ""
        raise ProviderError(f"unknown provider {name!r}{meant}; installed here: {usable}")
    return PROVIDERS[name]


def find_provider(name: str) -> Provider:
    """Return the row of a provider that can be used here.

    Raises ProviderError for an unknown name, a library that is not installed, or a device that it lacks.
    """
    provider = look_up(name)
    library = provider.backend.NAME
    try:
        devices = provider.backend.devices()
    except (ImportError, AttributeError) as error:  # names are missing where two packages share a folder
        raise ProviderError(f"provider {name!r} needs {library}: {error}; {provider.remedy}") from error
    if provider.device not in devices:
        is_right_package = provider.extra is not None and list(find_conflicts()) == [provider.package]
        remedy = f"it needs {provider.needs}" if is_right_package and provider.needs else provider.remedy
        raise ProviderError(
            f"provider {name!r} needs {provider.device}, this {library} has only {', '.join(devices)}; "
            f"{remedy}"
        )
    return provider


def installed_providers() -> list[str]:
    """Return the providers whose library is installed and has their device."""
    return [name for name, row in PROVIDERS.items() if _is_installed(row)]


def _is_installed(row: Provider) -> bool:
    if row.backend.installed_version() is None:
        return False
    try:
        return row.device in row.backend.devices()
    except (ImportError, AttributeError, ProviderError):
        return False

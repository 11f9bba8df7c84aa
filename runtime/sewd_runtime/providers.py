"""Execution providers by name: which library runs a model, on what, and in which precisions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sewd_runtime.backends import Backend, _onnxruntime, _onnxruntime_tensorrt, _openvino, _tensorrt
from sewd_runtime.errors import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to run models.

    device: the library's own name for it; extra: of ours, what installs the library.
    precisions: the only ones it runs; None: any that has a file, and none that is derived from another's.
    remarks: precision → what whoever loads it should know.
    engines: whether it runs the bundle's engines in place of its models.
    is_proven: whether the export's evidence holds for it; where not, the golden utterance runs at each load.
    """

    backend: Backend
    device: str
    extra: str
    settings: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[str, ...] | None = None
    remarks: Mapping[str, str] = field(default_factory=dict)
    engines: bool = False
    is_proven: bool = True


PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(
        backend=_onnxruntime,
        device="CPUExecutionProvider",
        extra="cpu",
        remarks={
            "fp16": "it computes in float32 and converts in between, no faster than fp32; fp16 is for GPUs"
        },
    ),
    "openvino": Provider(
        backend=_openvino,
        device="CPU",
        extra="openvino",
        # int8 is missing: its dynamic scales are onnxruntime's operators, which OpenVINO does not fuse.
        precisions=(
            *("fp32", "bf16", "fp16"),
            *("int8-dynamic", "int8-dynamic+bf16", "int8-static", "int8-static+bf16"),
        ),
    ),
    "tensorrt": Provider(
        backend=_onnxruntime_tensorrt,
        device="TensorrtExecutionProvider",
        extra="gpu",
        precisions=("fp32", "fp16", "int8-static"),
        is_proven=False,
    ),
    "tensorrt-engine": Provider(
        backend=_tensorrt,
        device="GPU",
        extra="tensorrt",
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
    library, remedy = provider.backend.NAME, f"pip install 'sewd[{provider.extra}]'"
    try:
        devices = provider.backend.devices()
    except ImportError as error:
        raise ProviderError(f"provider {name!r} needs {library}: {error}; {remedy}") from error
    if provider.device not in devices:
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

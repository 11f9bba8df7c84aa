"""Execution providers by name, and no silent fall-back from one to another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sewd_runtime.errors import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to run a model: onnxruntime's name for it, its options, and the extra that installs it.

    remarks: precision → what whoever loads it should know.
    """

    ort_name: str
    extra: str
    options: Mapping[str, str] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)


PROVIDERS: Mapping[str, Provider] = {
    "cpu": Provider(
        ort_name="CPUExecutionProvider",
        extra="cpu",
        remarks={
            "fp16": "it computes in float32 and converts in between, no faster than fp32; fp16 is for GPUs"
        },
    ),
}


def find_provider(name: str, available: Sequence[str]) -> Provider:
    """Look up a provider by name among those that onnxruntime says are ``available``.

    Raises ProviderError for an unknown name, and for one that this onnxruntime lacks.
    """
    usable = [known for known, row in PROVIDERS.items() if row.ort_name in available]
    if name not in PROVIDERS:
        raise ProviderError(f"unknown provider {name!r}; available here: {', '.join(usable) or 'none'}")
    provider = PROVIDERS[name]
    if provider.ort_name not in available:
        raise ProviderError(
            f"provider {name!r} needs {provider.ort_name}, this onnxruntime has only {', '.join(available)}; "
            f"install sewd[{provider.extra}]"
        )
    return provider


def check_provider(name: str, active: Sequence[str]) -> None:
    """Raise ProviderError unless a session really runs on the provider that was asked for."""
    ort_name = PROVIDERS[name].ort_name
    if not active or active[0] != ort_name:
        raise ProviderError(
            f"onnxruntime left {ort_name} for {', '.join(active) or 'nothing'}; "
            f"choose that provider by name if it is wanted"
        )

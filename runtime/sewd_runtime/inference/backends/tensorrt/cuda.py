"""The CUDA driver through cuda-python: what GPU there is, and calls that raise what they return."""

from typing import Any

from sewd_runtime.errors import MissingPackageError, ProviderError


def import_cuda() -> Any:
    """Import CUDA's runtime; raises MissingPackageError."""
    try:
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingPackageError(f"no cuda-bindings ({error}); pip install 'sewd[tensorrt]'") from error
    return runtime


def call(cuda: Any, function: str, *arguments: Any) -> Any:
    """Call a function of CUDA's runtime; returns its one result, None where it has none.

    Raises ProviderError with CUDA's name of the error.
    """
    error, *results = getattr(cuda, function)(*arguments)
    if error != cuda.cudaError_t.cudaSuccess:
        raise ProviderError(f"{function} says {error.name}{_REMEDIES.get(error.name, '')}")
    return results[0] if results else None


_REMEDIES = {
    "cudaErrorInsufficientDriver": ": no NVIDIA driver, or one too old for this CUDA; install the driver",
    "cudaErrorNoDevice": ": no NVIDIA GPU here; choose another provider",
}


def compute_capability(device: int = 0) -> str:
    """Return a GPU's compute capability, e.g. ``8.9``; raises ProviderError, MissingPackageError."""
    cuda = import_cuda()
    call(cuda, "cudaGetDeviceCount")  # says what is wrong where there is none
    attributes = cuda.cudaDeviceAttr
    major, minor = (
        call(cuda, "cudaDeviceGetAttribute", attribute, device)
        for attribute in (
            attributes.cudaDevAttrComputeCapabilityMajor,
            attributes.cudaDevAttrComputeCapabilityMinor,
        )
    )
    return f"{major}.{minor}"

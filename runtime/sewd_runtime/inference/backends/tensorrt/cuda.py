"""CUDA through cuda-python: which GPU is present, and calls that raise the errors they return."""

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
    """Call a function of CUDA's runtime; return its result, None if it has none.

    Raises ProviderError with CUDA's name for the error.
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
    call(cuda, "cudaGetDeviceCount")  # raises the reason if there is no GPU
    attributes = cuda.cudaDeviceAttr
    major, minor = (
        call(cuda, "cudaDeviceGetAttribute", attribute, device)
        for attribute in (
            attributes.cudaDevAttrComputeCapabilityMajor,
            attributes.cudaDevAttrComputeCapabilityMinor,
        )
    )
    return f"{major}.{minor}"

"""What a timing depends on besides the code; nothing that names the host."""

import contextlib
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sewd_runtime
from sewd_runtime.system.machine import available_cores, processor_name

_PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "openvino")


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine as JSON takes them; None stands for what the system does not tell.

    cores: those this process may use, which a container or taskset can make fewer than ``cores_total``.
    load_before: other work, as processes that ran or wanted to over the last minute.
    """
    return {
        "processor": processor_name(),
        "architecture": platform.machine(),
        "cores": available_cores(),
        "cores_total": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "os": _system(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def describe_versions() -> dict[str, str]:
    """Return the version of ours and of each installed package that bears on the speed."""
    found = {"sewd": sewd_runtime.__version__}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def peak_memory_bytes() -> int | None:
    """Return the most memory this process ever had resident, None where the system does not tell."""
    # Not ru_maxrss on Linux: a child inherits there what its parent had when it was started.
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _system() -> str:
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    library = " ".join(platform.libc_ver()).strip()  # its allocator bears on memory
    return f"{kernel}, {library}" if library else kernel


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None

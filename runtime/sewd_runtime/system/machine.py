"""What a timing depends on besides the code; nothing that names the host."""

import os
import platform
import subprocess
import sys
from pathlib import Path


def processor_name() -> str:
    """Return what the processor calls itself, as far as the system tells."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() or platform.machine()
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def processor_features() -> str:
    """Return the instruction sets as Linux lists them; virtual processors of one name differ in these."""
    return _cpuinfo("flags") or _cpuinfo("Features")


def has_vnni() -> bool:
    """Tell whether the processor is known to add 8-bit products in 32 bits; without VNNI x86-64 saturates at
    16. Only Linux tells."""
    return any("vnni" in feature for feature in processor_features().split())


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cache_folder() -> Path:
    """Return where the system keeps what can be computed again; raises RuntimeError without a home."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "sewd"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "sewd" / "Cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "sewd"


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next(
        (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), ""
    )

"""What a timing depends on besides the code. Nothing here names the host."""

import math
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from sewd_runtime import __version__
from sewd_runtime.system.packages import find_packages


def describe_machine() -> dict[str, Any]:
    """Return the facts of this machine as JSON values; None where the system does not report one.

    cores: those this process may use, which a container or taskset can limit to fewer than ``cores_total``.
    load_before: the load average of the last minute.
    """
    return {
        "processor": cpu_name(),
        "architecture": platform.machine(),
        "cores": available_cores(),
        "cores_total": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "os": _system(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def describe_versions() -> dict[str, str]:
    """Return the version of sewd and of each installed package that affects the speed."""
    return {"sewd": __version__, **find_packages(("numpy", "onnxruntime", "onnxruntime-gpu", "openvino"))}


def cpu_name() -> str:
    """Return the CPU's name as the system reports it."""
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        return done.stdout.strip() or platform.machine()
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def cpu_features() -> str:
    """Return the instruction sets as Linux lists them; virtual CPUs of one name may differ in these."""
    return _cpuinfo("flags") or _cpuinfo("Features")


def has_vnni() -> bool:
    """Return whether the CPU is known to have VNNI, with which int8 matmuls accumulate in 32 bits.

    Without it x86-64 saturates at 16 bits. Only Linux reports it.
    """
    return any("vnni" in feature for feature in cpu_features().split())


def available_cores() -> int:
    """Return the number of cores that this process may use: those of its affinity, within its CPU quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, cpu_quota())))


def max_threads() -> int:
    """Return the most threads that a model may be given here: 8 for each core of the machine."""
    return 8 * (os.cpu_count() or 1)


def cpu_quota(root: Path = Path("/")) -> float:
    """Return the number of CPUs whose time a container or service may use; infinite if it has no quota."""
    quota = math.inf
    for line in _read_lines(root / "proc/self/cgroup"):
        _, controllers, name = (*line.split(":", 2), "", "")[:3]
        mounts = [f"cgroup/{controllers}", "cgroup/cpu"] if controllers else ["cgroup", "cgroup/unified"]
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in mounts:
            top = root / "sys/fs" / mount
            # In a container, the group's own folder may be mounted as the top one.
            folders = [
                top.joinpath(*Path(name.strip("/")).parts[:depth]) for depth in range(name.count("/") + 1)
            ]
            quota = min([quota, *map(_quota_of, folders)])
    return quota


def _quota_of(folder: Path) -> float:
    """Return the quota of a control group, version 2 or 1; infinite if it has none."""
    both = [*_read_lines(folder / "cpu.max")] or [
        f"{line} {period}"
        for line in _read_lines(folder / "cpu.cfs_quota_us")
        for period in _read_lines(folder / "cpu.cfs_period_us")
    ]
    try:
        time_us, period_us = map(float, both[0].split())
        return time_us / period_us if time_us > 0 else math.inf
    except (IndexError, ValueError, ZeroDivisionError):  # no such file, "max"
        return math.inf


def peak_memory_bytes() -> int | None:
    """Return the peak resident memory of this process; None where the system does not report it."""
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


def cache_folder() -> Path:
    """Return the user's cache folder for sewd; raises RuntimeError where there is no home folder."""
    if os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "sewd"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "sewd" / "Cache"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "sewd"


def _system() -> str:
    kernel = f"{platform.system()} {platform.release().partition('-')[0]}"
    library = " ".join(platform.libc_ver()).strip()  # its allocator affects memory
    return f"{kernel}, {library}" if library else kernel


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _read_lines(path: Path) -> list[str]:
    """Return the lines of a file of the system's, none if it is not there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _cpuinfo(key: str) -> str:
    lines = _read_lines(Path("/proc/cpuinfo"))
    return next(
        (line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), ""
    )

"""The machine of a result: what decides its figures, and nothing that identifies the host."""

from __future__ import annotations

import os
import platform
from typing import Any

from sewd_runtime.system.machine import cpu_features, describe_machine

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd")


def describe() -> dict[str, Any]:
    """Return CPU, cores, the instruction sets that matter here, memory in GiB and operating system."""
    machine, features = describe_machine(), cpu_features().split()
    return {
        "processor": machine["processor"],
        "cores": os.cpu_count(),
        "architecture": machine["architecture"],
        "instructions": [name for name in _INSTRUCTIONS if name in features],
        "memory_gb": round((machine["memory_bytes"] or 0) / 2**30, 1),
        "system": platform.system(),
    }

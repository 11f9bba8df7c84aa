"""The machine of a result: what decides its speed, and nothing that identifies it."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""


def describe() -> dict[str, Any]:
    """Return processor, cores, the instructions that matter here, memory and system."""
    facts = {
        key.strip(): value.strip()
        for key, _, value in (line.partition(":") for line in _read("/proc/cpuinfo").splitlines())
    }
    flags = set(facts.get("flags", facts.get("Features", "")).split())
    memory = next(
        (line.split()[1] for line in _read("/proc/meminfo").splitlines() if "MemTotal" in line), "0"
    )
    return {
        "processor": facts.get("model name", platform.processor()),
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "instructions": [name for name in _INSTRUCTIONS if name in flags],
        "memory_gb": round(int(memory) / 2**20, 1),
        "system": platform.system(),
    }

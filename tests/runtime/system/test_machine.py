"""Laws of the CPU: threads follow what a container or taskset leaves, and no absurd number is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from sewd_runtime.errors import ProviderError
from sewd_runtime.inference import session
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.session import Session
from sewd_runtime.system import machine
from sewd_runtime.system.machine import available_cores, cpu_quota, max_threads


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cgroup/cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cgroup/cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b\n", {"cgroup/a/cpu.max": "200000 100000\n", "cgroup/a/b/cpu.max": "max 100000\n"}, 2.0),
        ("0::/docker/1\n", {"cgroup/cpu.max": "300000 100000\n"}, 3.0),
        (
            "3:cpuset:/\n2:cpu,cpuacct:/docker/1\n",
            {
                "cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
                "cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            0.5,
        ),
        (
            "1:cpu:/a\n",
            {"cgroup/cpu/a/cpu.cfs_quota_us": "-1", "cgroup/cpu/a/cpu.cfs_period_us": "100000"},
            math.inf,
        ),
        ("0::/\n", {"cgroup/cpu.max": "nonsense"}, math.inf),
        ("nonsense\n", {}, math.inf),
        (None, {}, math.inf),
    ],
)
def test_the_quota_of_a_container_is_read(
    groups: str | None, files: Mapping[str, str], quota: float, tmp_path: Path
) -> None:
    for name, content in {
        "proc/self/cgroup": groups,
        **{f"sys/fs/{key}": files[key] for key in files},
    }.items():
        if content is not None:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
    assert cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("quota", "cores"), [(0.3, 1), (1.0, 1), (1.2, 2), (math.inf, None)])
def test_cores_are_those_within_the_quota(
    quota: float, cores: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    everything = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert available_cores() == (everything if cores is None else min(cores, everything or 1))


@pytest.mark.parametrize(("available", "threads"), [(1, 1), (3, 3), (4, None)])
def test_the_default_is_what_may_be_used(
    available: int, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "available_cores", lambda: available)
    monkeypatch.setattr(session.os, "cpu_count", lambda: 4)
    assert session._checked_threads(None) == threads


def test_more_threads_than_the_machine_bears_are_refused(tiny_bundle: Path) -> None:
    options = Options(device="CPUExecutionProvider", threads=max_threads() + 1)
    with pytest.raises(ProviderError, match=f"at most {max_threads()}, 8 for each core"):
        Session.open(tiny_bundle / "model.fp32.onnx", task="ctc", options=options)

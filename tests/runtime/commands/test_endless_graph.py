"""Law: a model that never ends its run ends with Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="makes an endless graph with the onnx package")


def endless(path: Path) -> None:
    """Put a loop of 2**62 rounds in front of a model's lengths."""
    from onnx import TensorProto, helper

    model = onnx.load(path)
    graph = model.graph
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Add", ["carried", "carried"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.INT64, [None]),
        ],
        [
            helper.make_tensor_value_info("still", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT64, [None]),
        ],
    )
    graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]))
    for node in graph.node:
        node.output[:] = ["real_lengths" if name == "output_lengths" else name for name in node.output]
        node.input[:] = ["real_lengths" if name == "output_lengths" else name for name in node.input]
    graph.node.append(
        helper.make_node(
            "Loop", ["rounds", "", "real_lengths"], ["output_lengths"], name="endless", body=body
        )
    )
    onnx.save(model, path)


def wait_until_it_runs(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has used more CPU time than loading takes, however busy the machine is."""
    stat = Path(f"/proc/{process.pid}/stat")
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s and process.poll() is None:
        ticks = stat.read_text().rsplit(")", 1)[1].split()[11:13] if stat.exists() else ["600"]
        time.sleep(0.2 if stat.exists() else 6)
        if sum(map(int, ticks)) >= 600:  # hundredths of a second
            return
    raise AssertionError("it ended, or did not run")


@pytest.mark.skipif(os.name == "nt", reason="signals are sent to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_endless_graph_ends_with_a_signal(
    broken_bundle: Path, rehash: Callable[[Path], None], tmp_path: Path, number: int
) -> None:
    import soundfile

    endless(broken_bundle / "model.fp32.onnx")
    rehash(broken_bundle / "model.fp32.onnx")
    soundfile.write(tmp_path / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    command = [sys.executable, "-m", "sewd_runtime", "transcribe", "--model", str(broken_bundle)]
    process = subprocess.Popen([*command, str(tmp_path / "noise.wav")], stderr=subprocess.PIPE)
    try:
        wait_until_it_runs(process)
        begun_s = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - begun_s < 20
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in errors

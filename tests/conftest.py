"""What all tests share; nothing here is imported where it is not asked for."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings

# No test may fail because the machine is busy.
settings.register_profile("sewd", deadline=None)
settings.load_profile("sewd")

Candidate = Callable[[Any], list[Any]]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores Ctrl-C in its background jobs, and the programs that tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """Models this small would only wait for torch's threads to meet."""
    import torch  # tests/runtime runs without it

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def rounded() -> Callable[[Any], Candidate]:
    """Return a function that makes a candidate of a float16 graph as a GPU runs it: each value is rounded.

    onnxruntime on a CPU computes in float32 from one operator to the next, so its errors are too small. Here
    the graph is float32, with a Cast to float16 and back after every node whose value is float16.
    """
    import numpy as np
    import onnx_ir as ir
    import onnxruntime

    from sewd_runtime.inference.session import pad

    single, half = (ir.TensorType(kind) for kind in (ir.DataType.FLOAT, ir.DataType.FLOAT16))

    def cast(value: ir.Value, to: ir.TensorType) -> ir.Value:
        node = ir.node("Cast", [value], {"to": to.dtype}, name=f"{value.name}, {to.dtype.name}")
        node.outputs[0].name, node.outputs[0].type = node.name, to
        value.producer().graph.insert_after(value.producer(), node)
        return node.outputs[0]

    def candidate(model: ir.Model) -> Candidate:
        model = model.clone()
        for value in model.graph.initializers.values():
            if value.dtype == half.dtype:
                value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
                value.type = single
        for node in list(model.graph):
            for value in [value for value in node.outputs if value.dtype == half.dtype]:
                uses = list(value.uses())
                if node.op_type != "Cast":
                    value.type = single
                again = cast(value if node.op_type == "Cast" else cast(value, half), single)
                for use in uses:
                    use.node.replace_input_with(use.idx, again)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # keeps them
        session = onnxruntime.InferenceSession(
            ir.to_proto(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

        def run(recordings: Any) -> list[Any]:
            values, lengths = pad(recordings)
            output, frames = session.run(None, {"input_values": values, "input_lengths": lengths})
            return list(output) if output.ndim == 2 else [y[:n] for y, n in zip(output, frames, strict=True)]

        return run

    return candidate

"""Change the inputs and outputs of a bundle's graph in place; the nodes between stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.constants import initializer

_LOG_ZERO = float(np.log(np.finfo(np.float32).tiny))
"""Stands for the logarithm of probability 0; finite, so that sums are finite."""


def derive_lengths(model: ir.Model) -> None:
    """Remove the input `input_lengths`: every item is as long as the batch."""
    graph = model.graph
    values, lengths = graph.inputs
    assert (values.name, lengths.name) == ("input_values", "input_lengths")
    batch = ir.node("Shape", [values], {"start": 0, "end": 1}, name="layout/batch")
    samples = ir.node("Shape", [values], {"start": 1, "end": 2}, name="layout/samples")
    full = ir.node("Expand", [samples.outputs[0], batch.outputs[0]], name="layout/full_lengths")
    for node in (batch, samples, full):
        node.outputs[0].name, node.outputs[0].dtype = f"{node.name}_output", ir.DataType.INT64
    first = graph[0]
    lengths.replace_all_uses_with(full.outputs[0])
    graph.inputs.remove(lengths)
    graph.insert_before(first, [batch, samples, full])


def drop_lengths(model: ir.Model) -> None:
    """Remove the output `output_lengths`."""
    [lengths] = [value for value in model.graph.outputs if value.name == "output_lengths"]
    model.graph.outputs.remove(lengths)


def give_log_probs(model: ir.Model, name: str, *, blank_id: int) -> None:
    """Replace the output `logits` by log-probabilities, called `name`.

    Frames past an item's end are certainly blank, so a tool that counts too many frames reads no text there.
    """
    graph = model.graph
    logits, lengths = graph.outputs
    assert (logits.name, lengths.name) == ("logits", "output_lengths")
    shape = logits.shape
    assert shape is not None
    vocab = shape[2]
    assert isinstance(vocab, int)
    blank = np.full(vocab, _LOG_ZERO, np.float32)
    blank[blank_id] = 0.0
    constants: dict[str, NDArray[Any]] = {
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "item_axis": np.array([1], np.int64),
        "vocab_axis": np.array([2], np.int64),
        "scalar": np.array([], np.int64),
        "blank": blank,
    }
    given = {key: initializer(graph, f"layout/{key}", array) for key, array in constants.items()}

    def add(operator: str, inputs: list[ir.Value], attributes: dict[str, int] | None = None) -> ir.Value:
        node = ir.node(operator, inputs, attributes or {}, name=f"layout/{operator}_{len(list(graph))}")
        node.outputs[0].name = f"{node.name}_output"
        graph.append(node)
        return node.outputs[0]

    log_probs = add("LogSoftmax", [logits], {"axis": -1})
    frames = add("Reshape", [add("Shape", [logits], {"start": 1, "end": 2}), given["scalar"]])
    positions = add("Range", [given["zero"], frames, given["one"]])
    is_own = add("Less", [positions, add("Unsqueeze", [lengths, given["item_axis"]])])
    result = add("Where", [add("Unsqueeze", [is_own, given["vocab_axis"]]), log_probs, given["blank"]])
    result.name, result.type, result.shape = name, logits.type, shape
    graph.outputs[0] = result

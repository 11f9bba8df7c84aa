"""Let Reshape infer its free axis instead of computing it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir


class InferReshapeAxes(ir.passes.InPlacePass):
    """`Reshape(x, Concat(batch, frames, 128))` → `Reshape(x, [0, -1, 128])`.

    Safe because a shape says the same with 0 for an axis that keeps its size and -1 for one that takes the
    rest. Fires where the shape is computed and at most one axis is neither constant nor that of `x` at its
    place; declines where shapes are unknown, and where a constant axis is 0, which would hide the rest.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace the computed shapes in place; what computed them is left to dead code elimination."""
        modified = False
        for node in model.graph:
            if node.op_type != "Reshape" or node.inputs[1] is None or node.inputs[1].const_value is not None:
                continue
            axes = _axes(node.inputs[0], node.outputs[0])
            if axes is None:
                continue
            node.replace_input_with(1, _initializer(model.graph, axes))
            node.attributes.pop("allowzero", None)
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _axes(source: ir.Value | None, target: ir.Value) -> tuple[int, ...] | None:
    """Return the shape in Reshape's own terms, None where it cannot be said in them."""
    if source is None or source.shape is None or target.shape is None:
        return None
    axes = []
    for place, size in enumerate(target.shape):
        if isinstance(size, int):
            axes.append(size)
        elif place < len(source.shape) and size.value is not None and source.shape[place] == size:
            axes.append(0)
        else:
            axes.append(-1)
    has_empty = any(size == 0 for size in target.shape if isinstance(size, int))
    return None if has_empty or axes.count(-1) > 1 else tuple(axes)


def _initializer(graph: ir.Graph, axes: tuple[int, ...]) -> ir.Value:
    name = f"axes_{'_'.join(map(str, axes))}"
    if name in graph.initializers:
        return graph.initializers[name]
    tensor = ir.tensor(np.array(axes, dtype=np.int64), name=name)
    value = ir.Value(
        name=name, const_value=tensor, shape=ir.Shape([len(axes)]), type=ir.TensorType(tensor.dtype)
    )
    graph.register_initializer(value)
    return value

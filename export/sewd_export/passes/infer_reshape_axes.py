"""Let Reshape infer its free axis instead of computing it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from sewd_export.constants import initializer


class InferReshapeAxes(ir.passes.InPlacePass):
    """`Reshape(x, Concat(batch, frames, 128))` → `Reshape(x, [0, -1, 128])`.

    Safe because 0 means an axis that keeps its size and -1 one that takes the remaining values. Fires if the
    shape is computed and at most one axis is neither constant nor equal to the same axis of `x`; declines if
    shapes are unknown, and if a constant axis is 0, from which -1 could not be inferred.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Replace the computed shapes in place; their nodes are left to dead code elimination."""
        modified = False
        for node in model.graph:
            if node.op_type != "Reshape" or node.inputs[1] is None or node.inputs[1].const_value is not None:
                continue
            axes = _axes(node.inputs[0], node.outputs[0])
            if axes is None:
                continue
            name = f"axes_{'_'.join(map(str, axes))}"
            node.replace_input_with(1, initializer(model.graph, name, np.array(axes, dtype=np.int64)))
            node.attributes.pop("allowzero", None)
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _axes(source: ir.Value | None, target: ir.Value) -> tuple[int, ...] | None:
    """Return the shape with 0 and -1 as in Reshape, None if that is not possible."""
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

"""Rewrites of a model when OpenVINO reads it, for operators that are fast there.

A rewrite takes an ``openvino.Model``, changes the patterns it recognises, and returns the number of changes.
"""

from collections.abc import Hashable
from typing import Any

import numpy as np

_VALUE_MAPS = ("Convert", "FakeQuantize", "Multiply", "Subtract")
"""Operators between a quantized value and the matmul that reads or makes it."""

GROUP = 64
"""Number of neighbouring values that share a scale. 32 is slower; 128, or a scale per column, no faster."""

_MIN_COLUMNS = 64
"""Smaller matmuls are no faster in int8."""

_LARGEST = 127


def gather_flat(model: Any) -> int:
    """`GatherElements(x, Broadcast(index, shape))` → `Gather(Reshape(x), index + row starts)`.

    Along the last axis of x, `(..., rows, columns)`; index: `(rows, picked)` or what broadcasts to that,
    repeated for the leading axes.
    OpenVINO has a vectorised kernel for `Gather` only, and the repeated index need not be made. A `Transpose`
    of the result's last two axes is applied to the index. Layers with equal indices share one.

    Safe for every index that `GatherElements` takes, negative ones included. Declines another axis, and an
    index that is not a broadcast matrix.
    """
    indices: dict[Hashable, Any] = {}
    changed = 0
    for node in model.get_ordered_ops():
        if _repeats_a_matrix(node):
            _replace_gather(node, indices)
            changed += 1
    if changed:
        model.validate_nodes_and_infer_types()
    return changed


def _repeats_a_matrix(node: Any) -> bool:
    if node.get_type_name() != "GatherElements":
        return False
    rank = node.input(0).get_partial_shape().rank
    repeat = node.input_value(1).get_node()
    if rank.is_dynamic or rank.get_length() < 2 or repeat.get_type_name() != "Broadcast":
        return False
    if node.get_attributes()["axis"] not in (-1, rank.get_length() - 1):
        return False
    matrix = repeat.input(0).get_partial_shape().rank
    numpy_like = repeat.get_attributes()["mode"] in ("numpy", "bidirectional")
    return numpy_like and matrix.is_static and matrix.get_length() == 2


def _replace_gather(node: Any, indices: dict[Hashable, Any]) -> None:
    import openvino.opset8 as ops

    values, repeat = node.input_value(0), node.input_value(1).get_node()
    swap = _swap_of_last_axes(node)
    key = (repeat.input_value(0), repeat.input_value(1), _columns_of(values), swap is not None)
    if key not in indices:
        indices[key] = _flat_index(values, repeat, swapped=swap is not None)
    index = indices[key]
    leading = np.zeros(values.get_partial_shape().rank.get_length() - 2, np.int64)  # a 0 keeps an axis
    flat = ops.reshape(values, np.append(leading, -1), True)
    picked = ops.gather(flat, ops.reshape(index, np.array([-1]), False), np.int64(-1))
    result = ops.reshape(picked, ops.concat([leading, ops.shape_of(index)], 0), True)
    replaced = node if swap is None else swap
    result.set_friendly_name(replaced.get_friendly_name())
    replaced.output(0).replace(result.output(0))


def _swap_of_last_axes(node: Any) -> Any:
    """Return the Transpose of the last two axes that is the node's only reader, or None."""
    readers = node.output(0).get_target_inputs()
    reader = next(iter(readers)).get_node() if len(readers) == 1 else None
    if reader is None or reader.get_type_name() != "Transpose":
        return None
    order = reader.input_value(1).get_node()
    if order.get_type_name() != "Constant":
        return None
    axes = [int(axis) for axis in order.get_data()]
    last = len(axes) - 1
    return reader if axes == [*range(last - 1), last, last - 1] else None


def _flat_index(values: Any, repeat: Any, *, swapped: bool) -> Any:
    """Return each value's position in the flattened matrix: `(rows, picked)` int32, or `(picked, rows)` if
    swapped."""
    import openvino.opset8 as ops

    zero, one = np.int32(0), np.int32(1)
    shape = ops.shape_of(values, "i32")
    rows, columns = (ops.gather(shape, np.int32(axis), zero) for axis in (-2, -1))
    matrix = ops.gather(repeat.input_value(1), np.array([-2, -1]), zero)  # the last two axes of the index
    index = ops.broadcast(ops.convert(repeat.input_value(0), "i32"), matrix, broadcast_spec="BIDIRECTIONAL")
    index = ops.select(ops.less(index, zero), ops.add(index, columns), index)
    starts = ops.multiply(ops.range(zero, rows, one, "i32"), columns)
    index = ops.add(index, ops.unsqueeze(starts, np.array([1])))
    return ops.transpose(index, np.array([1, 0])) if swapped else index


def _columns_of(values: Any) -> Hashable:
    """Return a key for the number of columns: equal for two values only if their numbers are equal.

    The number itself if it is fixed; else the bounds of the sliced table that the last matmul read; else the
    value, which equals no other.
    """
    last = values.get_partial_shape()[-1]
    if last.is_static:
        return int(last.get_length())
    matmul = _before_value_maps(values).get_node()
    if matmul.get_type_name() != "MatMul" or matmul.get_attributes()["transpose_b"]:
        return values  # type: ignore[no-any-return]
    table = _before_value_maps(matmul.input_value(1)).get_node()
    if table.get_type_name() != "Slice" or table.get_input_size() != 5:
        return values  # type: ignore[no-any-return]
    rank, axes = table.input(0).get_partial_shape().rank, _content(table.input_value(4))
    length = table.input(0).get_partial_shape()[-1]
    if rank.get_length() < 2 or axes not in ((-1,), (rank.get_length() - 1,)) or length.is_dynamic:
        return values  # type: ignore[no-any-return]
    return (length.get_length(), *(_content(table.input_value(bound)) for bound in (1, 2, 3)))


def _before_value_maps(value: Any) -> Any:
    """Follow a value back through operators that keep its columns: their parameters have one column."""
    while value.get_node().get_type_name() in _VALUE_MAPS:
        parameters = value.get_node().inputs()[1:]
        shapes = [parameter.get_partial_shape() for parameter in parameters]
        if any(shape.rank.is_dynamic or (len(shape) and shape[-1] != 1) for shape in shapes):
            break
        value = value.get_node().input_value(0)
    return value


def _content(value: Any) -> Hashable:
    """Return a constant's numbers, or the value itself: equal for two values only if they are equal."""
    node = value.get_node()
    if node.get_type_name() != "Constant":
        return value  # type: ignore[no-any-return]
    return tuple(node.get_data().ravel().tolist())


def quantize_weights(model: Any) -> int:
    """`MatMul(x, weight)` → `MatMul(x, Convert(int8 weight) * scale)`, with a scale for each `GROUP`.

    In this form, and with DYNAMIC_QUANTIZATION_GROUP_SIZE, OpenVINO quantizes x at run time, with a scale for
    each `GROUP` of a row, and multiplies integers. Matmuls stay float32 where that is no faster: if the rows
    are not whole groups, or the matmul is small. So do those that no layer norm follows, whose rounding would
    go straight into the output: two of SEW-D's, a fifth of the squared error.
    """
    import openvino.opset8 as ops

    last = _last_matmuls(model)
    changed = 0
    for node in model.get_ordered_ops():
        if node.get_type_name() != "MatMul" or node.get_name() in last:
            continue
        weight = _constant_weight(node)
        if weight is None or weight.shape[0] % GROUP or weight.shape[0] < 2 * GROUP:
            continue
        if weight.shape[1] < _MIN_COLUMNS:
            continue
        groups = weight.T.reshape(weight.shape[1], -1, GROUP)
        scale = np.abs(groups).max(-1, keepdims=True) / np.float32(_LARGEST)
        scale[scale == 0] = 1
        rounded = ops.constant(np.rint(groups / scale).astype(np.int8))
        restored = ops.multiply(ops.convert(rounded, "f32"), ops.constant(scale))
        matmul = ops.matmul(node.input_value(0), ops.reshape(restored, weight.T.shape, False), False, True)
        matmul.set_friendly_name(node.get_friendly_name())
        node.output(0).replace(matmul.output(0))
        changed += 1
    if changed:
        model.validate_nodes_and_infer_types()
    return changed


def _constant_weight(matmul: Any) -> Any:
    """Return a matmul's constant float32 weight `(in, out)`, None if it has none."""
    source = matmul.input_value(1).get_node()
    attributes = matmul.get_attributes()
    if source.get_type_name() != "Constant" or attributes["transpose_a"]:
        return None
    weight = source.get_data()
    if weight.ndim != 2 or weight.dtype != np.float32:
        return None
    return weight.T if attributes["transpose_b"] else weight


def _last_matmuls(model: Any) -> set[str]:
    """Return the names of the matmuls that no layer norm follows on the way to an output."""
    matmuls, seen = set(), set()
    waiting = [result.input_value(0).get_node() for result in model.get_results()]
    while waiting:
        node = waiting.pop()
        if node.get_name() in seen or node.get_type_name() == "MVN":
            continue
        seen.add(node.get_name())
        if node.get_type_name() == "MatMul":
            matmuls.add(node.get_name())
        waiting += [value.get_node() for value in node.input_values()]
    return matmuls

"""Trace a module to a graph."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings

import onnx_ir as ir
import torch
from torch import nn

from sewd_export.errors import TraceError

OPSET = 20  # the first with Gelu
INPUT_NAMES = ("input_values", "input_lengths")
_AXES = {
    "input_values": ("batch", "samples"),
    "input_lengths": ("batch",),
    "logits": ("batch", "frames", None),
    "class_logits": ("batch", None),
    "hidden_states": ("batch", "frames", None),
    "output_lengths": ("batch",),
}


def trace(module: nn.Module, *, receptive_field: int) -> ir.Model:
    """Trace a module of `families` to a graph with free batch and samples axes.

    module: in eval mode, forward(input_values `(batch, samples)` float32, input_lengths `(batch,)` int64),
    with `output_name`.
    receptive_field: in samples; it determines the length of the example input.
    Raises TraceError: torch cannot export the module, or fixed an axis at the example's length.
    """
    if module.training:
        raise TraceError(f"{type(module).__name__} is in training mode; call .eval() first")
    samples = 60 * receptive_field + 1
    values = torch.linspace(-1, 1, 2 * samples).reshape(2, samples)
    lengths = torch.tensor([samples, samples // 2])
    free = torch.export.Dim.DYNAMIC
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                (values, lengths),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: free, 1: free}, {0: free}),
                input_names=list(INPUT_NAMES),
                output_names=[str(module.output_name), "output_lengths"],
                verbose=False,
            )
    except Exception as error:  # torch.onnx and torch.export raise many types
        raise TraceError(
            f"torch {torch.__version__} cannot export {type(module).__name__}: {error}"
        ) from error
    assert program is not None  # dynamo=True returns a program
    model: ir.Model = program.model
    _name_axes(model)
    return model


@contextlib.contextmanager
def _quiet():  # type: ignore[no-untyped-def]
    """Hide torch's progress lines and its deprecation warnings about itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _name_axes(model: ir.Model) -> None:
    """Name the free axes of inputs and outputs; raises TraceError for one that torch fixed."""
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert value.name is not None
        names = _AXES[value.name]
        if value.shape is None or len(value.shape) != len(names):
            raise TraceError(f"{value.name}: the graph has shape {value.shape}, expected {names}")
        for axis, name in enumerate(names):
            if name is not None and isinstance(value.shape[axis], int):
                raise TraceError(f"{value.name}: torch fixed axis {axis} ({name}) at {value.shape[axis]}")
        value.shape = ir.Shape(
            [old if name is None else name for old, name in zip(value.shape, names, strict=True)]
        )
    model.graph.name = "sewd"
    model.producer_name, model.producer_version = "sewd", None

"""Mixed float16, for CUDA and TensorRT.

Matmuls with their biases, activations and moves of their results compute in float16, weights included.
Float32 stay the waveform up to the first activation (statistics, level), layer norms and the sums they read,
reductions, softmax, the matmul that makes the output, and every operator not named here.

A layer norm could read float16 and compute in float32 (`stash_type`), but inference libraries disagree about
it: onnxruntime's CUDA kernel for a sum and its norm added up squares in float16 until 2026 (its pull request
28682), and DirectML ignored `stash_type` (its issue 17692). A Cast on each side leaves no choice.
"""

from __future__ import annotations

import onnx_ir as ir

from sewd_export.precisions.fp16.convert_to_float16 import ConvertToFloat16
from sewd_export.precisions.fp16.scale_scores import ScaleScores


def convert(model: ir.Model) -> ir.Model:
    """Return a mixed float16 copy of an optimised float32 model; inputs and outputs stay float32.

    Raises TraceError for a value without a type.
    """
    converted = model.clone()
    converted.graph.sort()
    for step in (ScaleScores(), ConvertToFloat16()):
        step(converted)
    return converted

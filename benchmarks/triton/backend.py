"""A stand-in for Triton's onnxruntime backend, which is written in C++ and is not in the wheel.

It is a python backend that does what that one does: it joins the inputs of the requests, runs `model.onnx`
once, and splits the outputs. So an exported `config.pbtxt` is served as it is.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    """One instance of a model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model with as many threads as Triton's parameters say."""
        config = json.loads(args["model_config"])
        self._inputs = [value["name"] for value in config["input"]]
        self._outputs = [value["name"] for value in config["output"]]
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        options = onnxruntime.SessionOptions()
        threads = config["parameters"].get("intra_op_thread_count", {"string_value": "0"})
        options.intra_op_num_threads = int(threads["string_value"])
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list[Any]) -> list[Any]:
        """Run the requests as one batch; if it fails, all of them get the error, as in C++."""
        try:
            tensors = [[_tensor(request, name) for name in self._inputs] for request in requests]
            feed = dict(zip(self._inputs, map(np.concatenate, zip(*tensors, strict=True)), strict=True))
            results = self._session.run(self._outputs, feed)
        except Exception as error:  # onnxruntime's errors have no other base
            failed = triton.InferenceResponse(error=triton.TritonError(str(error)))
            return [failed for _ in requests]
        ends = np.cumsum([0, *(len(first) for first, *_ in tensors)])
        return [
            triton.InferenceResponse(
                [
                    triton.Tensor(name, np.ascontiguousarray(result[start:end]))
                    for name, result in zip(self._outputs, results, strict=True)
                ]
            )
            for start, end in pairwise(ends)
        ]


def _tensor(request: Any, name: str) -> Any:
    return triton.get_input_tensor_by_name(request, name).as_numpy()

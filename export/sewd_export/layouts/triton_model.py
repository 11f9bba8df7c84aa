"""Speech to text in Triton's python backend: samples → text, and a transcript with the times of its words.

`sewd-export --triton` copies this file; Triton's Python needs the package sewd. `config.pbtxt` has the
arguments of `sewd_runtime.load` as parameters.
"""

from __future__ import annotations

import json
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as triton

from sewd_runtime import Recognizer, Transcript, as_json

_COUNTS = ("threads", "workers")


class TritonPythonModel:
    """One instance of the model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the bundle beside this file."""
        parameters = json.loads(args["model_config"])["parameters"]
        texts = {name: value["string_value"] for name, value in parameters.items()}
        options: dict[str, Any] = {
            name: int(text) if name in _COUNTS else text for name, text in texts.items()
        }
        self._model = Recognizer.load(Path(__file__).with_name("bundle"), **options)

    def execute(self, requests: list[Any]) -> list[Any]:
        """Transcribe the recordings of all requests together; a request has some of equal length."""
        recordings = [triton.get_input_tensor_by_name(each, "samples").as_numpy() for each in requests]
        results = iter(self._model.transcribe_batch(list(chain(*recordings)), errors="return"))
        return [_response(list(islice(results, len(each)))) for each in recordings]


def _response(results: list[Transcript | Exception]) -> Any:
    columns: dict[str, list[str]] = {"text": [], "transcript": []}
    for result in results:
        if isinstance(result, Exception):
            return triton.InferenceResponse(error=triton.TritonError(str(result)))
        columns["text"].append(result.text)
        columns["transcript"].append(as_json(result).rstrip("\n"))
    tensors = {
        name: np.array([[text.encode()] for text in texts], np.object_) for name, texts in columns.items()
    }
    return triton.InferenceResponse([triton.Tensor(name, array) for name, array in tensors.items()])

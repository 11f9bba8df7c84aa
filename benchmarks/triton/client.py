"""What Triton adds to a request: the same recording over gRPC and in this process, in turns.

Runs in Triton's environment. Arguments: gRPC port, name of the models, bundle, rounds. Prints a JSON object:
clip in seconds → model → the p50 and p99 of the differences of a pair in milliseconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from numpy.typing import NDArray

from sewd_runtime import Recognizer

_CLIPS_S = (1, 4, 10)


def main() -> None:
    """Measure every clip."""
    port, name, bundle, rounds = sys.argv[1:]
    client = grpc.InferenceServerClient(f"127.0.0.1:{port}")
    recognizer = Recognizer.load(bundle)
    rate_hz = recognizer.manifest.sample_rate_hz
    rng = np.random.default_rng(0)
    measured: dict[str, dict[str, dict[str, float]]] = {}
    for clip_s in _CLIPS_S:
        samples = rng.normal(0, 0.05, rate_hz * clip_s).astype(np.float32)
        length = np.array([len(samples)])
        pairs: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
            "graph": (
                lambda x=samples, n=length: _infer(
                    client, f"{name}-fp32", input_values=x[None], input_lengths=n[None]
                ),
                lambda x=samples, n=length: recognizer.network.session.run(x[None], n),
            ),
            "speech": (
                lambda x=samples: _infer(client, name, samples=x[None]),
                lambda x=samples: recognizer.transcribe(x),
            ),
        }
        measured[str(clip_s)] = {key: _compare(*pair, int(rounds)) for key, pair in pairs.items()}
    print(json.dumps(measured))


def _infer(client: Any, model: str, **arrays: NDArray[Any]) -> Any:
    inputs = []
    for name, array in arrays.items():
        data_type = "INT64" if array.dtype == np.int64 else "FP32"
        inputs.append(grpc.InferInput(name, list(array.shape), data_type))
        inputs[-1].set_data_from_numpy(array)
    return client.infer(model, inputs)


def _compare(served: Callable[[], Any], raw: Callable[[], Any], rounds: int) -> dict[str, float]:
    """Run both in turns; return what the first adds to the second, and how long the second takes."""
    times: dict[Callable[[], Any], list[float]] = {served: [], raw: []}
    for number in range(rounds + 3):
        for run in (served, raw) if number % 2 else (raw, served):
            began = time.perf_counter()
            run()
            times[run].append(1e3 * (time.perf_counter() - began))
    one, other = (np.array(each[3:]) for each in times.values())
    added = one - other
    return {
        "raw_ms": round(float(np.median(other)), 2),
        "served_ms": round(float(np.median(one)), 2),
        "added_p50_ms": round(float(np.median(added)), 2),
        "added_p99_ms": round(float(np.quantile(added, 0.99)), 2),
    }


if __name__ == "__main__":
    main()

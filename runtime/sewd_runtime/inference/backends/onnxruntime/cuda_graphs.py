"""CUDA graphs in onnxruntime: for each bucket, buffers on the device and the graph of one run.

onnxruntime's rules (its page on the CUDA execution provider, "Using CUDA Graphs"): a graph has fixed shapes
and fixed addresses, lasts as long as its session, and all runs come from one thread.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.bundle.engines import BatchShape, Profile
from sewd_runtime.inference.backends import Tensor
from sewd_runtime.inference.backends.buckets import Bucket, Feed, run_in_buckets

SETTING = "enable_cuda_graph"
"""The option of onnxruntime's CUDA provider that turns graphs on."""

_GRAPH_ID = "gpu_graph_id"
_NO_GRAPH = "-1"
MAX_GRAPHS = 32  # batches of further shapes run without a graph
_REPLAY_TOLERANCE = 1e-2  # of the largest output: the order of summation may differ


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """A bucket's buffers on the device, which its graph reads and writes."""

    binding: Any
    options: Any
    inputs: Mapping[str, Any]
    outputs: Sequence[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphModel:
    """A session that was opened with ``SETTING``; concurrent runs wait for one another.

    device: onnxruntime's name and number of it. Recordings longer than any profile takes run without a graph.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    profiles: tuple[Profile, ...]
    session: Any
    device: tuple[str, int]
    bound: dict[BatchShape, _Bound] = field(default_factory=dict)
    thread: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "sewd-cuda-graphs"))

    def run(self, names: Sequence[str], feed: Feed) -> Sequence[NDArray[Any]]:
        """Run one batch, in parts if it is larger than the profile takes."""
        return self.thread.submit(self._run, names, feed).result()

    def _run(self, names: Sequence[str], feed: Feed) -> Sequence[NDArray[Any]]:
        if feed["input_values"].shape[1] > max(profile.max.samples for profile in self.profiles):
            return self._run_without_graph(names, feed)
        return run_in_buckets(partial(self._run_bucket, names), feed, self.profiles)

    def _run_without_graph(self, names: Sequence[str], feed: Feed) -> list[NDArray[Any]]:
        outputs: list[NDArray[Any]] = self.session.run(list(names), dict(feed), _run_options(_NO_GRAPH))
        return outputs

    def _run_bucket(self, names: Sequence[str], bucket: Bucket, feed: Feed) -> Sequence[NDArray[Any]]:
        if bucket.shape in self.bound:
            return self._replay(self.bound[bucket.shape], feed)
        expected = self._run_without_graph(names, feed)
        if len(self.bound) < MAX_GRAPHS:
            bound = self._capture(names, bucket.shape, expected)
            _check_replay(bucket.shape, self._replay(bound, feed), expected)
            self.bound[bucket.shape] = bound
        return expected

    def _capture(self, names: Sequence[str], shape: BatchShape, like: Sequence[NDArray[Any]]) -> _Bound:
        """Bind buffers for a bucket, and let onnxruntime capture a run of recordings of one sample.

        A real recording is longer, so a graph that ignores its inputs returns no frames and is detected.
        """
        from onnxruntime import OrtValue

        shortest = {
            "input_values": np.zeros((shape.batch, shape.samples), np.float32),
            "input_lengths": np.ones(shape.batch, np.int64),
        }
        inputs = {name: OrtValue.ortvalue_from_numpy(array, *self.device) for name, array in shortest.items()}
        outputs = [
            OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype, *self.device) for array in like
        ]
        binding = self.session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(names, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        options = _run_options(str(len(self.bound) + 1))
        self.session.run_with_iobinding(binding, options)
        return _Bound(binding=binding, options=options, inputs=inputs, outputs=outputs)

    def _replay(self, bound: _Bound, feed: Feed) -> list[NDArray[Any]]:
        for name, value in bound.inputs.items():
            value.update_inplace(np.ascontiguousarray(feed[name]))
        self.session.run_with_iobinding(bound.binding, bound.options)
        # On the CPU, where this is tested, `numpy()` is a view of the buffer.
        return [np.array(value.numpy()) for value in bound.outputs]


def _run_options(graph_id: str) -> Any:
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry(_GRAPH_ID, graph_id)
    return options


def _check_replay(
    shape: BatchShape, replayed: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]
) -> None:
    """Raise RuntimeError unless a replayed graph gives what the session gives without a graph.

    The graph was captured with other inputs. What ran on the CPU is not part of a graph, so its results would
    be those of the capture.
    """
    (output, frames), (expected_output, expected_frames) = replayed, expected
    limit = _REPLAY_TOLERANCE * float(np.abs(expected_output).max(initial=0))
    is_same = np.array_equal(frames, expected_frames)
    if not is_same or not np.allclose(output, expected_output, rtol=0, atol=limit):
        raise RuntimeError(
            f"the CUDA graph of {shape.batch} recordings of {shape.samples} samples does not give what the "
            f"model gives without it; load it without {SETTING}"
        )

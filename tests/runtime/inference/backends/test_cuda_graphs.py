"""Laws of CUDA graphs in onnxruntime: buffers by bucket, what is bound, what is refused.

The buffers are onnxruntime's own, in host memory, and the CPU runs the model again where a GPU would replay a
graph. CUDA itself is not tested.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from sewd_runtime.bundle.engines import BatchShape, Profile
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.inference.backends import Options
from sewd_runtime.inference.backends.onnxruntime import backend as onnxruntime_backend
from sewd_runtime.inference.backends.onnxruntime import cuda_graphs
from sewd_runtime.inference.backends.onnxruntime.cuda_graphs import GraphModel
from sewd_runtime.inference.session import pad

NAMES = ("logits", "output_lengths")
LONGEST = 16_000
PROFILE = Profile(
    min=BatchShape(batch=1, samples=400),
    opt=BatchShape(batch=1, samples=8_000),
    max=BatchShape(batch=4, samples=LONGEST),
)


class Recorder:
    """A session that notes the graph and the thread of each run.

    is_stale: a graph keeps the lengths that it was captured with, as it would if the CPU reads them.
    """

    def __init__(self, session: Any, *, is_stale: bool = False) -> None:
        self.session, self.is_stale = session, is_stale
        self.graphs: list[str] = []
        self.threads: set[str] = set()
        self.captured: dict[str, Any] = {}

    def run(self, names: list[str], feed: dict[str, Any], options: Any) -> Any:
        self._note(options)
        return self.session.run(names, feed, options)

    def io_binding(self) -> Any:
        binding = self.session.io_binding()
        return binding if not self.is_stale else StaleBinding(binding)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self._note(options)
        if not self.is_stale:
            self.session.run_with_iobinding(binding, options)
            return
        lengths = binding.inputs["input_lengths"]
        fresh = lengths.numpy().copy()
        lengths.update_inplace(self.captured.setdefault(self.graphs[-1], fresh))
        self.session.run_with_iobinding(binding.binding, options)

    def _note(self, options: Any) -> None:
        self.graphs.append(options.get_run_config_entry("gpu_graph_id"))
        self.threads.add(threading.current_thread().name)


class StaleBinding:
    def __init__(self, binding: Any) -> None:
        self.binding, self.inputs = binding, {}

    def bind_ortvalue_input(self, name: str, value: Any) -> None:
        self.inputs[name] = value
        self.binding.bind_ortvalue_input(name, value)

    def bind_ortvalue_output(self, name: str, value: Any) -> None:
        self.binding.bind_ortvalue_output(name, value)


@pytest.fixture(scope="module")
def plain(tiny_bundle: Path) -> Any:
    path = open_bundle(tiny_bundle).path_of("model.fp32.onnx")
    return onnxruntime_backend.open_model(path, Options(device="CPUExecutionProvider", threads=1))


def graphs_of(plain: Any, session: Recorder) -> GraphModel:
    return GraphModel(
        inputs=plain.inputs, outputs=plain.outputs, profiles=(PROFILE,), session=session, device=("cpu", 0)
    )


def feed_of(*lengths: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng((seed, *lengths))
    values, counts = pad([rng.normal(0, 0.1, length).astype(np.float32) for length in lengths])
    return {"input_values": values, "input_lengths": counts}


BATCHES = ((400,), (5_001, 4_800), (900,) * 9, (399, 80), (5_000, 4_999), (LONGEST,), (LONGEST + 1, 700))


def test_a_graph_gives_what_its_session_gives(plain: Any) -> None:
    """The second run uses the buffers of the first, with other samples and lengths."""
    session = Recorder(plain.session)
    model = graphs_of(plain, session)
    for seed in (1, 2):
        for lengths in BATCHES:
            feed = feed_of(*(length - seed for length in lengths), seed=seed)
            wanted, frames = plain.run(NAMES, feed)
            found, found_frames = model.run(NAMES, feed)
            np.testing.assert_array_equal(found_frames, frames)
            for item, other, count in zip(found, wanted, frames, strict=True):
                np.testing.assert_allclose(item[:count], other[:count], atol=1e-4)


def test_a_bucket_has_one_graph_and_all_runs_one_thread(plain: Any) -> None:
    session = Recorder(plain.session)
    model = graphs_of(plain, session)
    for seed in range(3):
        model.run(NAMES, feed_of(5_000, 4_800, seed=seed))
    assert session.graphs == ["-1", "1", "1", "1", "1"]  # without; captured, compared; twice replayed
    model.run(NAMES, feed_of(9_000))
    assert session.graphs[5:] == ["-1", "2", "2"]
    assert len(session.threads) == 1
    assert threading.current_thread().name not in session.threads


def test_longer_recordings_run_without_a_graph(plain: Any) -> None:
    session = Recorder(plain.session)
    graphs_of(plain, session).run(NAMES, feed_of(LONGEST + 4_000))
    assert session.graphs == ["-1"]


def test_graphs_do_not_grow_without_end(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 2)
    session = Recorder(plain.session)
    model = graphs_of(plain, session)
    for length in range(1_000, 9_000, 1_000):
        feed = feed_of(length)
        np.testing.assert_allclose(model.run(NAMES, feed)[0], plain.run(NAMES, feed)[0], atol=1e-4)
    assert len(model.bound) == 2
    assert set(session.graphs) == {"-1", "1", "2"}


@pytest.mark.parametrize(
    "lengths", [(5_000, 3_000), (LONGEST,), (LONGEST - 1,), (LONGEST, LONGEST), (5_000,), (400,)]
)
def test_a_graph_that_does_not_follow_its_inputs_is_refused(plain: Any, lengths: tuple[int, ...]) -> None:
    """Also if the first batch fills its bucket, or all but one sample of it, as later ones will not."""
    model = graphs_of(plain, Recorder(plain.session, is_stale=True))
    with pytest.raises(RuntimeError, match="enable_cuda_graph"):
        model.run(NAMES, feed_of(*lengths))


def test_results_are_held_by_nothing_else(plain: Any) -> None:
    model = graphs_of(plain, Recorder(plain.session))
    model.run(NAMES, feed_of(5_000))
    first, _ = model.run(NAMES, feed_of(5_000, seed=1))
    kept = first.copy()
    model.run(NAMES, feed_of(5_000, seed=2))
    np.testing.assert_array_equal(first, kept)


def test_runs_from_several_threads_wait_for_one_another(plain: Any) -> None:
    model = graphs_of(plain, Recorder(plain.session))
    feeds = [feed_of(3_000 + 17 * place, seed=place) for place in range(8)]
    found: dict[int, Any] = {}

    def work(place: int) -> None:
        found[place] = model.run(NAMES, feeds[place])[0]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(feeds))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for place, feed in enumerate(feeds):
        np.testing.assert_allclose(found[place], plain.run(NAMES, feed)[0], atol=1e-4)


@pytest.mark.parametrize("setting", ["0", "1"])
def test_the_setting_opens_a_model_in_graphs(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """Open a session as for CUDA, but on the CPU."""
    path = open_bundle(tiny_bundle).path_of("model.fp32.onnx")
    made = onnxruntime.InferenceSession

    def on_the_cpu(*args: Any, providers: Any, **more: Any) -> Any:
        assert providers == [("CUDAExecutionProvider", {"enable_cuda_graph": setting, "device_id": "3"})]
        return made(*args, providers=["CPUExecutionProvider"], **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", on_the_cpu)
    monkeypatch.setattr(onnxruntime_backend, "check_device", lambda *_: None)
    monkeypatch.setattr(onnxruntime_backend, "check_placement", lambda *_: None)
    settings = {"enable_cuda_graph": setting, "device_id": "3"}
    options = Options(device="CUDAExecutionProvider", settings=settings, profiles=(PROFILE,))
    model = onnxruntime_backend.open_model(path, options)
    assert isinstance(model, GraphModel) is (setting == "1")
    if isinstance(model, GraphModel):
        assert (model.device, model.profiles) == (("cuda", 3), (PROFILE,))

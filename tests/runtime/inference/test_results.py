"""Law: a result that does not fit the manifest, or is not finite, is an InferenceError."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sewd_runtime.errors import InferenceError
from sewd_runtime.inference.backends import Tensor
from sewd_runtime.inference.forks import ForkableModel
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.session import Session

Networks = Callable[[str], Network]
Change = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

RECORDINGS = [np.ones(4_000, np.float32), np.ones(3_900, np.float32)]


def changing(network: Network, change: Change) -> Network:
    """The network, with a change of what its session returns."""

    class Changed:
        def run(self, values: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return change(*network.session.run(values, lengths))

    return dataclasses.replace(network, session=Changed())


def with_value(value: float, frame: int) -> Change:
    def change(output: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        output[(-1, frame, 3)[: output.ndim - 1]] = value
        return output, lengths

    return change


@pytest.mark.parametrize("task", ["ctc", "classification", "encoding"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(numpy_network: Networks, task: str, value: float) -> None:
    network = numpy_network(task)
    assert list(network.run_batches(RECORDINGS))
    with pytest.raises(InferenceError, match="not finite"):
        list(changing(network, with_value(value, 5)).run_batches(RECORDINGS))


def test_values_beyond_an_items_frames_may_be_anything(numpy_network: Networks) -> None:
    network = numpy_network("ctc")
    [(_, _, lengths)] = network.run_batches(RECORDINGS)
    assert lengths[1] < lengths[0]
    assert list(changing(network, with_value(np.nan, -1)).run_batches(RECORDINGS))


@pytest.mark.parametrize(
    "change",
    [
        lambda output, lengths: (output, lengths - 1),
        lambda output, lengths: (output, lengths[::-1]),
        lambda output, lengths: (output[..., :-1], lengths),
    ],
    ids=["a frame less", "lengths in another order", "an output less"],
)
def test_the_manifest_says_what_is_returned(numpy_network: Networks, change: Change) -> None:
    with pytest.raises(InferenceError, match="the manifest says"):
        list(changing(numpy_network("ctc"), change).run_batches(RECORDINGS))


class Returns:
    """A model that returns these arrays, whatever it is given."""

    inputs = ()

    def __init__(self, *arrays: np.ndarray) -> None:
        self.arrays = arrays
        self.outputs = (Tensor(name="logits", dtype="float32", shape=(None, None, 32)),)

    def run(self, names: Sequence[str], feed: Any) -> Sequence[np.ndarray]:
        return self.arrays


@pytest.mark.parametrize(
    ("shape", "lengths"),
    [
        ((1, 9, 32), [9, 9]),
        ((2, 9, 32), [9]),
        ((2, 9, 32), [[9, 9]]),
        ((2, 9), [9, 9]),
        ((0, 9, 32), []),
        ((2, 9, 32), [9, 10]),
        ((2, 9, 32), [-1, 9]),
    ],
)
def test_a_session_returns_the_batch_it_was_given(shape: tuple[int, ...], lengths: Any) -> None:
    returns = Returns(np.zeros(shape, np.float32), np.array(lengths, np.int64))
    model = ForkableModel(Path(__file__), lambda: returns, reopens=False)
    session = Session(
        provider="cpu", library="numpy", output_names=("logits", "output_lengths"), _model=model
    )
    with pytest.raises(InferenceError, match="for a batch of 2"):
        session.run(np.zeros((2, 800), np.float32), np.array([800, 800]))

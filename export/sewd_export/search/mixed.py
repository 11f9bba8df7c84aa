"""Automatic mixed precision: the most sensitive matmuls stay in float32 until a bound on errors holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.errors import BoundError
from sewd_export.precisions import PRECISIONS, REFERENCE
from sewd_export.precisions.attempts import Attempts
from sewd_export.progress import Progress
from sewd_export.search.evaluation import Evaluation, Logits
from sewd_runtime.bundle.manifest import model_file
from sewd_runtime.bundle.sensitivity import MEASURES, Group, Sensitivity, Trial
from sewd_runtime.decode import log_softmax
from sewd_runtime.inference.session import pad

Convert = Callable[..., ir.Model]
PROGRESS_EVERY = 10  # groups


def keep_sensitive(
    folder: Path,
    converters: Mapping[str, Convert],
    evaluation: Evaluation,
    *,
    attempts: Attempts,
    progress: Progress,
) -> dict[str, Sensitivity]:
    """Rewrite each model that exceeds the bound, keeping as few matmuls in float32 as make it hold.

    folder: has a model file of each of the precisions and of float32.
    converters: precision → its conversion, for those that can keep matmuls in float32.
    attempts: where a precision that cannot meet the bound fails, by BoundError.
    Returns precision → the result of its search.
    """
    progress(f"run {REFERENCE} on {len(evaluation.recordings)} recordings")
    expected = evaluation.run(folder / model_file(REFERENCE))
    found = {}
    for name, convert in converters.items():
        with attempts.of(name):
            found[name] = _Search(name, convert, folder, evaluation, expected, progress).run()
    return found


class _Search:
    """The search for one precision: its float32 model, its groups of matmuls, and the trials so far."""

    def __init__(
        self,
        name: str,
        convert: Convert,
        folder: Path,
        evaluation: Evaluation,
        expected: Logits,
        progress: Progress,
    ) -> None:
        self._name, self._convert, self._path = name, convert, folder / model_file(name)
        self._evaluation, self._expected, self._progress = evaluation, expected, progress
        self._measure = MEASURES[evaluation.measure]
        self._model = ir.load(folder / model_file(REFERENCE))
        matmuls = PRECISIONS[name].matmuls
        assert matmuls is not None
        self._groups = group_matmuls(matmuls(self._model))
        self._ranked: list[Group] = []
        self._trials: list[Trial] = []

    def run(self) -> Sensitivity:
        """Find the fewest groups to keep, and leave the model file that keeps them."""
        if not self._holds(0):
            self._ranked = self._rank()
            kept = self._fewest()
            if self._trials[-1].kept != kept:
                self._write([name for group in self._ranked[:kept] for name in group.products])
            self._ranked[:kept] = [replace(group, kept=True) for group in self._ranked[:kept]]
        return self._result()

    def _result(self) -> Sensitivity:
        evaluation, kept = self._evaluation, sum(group.kept for group in self._ranked)
        [increase] = [trial.increase for trial in self._trials if trial.kept == kept]
        return Sensitivity(
            measure=evaluation.measure,
            max_increase=evaluation.max_increase,
            increase=increase,
            recordings=len(evaluation.recordings),
            words=evaluation.words,
            trials=tuple(self._trials),
            groups=tuple(self._ranked),
        )

    def _fewest(self) -> int:
        """Return the fewest of the ranked groups that make the bound hold, at most all but one.

        The number doubles until the bound holds, then a binary search lowers it. The order does not depend on
        the bound, so a larger bound never keeps more.
        """
        most = len(self._groups) - 1  # if all were kept, nothing would be left of the precision
        fails, holds = 0, min(1, most)
        while not (holds > fails and self._holds(holds)):
            if holds >= most:
                raise BoundError(self._failure(holds))
            fails, holds = holds, min(2 * holds, most)
        while holds - fails > 1:
            middle = (fails + holds) // 2
            fails, holds = (fails, middle) if self._holds(middle) else (middle, holds)
        return holds

    def _failure(self, kept: int) -> str:
        lowest = min(trial.increase for trial in self._trials)
        return (
            f"{self._name}: {self._measure} {lowest:+.2f} percentage points at best, with "
            f"up to {max(kept, 0)} of {len(self._groups)} groups of matmuls in float32, "
            f"{self._evaluation.max_increase:g} allowed: raise --max-wer-increase or leave out --{self._name}"
        )

    def _holds(self, kept: int) -> bool:
        """Try the model that keeps this many of the ranked groups; return whether the bound holds."""
        if kept:  # the model that keeps none is already written
            self._write([name for group in self._ranked[:kept] for name in group.products])
        increase = self._evaluation.increase(self._evaluation.run(self._path), self._expected)
        self._trials.append(Trial(kept=kept, increase=increase))
        self._progress(
            f"{self._name}: {self._measure} {increase:+.2f} percentage points with {kept} "
            f"of {len(self._groups)} groups of matmuls in float32"
        )
        return increase <= self._evaluation.max_increase

    def _write(self, keep: Sequence[str]) -> None:
        ir.save(self._convert(self._model, keep=keep), self._path)

    def _rank(self) -> list[Group]:
        """Return the groups, sorted by the probability they move, squared, per multiplication they save.

        Probability rather than logits: an error in a late layer moves logits just as far, but hardly ever a
        label. Squared, because the errors of different groups are independent.
        """
        all_names = [name for group in self._groups for name in group]
        indices = self._evaluation.ranking()
        recordings = [self._evaluation.recordings[index] for index in indices]
        expected = np.concatenate([_probabilities(self._expected[index]) for index in indices])
        longest = max((signal.samples for signal in recordings), key=len)
        counts = count_multiplications(self._model, all_names, longest)
        total = sum(counts.values()) or 1
        groups = []
        for number, group in enumerate(self._groups):
            if number % PROGRESS_EVERY == 0:
                self._progress(f"{self._name}: convert each group alone, {number} of {len(self._groups)}")
            self._write([name for name in all_names if name not in group])
            logits = self._evaluation.run(self._path, recordings)
            moved = np.abs(np.concatenate([*map(_probabilities, logits)]) - expected).sum(-1) / 2
            groups.append(
                Group(
                    products=tuple(group),
                    moved=float(moved.mean()),
                    multiplications=sum(counts[name] for name in group) / total,
                    kept=False,
                )
            )
        return sorted(groups, key=_sensitivity, reverse=True)


def _sensitivity(group: Group) -> float:
    return group.moved**2 / group.multiplications if group.multiplications else 0.0


def _probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    probabilities: NDArray[np.float64] = np.exp(log_softmax(logits[None])[0].astype(np.float64))
    return probabilities


def group_matmuls(matmuls: Sequence[ir.Node]) -> list[list[str]]:
    """Group the names of matmuls by their input: they share its quantized rows."""
    groups: dict[ir.Value | None, list[str]] = {}
    for node in matmuls:
        groups.setdefault(node.inputs[0], []).append(str(node.name))
    return list(groups.values())


def count_multiplications(
    model: ir.Model, names: Sequence[str], samples: NDArray[np.float32]
) -> dict[str, int]:
    """Return how many multiplications each of the named matmuls takes for a recording `(samples,)`."""
    import onnxruntime  # not Session: the probe's outputs are not those of a bundle

    probe = model.clone()
    probe.graph.outputs.clear()
    nodes = [node for node in probe.graph if node.name in set(names)]
    for node in nodes:
        for value, of in ((node.inputs[1], "weight"), (node.outputs[0], "result")):
            shape = ir.node("Shape", [value], name=f"{node.name}/shape_of_{of}")
            shape.outputs[0].name, shape.outputs[0].type = shape.name, ir.TensorType(ir.DataType.INT64)
            probe.graph.append(shape)
            probe.graph.outputs.append(shape.outputs[0])
    session = onnxruntime.InferenceSession(
        ir.to_proto(probe).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    values, lengths = pad([samples])
    shapes = session.run(None, {"input_values": values, "input_lengths": lengths})
    return {
        str(node.name): int(np.prod(result))
        * int(np.prod(weight[1:]) if node.op_type == "Conv" else weight[-2])
        for node, weight, result in zip(nodes, shapes[::2], shapes[1::2], strict=True)
    }

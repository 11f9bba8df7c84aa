"""Automatic mixed precision: the most sensitive products stay in float32 until a bound on errors holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sewd_export.errors import BoundError
from sewd_export.precisions import PRECISIONS, REFERENCE
from sewd_export.search.evaluation import Evaluation, Logits
from sewd_runtime.bundle.sensitivity import MEASURES, Group, Sensitivity, Trial
from sewd_runtime.decode import log_softmax
from sewd_runtime.inference.session import pad

Progress = Callable[[str], None]
Convert = Callable[..., ir.Model]
_TOLD = 10  # groups between two lines of progress


def keep_sensitive(
    folder: Path, converters: Mapping[str, Convert], evaluation: Evaluation, *, progress: Progress
) -> dict[str, Sensitivity]:
    """Write those models again that exceed the bound, with as few products kept in float32 as makes it hold.

    folder: holds a model of each of the precisions, and float32's. converters: precision → its conversion,
    for those that have products to keep. Returns what was found for each. Raises BoundError.
    """
    progress(f"run {REFERENCE} on {len(evaluation.recordings)} recordings")
    expected = evaluation.run(_path(folder, REFERENCE))
    return {
        name: _Search(name, convert, folder, evaluation, expected, progress).run()
        for name, convert in converters.items()
    }


def _path(folder: Path, precision: str) -> Path:
    return folder / f"model.{precision}.onnx"


class _Search:
    """One precision: the float32 model that it is made of, its groups of products, and what was tried."""

    def __init__(
        self,
        name: str,
        convert: Convert,
        folder: Path,
        evaluation: Evaluation,
        expected: Logits,
        progress: Progress,
    ) -> None:
        self._name, self._convert, self._path = name, convert, _path(folder, name)
        self._evaluation, self._expected, self._progress = evaluation, expected, progress
        self._measure = MEASURES[evaluation.measure]
        self._model = ir.load(_path(folder, REFERENCE))
        products = PRECISIONS[name].products
        assert products is not None
        self._groups = group_products(products(self._model))
        self._ranked: list[Group] = []
        self._trials: list[Trial] = []

    def run(self) -> Sensitivity:
        """Find the fewest groups to keep; the model file is then the one that keeps them."""
        if not self._holds(0):
            self._ranked = self._rank()
            kept = self._fewest()
            if self._trials[-1].kept != kept:
                self._write([name for group in self._ranked[:kept] for name in group.products])
            self._ranked[:kept] = [replace(group, kept=True) for group in self._ranked[:kept]]
        return self._found()

    def _found(self) -> Sensitivity:
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
        """Return the fewest of the ranked groups that make the bound hold, all but one of them at most.

        Doubled until it holds, then halved: a larger bound stops no later, so it never keeps more.
        """
        most = len(self._groups) - 1  # with all of them kept there would be nothing of the precision
        fails, holds = 0, min(1, most)
        while not (holds > fails and self._holds(holds)):
            if holds >= most:
                raise BoundError(self._complaint(holds))
            fails, holds = holds, min(2 * holds, most)
        while holds - fails > 1:
            middle = (fails + holds) // 2
            fails, holds = (fails, middle) if self._holds(middle) else (middle, holds)
        return holds

    def _complaint(self, kept: int) -> str:
        lowest = min(trial.increase for trial in self._trials)
        return (
            f"{self._name}: {self._measure} {lowest:+.2f} percentage points at best, with "
            f"up to {max(kept, 0)} of {len(self._groups)} groups of products in float32, "
            f"{self._evaluation.max_increase:g} allowed: raise --max-wer-increase or leave out --{self._name}"
        )

    def _holds(self, kept: int) -> bool:
        """Try a model that keeps so many of the ranked groups; tell whether the bound holds."""
        if kept:  # the model that keeps none is there
            self._write([name for group in self._ranked[:kept] for name in group.products])
        increase = self._evaluation.increase(self._evaluation.run(self._path), self._expected)
        self._trials.append(Trial(kept=kept, increase=increase))
        self._progress(
            f"{self._name}: {self._measure} {increase:+.2f} percentage points with {kept} "
            f"of {len(self._groups)} groups of products in float32"
        )
        return increase <= self._evaluation.max_increase

    def _write(self, keep: Sequence[str]) -> None:
        ir.save(self._convert(self._model, keep=keep), self._path)

    def _rank(self) -> list[Group]:
        """Return the groups, those first that move most probability for the multiplications they save.

        Probability, not logits: an error in a late layer moves them as far, and hardly ever a label. Squared,
        for the errors of different groups are independent.
        """
        everything = [name for group in self._groups for name in group]
        places = self._evaluation.ranking()
        recordings = [self._evaluation.recordings[place] for place in places]
        expected = np.concatenate([_probabilities(self._expected[place]) for place in places])
        longest = max((signal.samples for signal in recordings), key=len)
        counts = count_multiplications(self._model, everything, longest)
        total = sum(counts.values()) or 1
        found = []
        for number, group in enumerate(self._groups):
            if number % _TOLD == 0:
                self._progress(f"{self._name}: convert each group alone, {number} of {len(self._groups)}")
            self._write([name for name in everything if name not in group])
            logits = self._evaluation.run(self._path, recordings)
            moved = np.abs(np.concatenate([*map(_probabilities, logits)]) - expected).sum(-1) / 2
            found.append(
                Group(
                    products=tuple(group),
                    moved=float(moved.mean()),
                    multiplications=sum(counts[name] for name in group) / total,
                    kept=False,
                )
            )
        return sorted(found, key=_urgency, reverse=True)


def _urgency(group: Group) -> float:
    return group.moved**2 / group.multiplications if group.multiplications else 0.0


def _probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.exp(log_softmax(logits[None])[0].astype(np.float64))
    return found


def group_products(products: Sequence[ir.Node]) -> list[list[str]]:
    """Return the names of products, those together that read one input: they share its quantized rows."""
    groups: dict[ir.Value | None, list[str]] = {}
    for node in products:
        groups.setdefault(node.inputs[0], []).append(str(node.name))
    return list(groups.values())


def count_multiplications(
    model: ir.Model, names: Sequence[str], samples: NDArray[np.float32]
) -> dict[str, int]:
    """Return how many multiplications each of the named products takes for one recording, `(samples,)`."""
    import onnxruntime  # itself: the graph has no outputs of a bundle's

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

"""Law: Optimum's ORTModelForCTC opens a layout and gives the bundle's logits, its processor our text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from sewd_export.layouts.writing import write_layout
from sewd_runtime import load

TRANSCRIBE = """
import json, sys
import numpy
from optimum.onnxruntime import ORTModelForCTC
from transformers import AutoProcessor
folder, samples_of, kept = sys.argv[1:]
processor, samples = AutoProcessor.from_pretrained(folder), numpy.load(samples_of)
texts, logits = {}, {}
for precision, file_name in {"fp32": "model.onnx", "int8": "model.int8.onnx"}.items():
    model, texts[precision] = ORTModelForCTC.from_pretrained(folder, file_name=file_name), []
    for name in samples:
        found = model(**processor(samples[name], sampling_rate=16_000, return_tensors="pt")).logits
        logits[f"{precision} {name}"] = found[0].numpy()
        texts[precision] += processor.batch_decode(found.argmax(-1))
numpy.savez(kept, **logits)
print(json.dumps(texts))
"""


def test_it_gives_the_same(
    ask: Callable[..., Any],
    bundle: Path,
    recordings: Sequence[Path],
    transcripts: dict[str, list[str]],
    tmp_path: Path,
) -> None:
    folder, kept = write_layout(bundle, "optimum"), tmp_path / "logits.npz"
    samples = {path.stem: soundfile.read(path, dtype="float32")[0] for path in recordings}
    np.savez(tmp_path / "samples.npz", **samples)
    assert ask("OPTIMUM", TRANSCRIBE, folder, tmp_path / "samples.npz", kept) == transcripts
    with np.load(kept) as logits:
        for precision in transcripts:
            model = load(bundle, precision=precision, threads=1)
            for name, expected in zip(samples, model.logits(list(samples.values())), strict=True):
                found = logits[f"{precision} {name}"]
                if precision == "fp32":  # 8 bits make of a difference in the last bit one of a step
                    np.testing.assert_allclose(found, expected, atol=1e-4)
                assert (found.argmax(-1) == expected.argmax(-1)).mean() > 0.98

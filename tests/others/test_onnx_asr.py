"""Law: onnx-asr reads in a layout what our runtime reads in the bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from sewd_export.layouts.writing import write_layout

RECOGNIZE = """
import json, sys
from importlib.metadata import version
import onnx_asr, onnx_asr.loader, onnxruntime
folder, quantization, *recordings = sys.argv[1:]
if "wav2vec2-ctc" not in str(onnx_asr.loader.AsrTypeNames):
    print(json.dumps({"skip": f"onnx-asr {version('onnx-asr')} has no wav2vec2-ctc yet; its repository has"}))
    sys.exit()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
model = onnx_asr.load_model("wav2vec2-ctc", folder, quantization=quantization or None, sess_options=options)
batch = model.recognize(recordings[:2])
print(json.dumps([[model.recognize(one) for one in recordings], batch]))
"""

DECODE = """
import json, sys
from pathlib import Path
import numpy, onnxruntime, soundfile
from onnx_asr.asr import _AsrWithCtcDecoding

class Raw(_AsrWithCtcDecoding):  # what a family of raw samples adds to the release
    _preprocessor_name = "identity"
    _subsampling_factor = property(lambda self: self.config["subsampling_factor"])
    _get_model_files = staticmethod(lambda quantization=None: {})
    def _encode(self, samples, counts):
        session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        [found] = session.run(["logprobs"], {"input_values": samples, "input_lengths": counts})
        return found, numpy.minimum(counts // self._subsampling_factor + 1, found.shape[1])

folder, quantization, *recordings = sys.argv[1:]
graph = Path(folder, f"model.{quantization}.onnx" if quantization else "model.onnx")
files = {"vocab": Path(folder, "vocab.txt"), "config": Path(folder, "config.json")}
model = Raw(files, lambda name: lambda samples, counts: (samples, counts), {})
clips = [soundfile.read(path, dtype="float32")[0] for path in recordings]
pad = lambda clips: (numpy.stack([numpy.pad(c, (0, max(map(len, clips)) - len(c))) for c in clips]),
                     numpy.array([len(c) for c in clips]))
read = lambda clips: [result.text for result in model.recognize_batch(*pad(clips))]
print(json.dumps([[read([clip])[0] for clip in clips], read(clips[:2])]))
"""


@pytest.mark.parametrize("program", [RECOGNIZE, DECODE], ids=["family", "decoder"])
@pytest.mark.parametrize(("precision", "quantization"), [("fp32", ""), ("int8", "int8")])
def test_it_reads_the_same(
    ask: Callable[..., Any],
    bundle: Path,
    recordings: Sequence[Path],
    transcripts: dict[str, list[str]],
    program: str,
    precision: str,
    quantization: str,
) -> None:
    folder = write_layout(bundle, "onnx-asr")
    alone, batch = ask("ONNX_ASR", program, folder, quantization, *recordings)
    assert alone == transcripts[precision]
    assert batch == alone[:2]

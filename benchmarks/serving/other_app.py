"""The same interface around another library: `python other_app.py torch CHECKPOINT` or `whisper FOLDER`.

One recording runs at a time on all cores, which is what these libraries are made for. It imports nothing of
sewd, so that it runs in an environment of its own.
"""

from __future__ import annotations

import argparse
import io
import logging
from collections.abc import Callable

import numpy as np
import soundfile
import uvicorn
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

Transcribe = Callable[[np.ndarray], str]


def torch_model(checkpoint: str, threads: int) -> Transcribe:
    """Return the original model in PyTorch, with greedy decoding."""
    import torch
    from transformers import AutoFeatureExtractor, AutoTokenizer, SEWDForCTC

    torch.set_num_threads(threads)
    model = SEWDForCTC.from_pretrained(checkpoint, dtype=torch.float32).eval()
    extractor, tokenizer = (
        AutoFeatureExtractor.from_pretrained(checkpoint),
        AutoTokenizer.from_pretrained(checkpoint),
    )

    def transcribe(samples: np.ndarray) -> str:
        values = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_values
        with torch.inference_mode():
            return str(tokenizer.decode(model(values).logits[0].argmax(-1)))

    return transcribe


def whisper_model(folder: str, threads: int) -> Transcribe:
    """Return faster-whisper in int8, greedy, without its filter of silence."""
    from faster_whisper import WhisperModel

    model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads)

    def transcribe(samples: np.ndarray) -> str:
        segments, _ = model.transcribe(samples, language="en", beam_size=1, without_timestamps=True)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=("torch", "whisper"))
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    make = torch_model if arguments.library == "torch" else whisper_model
    transcribe, one = make(arguments.model, arguments.threads), CapacityLimiter(1)

    async def answer(request: Request) -> JSONResponse:
        form = await request.form()
        content = await form["file"].read()  # type: ignore[union-attr]
        samples, _ = soundfile.read(io.BytesIO(content), dtype="float32")
        return JSONResponse({"text": await to_thread.run_sync(transcribe, samples, limiter=one)})

    logging.basicConfig(level=logging.INFO)
    app = Starlette(routes=[Route("/v1/audio/transcriptions", answer, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=0, access_log=False, log_config=None)


if __name__ == "__main__":
    main()

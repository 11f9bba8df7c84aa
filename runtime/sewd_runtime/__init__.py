"""Run exported SEW-D speech models with numpy and onnxruntime.

Names are loaded when first used: importing the package imports nothing else, not even numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sewd_runtime.errors import SewdError

if TYPE_CHECKING:
    from sewd_runtime.audio.reading import read_audio
    from sewd_runtime.bundle.manifest import Manifest
    from sewd_runtime.classifier import Classifier
    from sewd_runtime.decode import BeamSearch, Greedy
    from sewd_runtime.decode.lm.model import KenlmModel
    from sewd_runtime.encoder import Encoder
    from sewd_runtime.loading import load
    from sewd_runtime.recognizer import Recognizer
    from sewd_runtime.streaming.stream import Partial, Stream, Streaming, feed_streams, finish_streams
    from sewd_runtime.text.transcript import Classification, Segment, Transcript, Word

__version__ = "0.1.0"

__all__ = [
    "BeamSearch",
    "Classification",
    "Classifier",
    "Encoder",
    "Greedy",
    "KenlmModel",
    "Manifest",
    "Partial",
    "Recognizer",
    "Segment",
    "SewdError",
    "Stream",
    "Streaming",
    "Transcript",
    "Word",
    "__version__",
    "feed_streams",
    "finish_streams",
    "load",
    "read_audio",
]

_HOMES = {
    "BeamSearch": "decode",
    "Classification": "text.transcript",
    "Classifier": "classifier",
    "Encoder": "encoder",
    "Greedy": "decode",
    "KenlmModel": "decode.lm.model",
    "Manifest": "bundle.manifest",
    "Partial": "streaming.stream",
    "Recognizer": "recognizer",
    "Segment": "text.transcript",
    "Stream": "streaming.stream",
    "Streaming": "streaming.stream",
    "Transcript": "text.transcript",
    "Word": "text.transcript",
    "feed_streams": "streaming.stream",
    "finish_streams": "streaming.stream",
    "load": "loading",
    "read_audio": "audio.reading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'sewd_runtime' has no attribute {name!r}")
    value = getattr(import_module(f"sewd_runtime.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

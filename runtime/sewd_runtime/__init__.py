"""Run exported SEW-D speech models with numpy and an inference library, without torch.

Importing the package imports nothing else, not even numpy: each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what type checkers and editors read in place of _PUBLIC
    from sewd_runtime._types import AudioSource as AudioSource
    from sewd_runtime.audio.reading import read_audio as read_audio
    from sewd_runtime.bundle.manifest import Manifest as Manifest
    from sewd_runtime.classifier import Classifier as Classifier
    from sewd_runtime.decode import Alternative as Alternative
    from sewd_runtime.decode import BeamSearch as BeamSearch
    from sewd_runtime.decode import Decoder as Decoder
    from sewd_runtime.decode import DecoderState as DecoderState
    from sewd_runtime.decode import Greedy as Greedy
    from sewd_runtime.decode import Hypothesis as Hypothesis
    from sewd_runtime.decode.lm.model import KenlmModel as KenlmModel
    from sewd_runtime.decode.lm.model import LanguageModel as LanguageModel
    from sewd_runtime.encoder import Encoder as Encoder
    from sewd_runtime.errors import AlignmentError as AlignmentError
    from sewd_runtime.errors import AudioDecodeError as AudioDecodeError
    from sewd_runtime.errors import AudioError as AudioError
    from sewd_runtime.errors import AudioTooShortError as AudioTooShortError
    from sewd_runtime.errors import AudioValueError as AudioValueError
    from sewd_runtime.errors import BundleError as BundleError
    from sewd_runtime.errors import BundleNotFoundError as BundleNotFoundError
    from sewd_runtime.errors import CueLimitsError as CueLimitsError
    from sewd_runtime.errors import DecodingError as DecodingError
    from sewd_runtime.errors import FallbackWarning as FallbackWarning
    from sewd_runtime.errors import InferenceError as InferenceError
    from sewd_runtime.errors import LanguageModelError as LanguageModelError
    from sewd_runtime.errors import MissingPackageError as MissingPackageError
    from sewd_runtime.errors import PrecisionError as PrecisionError
    from sewd_runtime.errors import PrecisionWarning as PrecisionWarning
    from sewd_runtime.errors import ProviderError as ProviderError
    from sewd_runtime.errors import SewdError as SewdError
    from sewd_runtime.errors import StreamFinishedError as StreamFinishedError
    from sewd_runtime.errors import TaskError as TaskError
    from sewd_runtime.errors import TextError as TextError
    from sewd_runtime.errors import VocabularyError as VocabularyError
    from sewd_runtime.loading import load as load
    from sewd_runtime.long.segmentation import Segmentation as Segmentation
    from sewd_runtime.long.steps import Step as Step
    from sewd_runtime.long.windows import Place as Place
    from sewd_runtime.recognizer import Recognizer as Recognizer
    from sewd_runtime.streaming.stream import Partial as Partial
    from sewd_runtime.streaming.stream import Stream as Stream
    from sewd_runtime.streaming.stream import Streaming as Streaming
    from sewd_runtime.streaming.stream import feed_streams as feed_streams
    from sewd_runtime.streaming.stream import finish_streams as finish_streams
    from sewd_runtime.text.formats import as_json as as_json
    from sewd_runtime.text.formats import as_srt as as_srt
    from sewd_runtime.text.formats import as_tsv as as_tsv
    from sewd_runtime.text.formats import as_vtt as as_vtt
    from sewd_runtime.text.subtitles import CueLimits as CueLimits
    from sewd_runtime.text.transcript import Character as Character
    from sewd_runtime.text.transcript import Classification as Classification
    from sewd_runtime.text.transcript import Reading as Reading
    from sewd_runtime.text.transcript import Segment as Segment
    from sewd_runtime.text.transcript import Transcript as Transcript
    from sewd_runtime.text.transcript import Word as Word
    from sewd_runtime.text.vocabulary import Vocabulary as Vocabulary

__version__ = "0.1.0"

_PUBLIC = {
    "_types": ["AudioSource"],
    "audio.reading": ["read_audio"],
    "bundle.manifest": ["Manifest"],
    "classifier": ["Classifier"],
    "decode": ["Alternative", "BeamSearch", "Decoder", "DecoderState", "Greedy", "Hypothesis"],
    "decode.lm.model": ["KenlmModel", "LanguageModel"],
    "encoder": ["Encoder"],
    "errors": [
        "AlignmentError",
        "AudioDecodeError",
        "AudioError",
        "AudioTooShortError",
        "AudioValueError",
        "BundleError",
        "BundleNotFoundError",
        "CueLimitsError",
        "DecodingError",
        "FallbackWarning",
        "InferenceError",
        "LanguageModelError",
        "MissingPackageError",
        "PrecisionError",
        "PrecisionWarning",
        "ProviderError",
        "SewdError",
        "StreamFinishedError",
        "TaskError",
        "TextError",
        "VocabularyError",
    ],
    "loading": ["load"],
    "long.segmentation": ["Segmentation"],
    "long.steps": ["Step"],
    "long.windows": ["Place"],
    "recognizer": ["Recognizer"],
    "streaming.stream": ["Partial", "Stream", "Streaming", "feed_streams", "finish_streams"],
    "text.formats": ["as_json", "as_srt", "as_tsv", "as_vtt"],
    "text.subtitles": ["CueLimits"],
    "text.transcript": ["Character", "Classification", "Reading", "Segment", "Transcript", "Word"],
    "text.vocabulary": ["Vocabulary"],
}
"""Module → the public names that it defines."""

_MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = sorted([*_MODULE_OF, "__version__"])


if not TYPE_CHECKING:  # a type checker would take every name for a public one

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module 'sewd_runtime' has no attribute {name!r}")
        value = getattr(import_module(f"sewd_runtime.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

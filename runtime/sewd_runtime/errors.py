"""Every error the runtime raises on purpose.

SewdError
├── AlignmentError             ValueError         a text cannot be what is said in the audio
├── AudioError                 ValueError         the audio cannot be used
│   ├── AudioDecodeError                          not audio, truncated, unknown encoding
│   ├── AudioValueError                           empty, NaN or infinite, wrong shape or type, missing rate
│   └── AudioTooShortError                        a classifier needs at least one frame
├── BundleError                ValueError         the bundle cannot be trusted
│   ├── BundleNotFoundError    FileNotFoundError  no folder, or no bundle.json in it
│   ├── BundleFileMissingError FileNotFoundError  a file that the manifest names is absent
│   ├── BundleHashError                           a file's size or sha256 differs from the manifest
│   ├── BundlePathError                           a file name that is not a bare name
│   ├── FormatVersionError                        written in a format this version does not read
│   ├── ManifestKeyError       KeyError           a key is unknown or missing
│   ├── ManifestTypeError      TypeError          a value has the wrong type or range
│   └── ModelError                                the library refuses the model, or its interface differs
├── CueLimitsError             ValueError         limits of subtitles that contradict one another
├── DecodingError              ValueError         a decoder cannot work with its options and this vocabulary
│   ├── HotwordError                              a hotword cannot be written, or its bonus is no number
│   ├── LanguageModelError                        no language model in the file, or none of its words fits
│   └── LexiconError                              no word of the lexicon can be written
├── InferenceError             RuntimeError       the library fails while it runs, e.g. out of memory
├── JournalError               ValueError         a broken run cannot be taken up: another run's, or damaged
├── MicrophoneError            OSError            there is no microphone, or it cannot be opened
├── MissingPackageError        ImportError        an optional package is not installed; names the extra
├── PrecisionError             ValueError         the provider lacks that precision of the bundle, or here
├── ProviderError              RuntimeError       the execution provider is unknown or does not load
│   └── EngineMismatchError                       no engine of the bundle is for this GPU and this TensorRT
├── StreamFinishedError        RuntimeError       a stream was fed after it was finished
├── TaskError                  TypeError          the bundle is for another task
├── TextError                  ValueError         a text holds what the model cannot write
└── VocabularyError            ValueError         vocab.json or labels.json does not fit the model

A message says what is wrong, where, and what to do.

Two UserWarnings: PrecisionWarning tells that a precision runs, and another would run better; FallbackWarning,
that the processor runs what was meant for another provider, because the caller allowed that.
"""


class SewdError(Exception):
    """Root of all errors raised on purpose."""

    def __str__(self) -> str:
        """Return the message as written (KeyError would print its repr)."""
        return str(self.args[0]) if self.args else self.__class__.__name__


class AlignmentError(SewdError, ValueError):
    """A text cannot be aligned with the audio: it is too long for it."""


class AudioError(SewdError, ValueError):
    """The audio cannot be used."""


class AudioDecodeError(AudioError):
    """The bytes are not audio, are truncated, or have an unknown encoding."""


class AudioValueError(AudioError):
    """The samples are empty, not finite, or of the wrong shape or type."""


class AudioTooShortError(AudioError):
    """The audio is shorter than the model needs for one result."""


class BundleError(SewdError, ValueError):
    """The bundle cannot be trusted."""


class BundleNotFoundError(BundleError, FileNotFoundError):
    """There is no bundle at this path."""


class BundleFileMissingError(BundleError, FileNotFoundError):
    """A file that the manifest names is absent."""


class BundleHashError(BundleError):
    """A file's size or sha256 differs from the manifest."""


class BundlePathError(BundleError):
    """A file name in the manifest is not a bare name."""


class FormatVersionError(BundleError):
    """The bundle is written in a format that this version does not read."""


class ManifestKeyError(BundleError, KeyError):
    """A key of the manifest is unknown or missing."""


class ManifestTypeError(BundleError, TypeError):
    """A value of the manifest has the wrong type or range."""


class ModelError(BundleError):
    """The inference library refuses the model, or its inputs and outputs are not those of a bundle."""


class CueLimitsError(SewdError, ValueError):
    """The limits of subtitles contradict one another."""


class DecodingError(SewdError, ValueError):
    """A decoder cannot work with its options and this vocabulary."""


class HotwordError(DecodingError):
    """A hotword cannot be written with the model's tokens, or its bonus is not a finite number."""


class LanguageModelError(DecodingError):
    """The file is no language model, or it has no word that the recognizer can write."""


class LexiconError(DecodingError):
    """No word of the lexicon can be written with the model's tokens."""


class InferenceError(SewdError, RuntimeError):
    """The inference library fails while it runs the model."""


class JournalError(SewdError, ValueError):
    """What a broken run left is of another recording, model or choice of options, or is damaged."""


class MicrophoneError(SewdError, OSError):
    """There is no microphone, or it cannot be opened."""


class MissingPackageError(SewdError, ImportError):
    """An optional package is not installed."""


class PrecisionError(SewdError, ValueError):
    """The provider has no such precision of the bundle, or this machine cannot compute in it."""


class ProviderError(SewdError, RuntimeError):
    """The execution provider is unknown or does not load."""


class EngineMismatchError(ProviderError):
    """No engine of the bundle is for this GPU and for the TensorRT that is installed."""


class StreamFinishedError(SewdError, RuntimeError):
    """The stream was finished; what follows is another stream."""


class TaskError(SewdError, TypeError):
    """The bundle is for another task."""


class TextError(SewdError, ValueError):
    """A text holds a character that the model cannot write."""


class VocabularyError(SewdError, ValueError):
    """The vocabulary or the labels do not fit the model."""


class PrecisionWarning(UserWarning):
    """The provider runs this precision, though it was made for others."""


class FallbackWarning(UserWarning):
    """The processor runs a model, or part of it, in place of the provider that was asked for."""

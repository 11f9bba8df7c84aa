"""Every error the runtime raises on purpose.

SewdError
├── AlignmentError             ValueError         a text is too long for the audio
├── AudioError                 ValueError         the audio cannot be used
│   ├── AudioDecodeError                          not audio, unknown encoding; strict: truncated
│   ├── AudioTooLongError                         longer than the limit that was given
│   ├── AudioValueError                           empty, NaN or infinite, wrong shape or type, missing rate
│   └── AudioTooShortError                        shorter than a classifier needs
├── BundleError                ValueError         the bundle cannot be trusted
│   ├── BundleNotFoundError    FileNotFoundError  no folder, or no bundle.json in it
│   ├── BundleFileMissingError FileNotFoundError  a file named by the manifest is missing
│   ├── BundleHashError                           a file's size or sha256 differs from the manifest
│   ├── BundlePathError                           a file name with a folder in it
│   ├── FormatVersionError                        a format that this version does not read
│   ├── HubError               OSError            the Hugging Face Hub refuses, or does not answer
│   ├── ManifestKeyError       KeyError           a key is unknown or missing
│   ├── ManifestTypeError      TypeError          a value has the wrong type or range
│   ├── ModelError                                the library refuses the model, or its interface differs
│   └── VocabularyError                           vocab.json or labels.json does not fit the model
├── CopyError                  TypeError          a loaded model was pickled or copied
├── CueLimitsError             ValueError         subtitle limits contradict one another
├── DecodingError              ValueError         a decoder's options do not fit the vocabulary
│   ├── HotwordError                              a hotword cannot be written, or its bonus is not a number
│   ├── LanguageModelError                        not a language model, or none of its words fits
│   └── LexiconError                              no word of the lexicon can be written
├── InferenceError             RuntimeError       inference fails, e.g. out of memory
├── JournalError               ValueError         an interrupted run cannot be resumed
├── MicrophoneError            OSError            there is no microphone, or it cannot be opened
├── MissingPackageError        ImportError        an optional package is not installed; names the extra
├── PrecisionError             ValueError         the provider or this machine cannot run the precision
├── ProviderError              RuntimeError       the execution provider is unknown or fails to load
│   └── EngineMismatchError                       no engine of the bundle fits this GPU and TensorRT
├── StreamFinishedError        RuntimeError       a stream was fed after it was finished
├── TaskError                  TypeError          the bundle is for another task
└── TextError                  ValueError         a text the model cannot write, or a bad text file or list

A message says what is wrong, where, and what to do.

Four UserWarnings: AudioWarning says what is missing of a recording, PrecisionWarning that another precision
would suit the provider better, FallbackWarning that the CPU runs what another provider could not, because the
caller allowed that, TextWarning what of a text, a hotword or a lexicon is left out.
"""


class SewdError(Exception):
    """Root of all errors raised on purpose."""

    def __str__(self) -> str:
        """Return the message as written (KeyError would print its repr)."""
        return str(self.args[0]) if self.args else self.__class__.__name__


class AlignmentError(SewdError, ValueError):
    """A text is too long to be aligned with the audio."""


class AudioError(SewdError, ValueError):
    """The audio cannot be used."""


class AudioDecodeError(AudioError):
    """The bytes are not audio, have an unknown encoding, or are truncated where that is refused."""


class AudioValueError(AudioError):
    """The samples are empty, not finite, or of the wrong shape or type."""


class AudioTooLongError(AudioError):
    """The audio is longer than the limit that was given."""


class AudioTooShortError(AudioError):
    """The audio is shorter than the model needs for one result."""


class BundleError(SewdError, ValueError):
    """The bundle cannot be trusted."""


class BundleNotFoundError(BundleError, FileNotFoundError):
    """There is no bundle at this path."""


class BundleFileMissingError(BundleError, FileNotFoundError):
    """A file named by the manifest is missing."""


class BundleHashError(BundleError):
    """A file's size or sha256 differs from the manifest."""


class BundlePathError(BundleError):
    """A file name in the manifest has a folder in it, or a file is a link out of the bundle."""


class FormatVersionError(BundleError):
    """The bundle has a format that this version does not read."""


class HubError(BundleError, OSError):
    """The Hugging Face Hub refuses access, or does not answer."""


class ManifestKeyError(BundleError, KeyError):
    """A key of the manifest is unknown or missing."""


class ManifestTypeError(BundleError, TypeError):
    """A value of the manifest has the wrong type or range."""


class ModelError(BundleError):
    """The inference library refuses the model, or its inputs and outputs are not those of a bundle."""


class VocabularyError(BundleError):
    """The vocabulary or the labels do not fit the model."""


class CopyError(SewdError, TypeError):
    """A loaded model was pickled or copied; the message says how to open it again."""


class CueLimitsError(SewdError, ValueError):
    """Subtitle limits contradict one another."""


class DecodingError(SewdError, ValueError):
    """A decoder's options are invalid or do not fit the vocabulary."""


class HotwordError(DecodingError):
    """A hotword cannot be written with the model's tokens, or its bonus is not a finite number."""


class LanguageModelError(DecodingError):
    """The file is not a language model, or the recognizer can write none of its words."""


class LexiconError(DecodingError):
    """No word of the lexicon can be written with the model's tokens."""


class InferenceError(SewdError, RuntimeError):
    """The inference library fails while it runs the model."""


class JournalError(SewdError, ValueError):
    """A journal belongs to another recording, model or options, or is damaged."""


class MicrophoneError(SewdError, OSError):
    """There is no microphone, or it cannot be opened."""


class MissingPackageError(SewdError, ImportError):
    """An optional package is not installed."""


class PrecisionError(SewdError, ValueError):
    """The provider or this machine cannot run this precision of the bundle."""


class ProviderError(SewdError, RuntimeError):
    """The execution provider is unknown or fails to load."""


class EngineMismatchError(ProviderError):
    """No engine of the bundle fits this GPU and the installed TensorRT."""


class StreamFinishedError(SewdError, RuntimeError):
    """A finished stream was fed; open another one."""


class TaskError(SewdError, TypeError):
    """The bundle is for another task."""


class TextError(SewdError, ValueError):
    """A text has a character that the model cannot write, or a file of texts or its encoding is wrong."""


class AudioWarning(UserWarning):
    """Something is missing of a recording, or its channels cancel one another; what is there is used."""


class PrecisionWarning(UserWarning):
    """Another precision would suit the provider better."""


class TextWarning(UserWarning):
    """Something of a text, a hotword or a lexicon is left out, because the model cannot write it."""


class FallbackWarning(UserWarning):
    """The CPU runs a model, or part of it, instead of the provider that was asked for."""

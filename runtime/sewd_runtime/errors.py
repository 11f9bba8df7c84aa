"""Every error the runtime raises on purpose.

SewdError
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
├── InferenceError             RuntimeError       the library fails while it runs, e.g. out of memory
├── MissingPackageError        ImportError        an optional package is not installed; names the extra
├── PrecisionError             ValueError         the provider lacks that precision of the bundle, or here
├── ProviderError              RuntimeError       the execution provider is unknown or does not load
│   └── EngineMismatchError                       no engine of the bundle is for this GPU and this TensorRT
├── TaskError                  TypeError          the bundle is for another task
└── VocabularyError            ValueError         vocab.json or labels.json does not fit the model

A message says what is wrong, where, and what to do.

PrecisionWarning, a UserWarning, tells that a precision runs, and another would run better.
"""


class SewdError(Exception):
    """Root of all errors raised on purpose."""

    def __str__(self) -> str:
        """Return the message as written (KeyError would print its repr)."""
        return str(self.args[0]) if self.args else self.__class__.__name__


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


class InferenceError(SewdError, RuntimeError):
    """The inference library fails while it runs the model."""


class MissingPackageError(SewdError, ImportError):
    """An optional package is not installed."""


class PrecisionError(SewdError, ValueError):
    """The provider has no such precision of the bundle, or this machine cannot compute in it."""


class ProviderError(SewdError, RuntimeError):
    """The execution provider is unknown or does not load."""


class EngineMismatchError(ProviderError):
    """No engine of the bundle is for this GPU and for the TensorRT that is installed."""


class TaskError(SewdError, TypeError):
    """The bundle is for another task."""


class VocabularyError(SewdError, ValueError):
    """The vocabulary or the labels do not fit the model."""


class PrecisionWarning(UserWarning):
    """The provider runs this precision, though it was made for others."""

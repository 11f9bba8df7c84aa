"""The decoders of a bundle: its default, and beam search with its language model."""

from threading import Lock
from typing import Any

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.decode.beam import BeamSearch
from sewd_runtime.decode.decoder import Decoder
from sewd_runtime.decode.greedy import Greedy
from sewd_runtime.decode.lm.model import KenlmModel, is_binary
from sewd_runtime.errors import LanguageModelError, MissingPackageError


class BundleDecoders:
    """Makes a bundle's decoders; its language model is opened when it is first used."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._opening = Lock()
        self._lm: KenlmModel | None = None
        self._default: Decoder | None = None

    def open(self) -> None:
        """Open the language model now, if kenlm is installed or the default needs it, so that nobody waits.

        Raises what ``beam_search`` raises.
        """
        try:
            self.beam_search()
        except MissingPackageError:
            self.default()

    @property
    def has_lm(self) -> bool:
        """Whether the bundle has a language model."""
        return self._bundle.manifest.language_model is not None

    def default(self) -> Decoder:
        """Return how recordings are decoded if nothing is asked for.

        Beam search with the bundle's language model if that lowered the word error rate at export; else
        greedy. Raises what ``beam_search`` raises.
        """
        if self._default is None:
            entry = self._bundle.manifest.language_model
            self._default = self.beam_search() if entry is not None and entry.default else Greedy()
        return self._default

    def beam_search(self, **options: Any) -> BeamSearch:
        """Return a beam search with the bundle's language model and its weights, if it has one.

        options: those of ``BeamSearch``; ``lm`` replaces the language model and its weights, None is none.
        Raises MissingPackageError without kenlm, BundleError for a bad file, LanguageModelError,
        DecodingError.
        """
        entry = self._bundle.manifest.language_model
        if entry is None or "lm" in options:
            return BeamSearch(**options)
        return BeamSearch(**{"lm": self._open(entry.file), **entry.weights, **options})

    def _open(self, file: str) -> KenlmModel:
        with self._opening:
            if self._lm is None:
                try:
                    import kenlm  # noqa: F401 - before the file is hashed, or fetched from the Hub
                except ImportError as error:
                    raise MissingPackageError(
                        f"{self._bundle.path}: decoding with the language model of this bundle needs kenlm: "
                        f"pip install 'sewd[lm]' (Python 3.12 at most); to decode without it: --no-lm, or "
                        f"decoder=Greedy() in Python"
                    ) from error
                path = self._bundle.path_of(file)
                if is_binary(path) != (path.suffix == ".bin"):
                    raise LanguageModelError(f"{path}: KenLM binaries, and no other files, are named lm.bin")
                self._lm = KenlmModel(path)
            return self._lm

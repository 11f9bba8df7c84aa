"""``load``: a bundle as what its task says."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

from sewd_runtime.bundle.folder import Bundle, find_bundle, open_bundle
from sewd_runtime.bundle.manifest import LABELS_NAME, VOCAB_NAME
from sewd_runtime.bundle.schema import build, parse_json
from sewd_runtime.classifier import Classifier
from sewd_runtime.encoder import Encoder
from sewd_runtime.errors import BundleError, PrecisionWarning, ProviderError, VocabularyError
from sewd_runtime.inference.auto import AUTO, open_fastest
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.providers import PROVIDERS
from sewd_runtime.recognizer import Recognizer
from sewd_runtime.text.vocabulary import Vocabulary


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    precision: str | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    allow_fallback: bool = False,
    provider_options: Mapping[str, str] | None = None,
) -> Recognizer | Classifier | Encoder:
    """Load a bundle as what its task says: a Recognizer, a Classifier or an Encoder.

    path: the folder, or the name of an embedded model; None is the embedded digits model.
    precision: None takes what the provider prefers of the bundle, fp32 on processors.
    provider: a row of PROVIDERS. What cannot be had is an error that says why.
    threads: for one run; None leaves it to the provider's library.
    allow_fallback: the processor may run what the provider cannot, all or part, with a FallbackWarning.
    provider_options: the library's own settings, over those of the row.
    Where provider or precision is "auto", the fastest that this leaves open is measured, once on a machine,
    and logged at level INFO of the logger "sewd"; allow_fallback and provider_options then mean nothing and
    are refused.
    Raises BundleError, PrecisionError, ProviderError, VocabularyError. Warns with PrecisionWarning where the
    provider has a remark on the precision.
    """
    bundle = open_bundle(find_bundle(path))
    if AUTO in (provider, precision):
        if allow_fallback or provider_options:
            raise ProviderError(
                "auto takes what works here: name a provider to set its options or a fall-back"
            )
        network = open_fastest(bundle, precision=precision, provider=provider, threads=threads)
    else:
        network = Network.open(
            bundle,
            precision=precision,
            provider=provider,
            threads=threads,
            allow_fallback=allow_fallback,
            provider_options=provider_options,
        )
    remark = PROVIDERS[network.session.provider].remarks.get(network.precision)
    if remark is not None:
        message = f"{network.precision} on {network.session.provider}: {remark}"
        warnings.warn(message, PrecisionWarning, stacklevel=2)
    return _wrap(network)


def _wrap(network: Network) -> Recognizer | Classifier | Encoder:
    if network.manifest.task == "ctc":
        return Recognizer(network=network, vocabulary=read_vocabulary(network.bundle))
    if network.manifest.task == "classification":
        return Classifier(network=network, labels=_read_labels(network.bundle))
    return Encoder(network=network)


def read_vocabulary(bundle: Bundle) -> Vocabulary:
    """Read the vocabulary of a bundle whose task is ctc. Raises VocabularyError."""
    manifest = bundle.manifest
    assert manifest.ctc is not None  # the manifest was checked
    tokens: dict[str, int] = _read_json(bundle, VOCAB_NAME, dict[str, int])
    return Vocabulary.from_manifest(tokens, manifest.ctc, manifest.num_outputs)


def _read_labels(bundle: Bundle) -> tuple[str, ...]:
    labels: tuple[str, ...] = _read_json(bundle, LABELS_NAME, tuple[str, ...])
    if len(labels) != bundle.manifest.num_outputs:
        raise VocabularyError(
            f"{bundle.path / LABELS_NAME}: {len(labels)} labels for {bundle.manifest.num_outputs} classes"
        )
    return labels


def _read_json(bundle: Bundle, name: str, kind: Any) -> Any:
    text, where = bundle.read_text(name), str(bundle.path / name)
    try:
        return build(kind, parse_json(text, where=where), where=where)
    except BundleError as error:
        raise VocabularyError(str(error)) from error

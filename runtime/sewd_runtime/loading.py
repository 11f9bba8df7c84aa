"""``load``: any bundle, as the class of its task."""

import os
from collections.abc import Mapping

from sewd_runtime.bundle.folder import find_bundle
from sewd_runtime.classifier import Classifier
from sewd_runtime.encoder import Encoder
from sewd_runtime.inference.opening import open_network
from sewd_runtime.recognizer import Recognizer


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    precision: str | None = None,
    provider: str = "cpu",
    threads: int | None = None,
    workers: int = 1,
    allow_fallback: bool = False,
    provider_options: Mapping[str, str] | None = None,
) -> Recognizer | Classifier | Encoder:
    """Load any bundle: as a Recognizer, a Classifier or an Encoder, whichever its task needs.

    ``Recognizer.load``, ``Classifier.load`` and ``Encoder.load`` take the same arguments and return their own
    type.

    path: the folder, or the name of an embedded model; None is the embedded digits model. Else ``owner/name``
        or ``owner/name@revision`` on the Hugging Face Hub (extra ``hub``): only the files that are used are
        fetched, into its cache.
    precision: None takes the one that the provider prefers, fp32 on CPUs and fp16 on GPUs.
    provider: the execution provider, a row of PROVIDERS; if it cannot be used, the error says why.
    threads: CPU threads of one run; None leaves it to the inference library, or shares all among the workers.
    workers: how many runs at once share ``transcribe_batch``, a long recording, and every other call with
        several batches. As many as cores is the fastest for many recordings, 1 for one short recording.
    allow_fallback: let the CPU run what the provider cannot, all or part of it, with a FallbackWarning.
    provider_options: settings of the inference library, over those of the provider's row.
    Where provider or precision is "auto", the fastest variant left open is measured once on a machine and
    logged at level INFO of the logger "sewd"; allow_fallback and provider_options are then refused.
    Raises BundleError (HubError among them), MissingPackageError, PrecisionError, ProviderError,
    VocabularyError. Warns with PrecisionWarning if another
    precision suits the provider better.
    """
    network = open_network(
        find_bundle(path),
        precision=precision,
        provider=provider,
        threads=threads,
        workers=workers,
        allow_fallback=allow_fallback,
        provider_options=provider_options,
    )
    kinds = {kind.task: kind for kind in (Recognizer, Classifier, Encoder)}
    return kinds[network.manifest.task].from_network(network)

"""A bundle as a loaded model: provider and precision as asked for, or the fastest of several."""

import warnings
from collections.abc import Mapping
from dataclasses import replace

from sewd_runtime.bundle.folder import Bundle
from sewd_runtime.errors import PrecisionWarning, ProviderError
from sewd_runtime.inference.auto import AUTO, open_fastest
from sewd_runtime.inference.network import Network
from sewd_runtime.inference.providers import PROVIDERS
from sewd_runtime.system.machine import available_cores, max_threads


def open_network(
    bundle: Bundle,
    *,
    precision: str | None,
    provider: str,
    threads: int | None,
    workers: int,
    allow_fallback: bool,
    provider_options: Mapping[str, str] | None,
) -> Network:
    """Load the model of a bundle; arguments, errors and warnings are those of ``sewd_runtime.load``.

    Warnings name the line that called the function which called this one.
    """
    threads = threads_of_each(workers, threads)
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
        warnings.warn(message, PrecisionWarning, stacklevel=3)
    return replace(network, workers=workers)


def threads_of_each(workers: int, threads: int | None) -> int | None:
    """Return the threads of each of several runs at once: those given, or the cores shared evenly.

    None leaves one run to the library. Raises ProviderError.
    """
    if not 1 <= workers <= max_threads():
        raise ProviderError(f"workers must be from 1 to {max_threads()}, got {workers}")
    return max(1, available_cores() // workers) if threads is None and workers > 1 else threads

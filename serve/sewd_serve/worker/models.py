"""The models that are served: loaded, verified, and replaced without stopping."""

import time
from dataclasses import dataclass

from sewd_runtime.classifier import Classifier
from sewd_runtime.errors import TaskError
from sewd_runtime.inference.golden import require_golden
from sewd_runtime.inference.variants import find_variant
from sewd_runtime.loading import load
from sewd_runtime.recognizer import Recognizer
from sewd_serve.worker.messages import Bundle, Model, Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """A loaded model, and what clients are told of it."""

    card: Model
    model: Recognizer | Classifier


class Models:
    """The models by name. A request keeps the model it began with when another takes the name."""

    def __init__(self, setup: Setup) -> None:
        """Load and verify every bundle. Raises SewdError."""
        self._setup = setup
        self.reload()

    def reload(self) -> None:
        """Open every bundle again and replace all models at once; raises SewdError and keeps the old ones."""
        self._served = {bundle.name: _open(bundle, self._setup) for bundle in self._setup.bundles}

    @property
    def cards(self) -> tuple[Model, ...]:
        """What clients are told of the models, in the order of the command line."""
        return tuple(served.card for served in self._served.values())

    def recognizer(self, name: str) -> Recognizer:
        """Return the recognizer of this name; raises TaskError for another task."""
        model = self._served[name].model
        if not isinstance(model, Recognizer):
            raise TaskError(f"{name} classifies recordings; POST to /v1/audio/classifications")
        return model

    def classifier(self, name: str) -> Classifier:
        """Return the classifier of this name; raises TaskError for another task."""
        model = self._served[name].model
        if not isinstance(model, Classifier):
            raise TaskError(f"{name} transcribes recordings; POST to /v1/audio/transcriptions")
        return model


def _open(bundle: Bundle, setup: Setup) -> _Served:
    """Load a bundle and let it reproduce its golden utterance, which warms it up too."""
    began = time.monotonic()
    model = load(bundle.path, precision=setup.precision, provider=setup.provider, threads=setup.threads)
    network = model.network
    if not isinstance(model, (Recognizer, Classifier)):
        raise TaskError(f"{network.bundle.path}: its task is {network.manifest.task}, which has no endpoint")
    variant = find_variant(network.manifest, network.session.provider, network.precision)
    require_golden(network.bundle, variant, network.session)
    if isinstance(model, Recognizer):
        model.decoders.open()
    card = Model(
        name=bundle.name,
        task=network.manifest.task,
        precision=network.precision,
        provider=network.session.provider,
        load_s=time.monotonic() - began,
    )
    return _Served(card=card, model=model)

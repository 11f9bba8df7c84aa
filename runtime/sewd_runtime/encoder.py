"""Speech to hidden states."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from sewd_runtime._types import AudioSource, Output, Samples
from sewd_runtime.inference.network import Network
from sewd_runtime.model import Model, as_batch


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Encoder(Model):
    """A model without a head: speech to hidden states."""

    task: ClassVar[str] = "encoding"
    network: Network

    @classmethod
    def from_network(cls, network: Network) -> "Encoder":
        """Take the network as it is."""
        return cls(network=network)

    def encode(self, audio: AudioSource, *, sample_rate_hz: int | None = None) -> Output:
        """Encode one recording, of any source that ``read_audio`` takes.

        Returns ``(frames, hidden)`` float32, no frames if the audio is too short.
        Raises AudioError, InferenceError, and OSError for a path that cannot be opened.
        """
        return self.encode_batch([audio], sample_rate_hz=sample_rate_hz)[0]

    def encode_batch(
        self, audios: Sequence[AudioSource], *, sample_rate_hz: int | None = None
    ) -> list[Output]:
        """Encode several recordings, the results in their order and the same as one by one."""
        return self.hidden_states([self.network.read(audio, sample_rate_hz) for audio in as_batch(audios)])

    def hidden_states(self, recordings: Sequence[Samples]) -> list[Output]:
        """Return the hidden states of each recording, ``(frames, hidden)`` float32.

        recordings: each (samples,) float32 at the model's rate.
        """
        return self.network.run_frames(recordings)

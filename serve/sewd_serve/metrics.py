"""What ``/metrics`` shows, by Prometheus' conventions. No label holds anything of a user or a file."""

from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sewd_serve.errors import ServeError
from sewd_serve.worker.messages import Usage

Error = TypeVar("Error", bound=ServeError)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()

        def histogram(name: str, text: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
            return Histogram(name, text, registry=registry, buckets=buckets)

        self.requests = Counter(
            "sewd_requests", "Answered requests", ["endpoint", "status"], registry=registry
        )
        self.request_s = Histogram(
            "sewd_request_seconds",
            "From a request's headers to the end of its answer",
            ["endpoint"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.queue_s = histogram("sewd_queue_seconds", "What a recording waited before it first ran")
        self.batch = histogram("sewd_batch_size", "Recordings that ran together", (1, 2, 4, 8, 16, 32, 64))
        self.audio_s = Counter("sewd_audio_seconds", "Audio transcribed", ["kind"], registry=registry)
        self.refused = Counter("sewd_rejected", "Refused requests", ["reason"], registry=registry)
        self.stream_lag_s = histogram(
            "sewd_stream_lag_seconds",
            "From the arrival of live audio to the words it completed",
            (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10),
        )
        self.streams = Gauge("sewd_streams", "Open live streams", registry=registry)
        self.restarts = Gauge("sewd_worker_restarts", "Restarts of the inference process", registry=registry)

    def recording(self, usage: Usage) -> None:
        """Count a recording that was answered."""
        self.queue_s.observe(usage.queue_s)
        self.batch.observe(usage.batch)
        self.audio_s.labels("recording").inc(usage.audio_s)

    def rejected(self, reason: str, error: Error) -> Error:
        """Count a refused request, and return its error."""
        self.refused.labels(reason).inc()
        return error

    def text(self) -> bytes:
        """Return all of them in the text format."""
        return generate_latest(self._registry)

"""Conversion between samples, frames and seconds."""

from dataclasses import dataclass


def num_frames(num_samples: int, *, receptive_field: int, stride: int) -> int:
    """Return how many frames a model makes of ``num_samples`` samples; 0 below the receptive field."""
    if num_samples < receptive_field:
        return 0
    return 1 + (num_samples - receptive_field) // stride


def num_samples(num_frames: int, *, receptive_field: int, stride: int) -> int:
    """Return the smallest number of samples that gives ``num_frames`` frames."""
    if num_frames <= 0:
        return 0
    return receptive_field + (num_frames - 1) * stride


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameClock:
    """The times of frames: frame ``f`` begins at sample ``f * stride`` and ends where the next begins."""

    stride: int
    sample_rate_hz: int

    def seconds(self, frame: int) -> float:
        """Return the time in seconds at which ``frame`` begins."""
        return frame * self.stride / self.sample_rate_hz

    def frame(self, seconds: float) -> int:
        """Return the frame at a time in seconds."""
        # Rounded to the sample first: 0.06 s * 16000 Hz / 320 is 2.9999999999999996.
        return round(seconds * self.sample_rate_hz) // self.stride

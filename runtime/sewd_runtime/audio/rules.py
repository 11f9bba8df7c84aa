"""What to do with a recording of which something is missing, or that is long."""

import warnings
from dataclasses import dataclass

from sewd_runtime.errors import AudioDecodeError, AudioTooLongError, AudioValueError, AudioWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to do with a file that lacks something or is long.

    name: of the file, for messages. strict: refuse what is truncated, instead of warning.
    max_duration_s, max_channels: refuse what has more. channel: read this one, from 1, instead of all mixed.
    ffmpeg: the program may be used.
    """

    name: str
    strict: bool
    max_duration_s: float | None = None
    max_channels: int | None = None
    channel: int | None = None
    ffmpeg: bool = False

    def report(self, missing: str) -> None:
        """Warn of something that is missing; raises AudioDecodeError if the rules are strict."""
        if self.strict:
            raise self.truncated(missing)
        text = f"{self.name}: truncated: {missing}; the samples that are there are used"
        warnings.warn(text, AudioWarning, stacklevel=2)

    def truncated(self, missing: str) -> AudioDecodeError:
        """Return the error for a file of which something is missing."""
        return AudioDecodeError(f"{self.name}: truncated: {missing}; copy or record it again")

    def check_duration(self, duration_s: float) -> None:
        """Raise AudioTooLongError for what is longer than allowed."""
        if self.max_duration_s is not None and duration_s > self.max_duration_s:
            raise AudioTooLongError(
                f"{self.name}: longer than the limit of {self.max_duration_s:g} s; "
                f"split it, or raise the limit"
            )

    def check_channels(self, channels: int) -> None:
        """Raise AudioValueError for more channels than allowed."""
        if self.max_channels is not None and channels > self.max_channels:
            raise AudioValueError(
                f"{self.name}: has {channels} channels, more than the limit of "
                f"{self.max_channels}; mix them down"
            )

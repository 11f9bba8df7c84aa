"""Audio from the default microphone, block by block."""

from __future__ import annotations

from collections.abc import Generator
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sewd_runtime.errors import MicrophoneError, MissingPackageError

BLOCK_S = 0.1


def _sounddevice() -> Any:
    try:
        import sounddevice
    except ImportError as error:
        raise MissingPackageError(
            f"a microphone needs sounddevice: pip install 'sewd[mic]' ({error})"
        ) from error
    except OSError as error:  # the wheels for Linux bring no PortAudio
        raise MissingPackageError(
            f"sounddevice needs PortAudio: apt install libportaudio2, or as your system has it ({error})"
        ) from error
    return sounddevice


def open_microphone() -> tuple[int, Generator[NDArray[np.float32], None, None]]:
    """Return the rate in Hz of the default input device, and its blocks, ``(samples,)`` float32, without end.

    Recording starts with the first block and ends when the iterator is closed. Raises MissingPackageError,
    and MicrophoneError if there is no input device or it cannot be opened.
    """
    sounddevice = _sounddevice()
    try:
        device = sounddevice.query_devices(kind="input")
    except (sounddevice.PortAudioError, ValueError) as error:
        raise MicrophoneError(
            f"no microphone: {error}; connect one, choose it in the system's settings, or stream a file"
        ) from error
    rate_hz = round(device["default_samplerate"])
    return rate_hz, _blocks(sounddevice, rate_hz, str(device["name"]))


def _blocks(sounddevice: Any, rate_hz: int, name: str) -> Generator[NDArray[np.float32], None, None]:
    heard: SimpleQueue[NDArray[np.float32]] = SimpleQueue()

    def keep(block: NDArray[np.float32], *_: Any) -> None:
        heard.put(block[:, 0].copy())  # the library reuses its array

    try:
        stream = sounddevice.InputStream(
            samplerate=rate_hz,
            blocksize=round(BLOCK_S * rate_hz),
            channels=1,
            dtype="float32",
            callback=keep,
        )
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"{name}: cannot be opened: {error}; does another program use it?") from error
    with stream:
        while True:
            yield heard.get()

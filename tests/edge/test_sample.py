"""Laws of the C++ sample: it prints what `sewd transcribe` prints, and errors are named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.edge import CLIPS, EMBEDDED, RATE_HZ
from sewd_runtime import Recognizer

TINY = Path(__file__).parents[1] / "data/tiny"
DIGITS = EMBEDDED["digits"]


def run(program: Path, *arguments: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(home)} if home else None
    command = [str(program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The clips as WAV, and noise: less than a frame, one frame, and a file with other chunks."""
    folder = tmp_path_factory.mktemp("speech")
    rng = np.random.default_rng(5)
    every = {path.stem: soundfile.read(path, dtype="int16")[0] for path in sorted(CLIPS.glob("*.flac"))}
    every |= {f"noise{n}": rng.integers(-9_000, 9_000, n).astype(np.int16) for n in (1, 79, 400, 8_001)}
    for name, samples in every.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE_HZ, subtype="PCM_16")
    plain = (folder / "awb_4.wav").read_bytes()
    chunk = b"LIST" + (3).to_bytes(4, "little") + b"abc\0"
    (folder / "chunks.wav").write_bytes(plain[:12] + chunk + plain[12:36] + chunk + plain[36:])
    return sorted(folder.iterdir())


def expected(bundle: Path, precision: str, recordings: Sequence[Path]) -> str:
    """What `sewd transcribe` prints, run for one recording after the other."""
    recognizer = Recognizer.load(bundle, precision=precision, threads=1)
    return "".join(f"{path}: {recognizer.transcribe(path).text}\n" for path in recordings)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_it_prints_what_sewd_prints(
    program: Path,
    recordings: list[Path],
    precision: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    text = expected(DIGITS, precision, recordings)
    found = run(program, DIGITS, DIGITS / f"model.{precision}.onnx", *recordings, home=tmp_path)
    assert (found.returncode, found.stdout, found.stderr) == (0, text, "")
    assert "TWO ZERO THREE TWO EIGHT" in text
    assert list(tmp_path.iterdir()) == []  # onnxruntime's telemetry would write there


def test_of_one_recording_it_prints_the_text_alone(program: Path, recordings: list[Path]) -> None:
    [clip] = (path for path in recordings if path.stem == "awb_1")
    assert run(program, DIGITS, DIGITS / "model.int8.onnx", clip).stdout == "SIX SIX EIGHT FIVE SEVEN\n"


def other_vocabulary(folder: Path) -> Path:
    """A bundle whose vocabulary has all that can happen to a text."""
    bundle = Path(shutil.copytree(TINY, folder / "bundle"))
    tokens = json.loads((bundle / "vocab.json").read_text())
    for token in ("P", "X", "J", "D", "Z", "G"):
        del tokens[token]
    tokens |= {" .": 23, "'s": 28, " n't": 29, "Ab": 14, "beyond": 40}  # Z and G stay without a token
    (bundle / "vocab.json").write_text(json.dumps(tokens))
    manifest = json.loads((bundle / "bundle.json").read_text())
    manifest["ctc"] |= {"do_lower_case": True, "clean_up_spaces": True}
    content = (bundle / "vocab.json").read_bytes()
    manifest["files"]["vocab.json"] = {
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    return bundle


def test_any_vocabulary(program: Path, recordings: list[Path], tmp_path: Path) -> None:
    bundle = other_vocabulary(tmp_path)
    for folder in (TINY, bundle):
        text = expected(folder, "fp32", recordings)
        assert run(program, folder, folder / "model.fp32.onnx", *recordings).stdout == text
    assert "<unk>" in text and "n't" in text and " ab" in text


def test_the_ort_format(program: Path, recordings: list[Path], ort: dict[str, Path]) -> None:
    text = expected(DIGITS, "int8", recordings)
    assert run(program, DIGITS, ort["digits"] / "model.int8.ort", *recordings).stdout == text


def damaged(content: bytes) -> dict[str, tuple[bytes, str]]:
    """Recordings and what the error says of them."""

    def at(place: int, value: int, size: int = 2) -> bytes:
        return content[:place] + value.to_bytes(size, "little") + content[place + size :]

    form = "must be 16-bit PCM, mono, at 16000 Hz"
    return {
        "nothing": (b"", "is truncated"),
        "no WAV": (b"ID3" + content, "is no WAV file"),
        "no samples": (content[:36], "is truncated"),
        "truncated": (content[:-1], "is truncated"),
        "empty": (at(40, 0, 4), "has 0 bytes of samples"),
        "half a sample": (at(40, 7, 4), "has 7 bytes of samples"),
        "from a pipe": (at(40, 0xFFFFFFFF, 4), "is longer than a minute, or of unknown length"),
        "chunk without end": (at(16, 0xFFFFFFFF, 4), "is truncated"),
        "samples first": (content[:12] + content[36:], "has no format before its samples"),
        "short format": (at(16, 4, 4), "has a format of only 4 bytes"),
        "float": (at(20, 3), form),
        "stereo": (at(22, 2), form),
        "8 kHz": (at(24, 8_000, 4), form),
        "24 bits": (at(34, 24), form),
    }


def test_what_is_no_recording_has_a_named_error(
    program: Path, recordings: list[Path], tmp_path: Path
) -> None:
    [clip] = (path for path in recordings if path.stem == "noise400")
    for name, (content, error) in damaged(clip.read_bytes()).items():
        path = tmp_path / name
        path.write_bytes(content)
        found = run(program, TINY, TINY / "model.fp32.onnx", clip, path)
        assert (found.returncode, found.stdout) == (1, ""), name
        assert found.stderr.startswith(f"transcribe: {path}: {error}"), found.stderr
    for path in (tmp_path, tmp_path / "absent.wav"):
        found = run(program, TINY, TINY / "model.fp32.onnx", path)
        assert found.returncode == 1 and found.stderr.startswith(f"transcribe: {path}: "), found.stderr


def test_no_header_crashes_it(program: Path, recordings: list[Path], tmp_path: Path) -> None:
    [clip] = (path for path in recordings if path.stem == "noise400")
    rng = np.random.default_rng(11)
    for turn in range(40):
        content = bytearray(clip.read_bytes()[: rng.integers(1, 900)])
        for place in rng.integers(0, min(len(content), 48), 2):
            content[place] = rng.integers(256)
        (tmp_path / "mutant.wav").write_bytes(content)
        found = run(program, TINY, TINY / "model.fp32.onnx", tmp_path / "mutant.wav")
        assert found.returncode in (0, 1), (turn, found.stderr)
        assert found.stdout or found.stderr.startswith("transcribe: "), turn


def test_what_is_no_bundle_has_a_named_error(program: Path, recordings: list[Path], tmp_path: Path) -> None:
    def error(bundle: Path, model: Path) -> str:
        found = run(program, bundle, model, recordings[0])
        assert found.returncode == 1
        return found.stderr

    model = TINY / "model.fp32.onnx"
    classifier = TINY.with_name("tiny-classifier")
    assert error(classifier, model).endswith(": its task is not ctc; it writes no text\n")
    assert error(tmp_path, model) == f"transcribe: {tmp_path}: cannot be used: bundle.json cannot be opened\n"
    shutil.copy(TINY / "vocab.json", tmp_path)
    manifest = json.loads((TINY / "bundle.json").read_text())
    numbers = [json.dumps(manifest | {"num_outputs": value}) for value in (-1, 1.5, 2**31, 1e300, "no", None)]
    blank = json.dumps(manifest | {"ctc": manifest["ctc"] | {"blank_id": 32}})
    for content in ("{", "{}", "[" * 100_000, blank, *numbers):
        (tmp_path / "bundle.json").write_text(content)
        assert error(tmp_path, model).startswith(f"transcribe: {tmp_path}: cannot be used: "), content
    assert "absent.onnx" in error(TINY, tmp_path / "absent.onnx")
    assert error(TINY, TINY / "bundle.json").startswith("transcribe: ")
    assert "logits" in error(TINY, classifier / model.name)
    assert run(program).returncode == 2

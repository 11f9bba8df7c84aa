"""Law: what ``sewd encode`` writes are the hidden states that ``Encoder.encode`` returns, bit by bit."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from sewd_export import Exported
from sewd_runtime import Encoder
from sewd_runtime.cli import main

CLIPS = Path(__file__).parents[2] / "export/sewd_export/speech"


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    """Two clips in a folder."""
    (tmp_path / "clips").mkdir()
    names = ("awb_1.flac", "awb_4.flac")
    return [Path(shutil.copy(CLIPS / name, tmp_path / "clips" / name)) for name in names]


def test_both_formats_hold_what_encode_returns(
    exported_encoder: Exported, clips: list[Path], tmp_path: Path
) -> None:
    model = Encoder.load(exported_encoder.path)
    options = ["--model", str(exported_encoder.path), str(tmp_path / "clips")]
    out, file = tmp_path / "out", tmp_path / "states.safetensors"
    for _ in range(2):  # again: what sewd wrote is replaced
        assert main(["encode", *options, "-o", str(out)]) == 0
        assert main(["encode", *options, "-o", str(file)]) == 0
    tensors = load_file(file)
    assert sorted(tensors) == sorted(map(str, clips))
    for clip, expected in zip(clips, model.encode_batch(clips), strict=True):
        states = np.load(out / f"{clip.stem}.npy")
        assert states.dtype == np.float32 and states.shape == expected.shape
        assert states.shape[0] > 10
        np.testing.assert_array_equal(states, expected)
        np.testing.assert_array_equal(tensors[str(clip)], expected)


def test_a_bad_file_stops_no_other(
    exported_encoder: Exported, clips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(tmp_path / "missing.wav"), str(clips[0])]
    file = tmp_path / "states.safetensors"
    assert main(["encode", "--model", str(exported_encoder.path), *files, "-o", str(file)]) == 1
    assert list(load_file(file)) == [str(clips[0])]
    assert "missing.wav: No such file" in capsys.readouterr().err


def test_a_recognizer_has_no_hidden_states(
    clips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["encode", str(clips[0]), "-o", str(tmp_path / "out")]) == 3
    error = capsys.readouterr().err
    assert "its task is ctc" in error and "no hidden states" in error and "SEWDModel" in error
    assert not (tmp_path / "out").exists()


def test_a_missing_package_is_named(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    assert main(["encode", str(clips[0]), "-o", str(tmp_path / "states.safetensors")]) == 3
    assert "pip install 'sewd[safetensors]'" in capsys.readouterr().err

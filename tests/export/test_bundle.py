"""Law: a bundle says truly what is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sewd_export.bundle import copy_configs, hash_files, write_manifest
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.errors import BundleHashError

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A bundle, to be changed."""
    return Path(shutil.copytree(DATA / "tiny", tmp_path / "my.bundle"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_configs_are_copied_byte_for_byte(checkpoint: Path, tmp_path: Path) -> None:
    odd = b'{ "sampling_rate":16000,\r\n  "do_normalize" : true, "caf\\u00e9": 1e0 }'
    (checkpoint / "preprocessor_config.json").write_bytes(odd)
    (checkpoint / "processor_config.json").write_bytes(
        b'{"feature_extractor" : {"sampling_rate": 16000}}\n\n'
    )
    folder = tmp_path / "copy"
    folder.mkdir()
    copy_configs(load_checkpoint(checkpoint), folder)
    assert names(folder) == ["config.json", "preprocessor_config.json", "processor_config.json"]
    assert all(content(checkpoint)[name] == found for name, found in content(folder).items())


def test_configs_that_the_checkpoint_lacks_are_left_out(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "preprocessor_config.json").unlink()
    folder = tmp_path / "copy"
    folder.mkdir()
    copy_configs(load_checkpoint(checkpoint), folder)
    assert names(folder) == ["config.json"]


def test_a_manifest_that_does_not_fit_its_files_is_not_written_quietly(target: Path) -> None:
    manifest = open_bundle(target).manifest
    assert hash_files(target) == {**manifest.files, "bundle.json": hash_files(target)["bundle.json"]}
    write_manifest(target, manifest)
    assert json.loads((target / "bundle.json").read_text())["files"].keys() == manifest.files.keys()
    with (target / "golden.npz").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleHashError, match="golden"):
        write_manifest(target, manifest)

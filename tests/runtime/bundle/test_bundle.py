from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from sewd_runtime import load
from sewd_runtime.bundle import folder as bundle_module
from sewd_runtime.bundle.folder import Bundle, find_bundle, open_bundle
from sewd_runtime.bundle.manifest import MANIFEST_NAME, VOCAB_NAME
from sewd_runtime.errors import (
    BundleError,
    BundleFileMissingError,
    BundleHashError,
    BundleNotFoundError,
    BundlePathError,
    ManifestTypeError,
)
from sewd_runtime.system.hashing import sha256_of


def test_the_real_bundle_is_right(tiny_bundle: Path) -> None:
    bundle = open_bundle(tiny_bundle)
    bundle.verify()
    assert (tiny_bundle / MANIFEST_NAME).read_text(encoding="utf-8") == bundle.manifest.to_json()
    present = {path.name for path in tiny_bundle.iterdir()}
    assert present == {MANIFEST_NAME, *bundle.manifest.files}
    for name in bundle.manifest.files:
        assert bundle.path_of(name).read_bytes() == bundle.read_bytes(name)
    assert json.loads(bundle.read_text(VOCAB_NAME))


def test_a_flipped_byte(broken_bundle: Path) -> None:
    path = broken_bundle / VOCAB_NAME
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refuse(open_bundle(broken_bundle), BundleHashError, "sha256 is")


def test_a_longer_file(broken_bundle: Path) -> None:
    with (broken_bundle / VOCAB_NAME).open("ab") as file:
        file.write(b"\n")
    refuse(open_bundle(broken_bundle), BundleHashError, "the manifest says")


def test_a_shorter_file(broken_bundle: Path) -> None:
    os.truncate(broken_bundle / VOCAB_NAME, 3)
    refuse(open_bundle(broken_bundle), BundleHashError, "the manifest says")


def test_a_missing_file(broken_bundle: Path) -> None:
    (broken_bundle / VOCAB_NAME).unlink()
    refuse(open_bundle(broken_bundle), BundleFileMissingError, "missing")


def test_a_folder_for_a_file(broken_bundle: Path) -> None:
    (broken_bundle / VOCAB_NAME).unlink()
    (broken_bundle / VOCAB_NAME).mkdir()
    refuse(open_bundle(broken_bundle), BundleFileMissingError, "missing")


def test_a_link_out_of_the_bundle(broken_bundle: Path) -> None:
    outside = broken_bundle.parent / VOCAB_NAME
    (broken_bundle / VOCAB_NAME).rename(outside)
    (broken_bundle / VOCAB_NAME).symlink_to(outside)
    refuse(open_bundle(broken_bundle), BundlePathError, "link")


def test_a_manifest_that_is_a_link_out_of_the_bundle(broken_bundle: Path) -> None:
    outside = broken_bundle.parent / MANIFEST_NAME
    (broken_bundle / MANIFEST_NAME).rename(outside)
    (broken_bundle / MANIFEST_NAME).symlink_to(outside)
    with pytest.raises(BundlePathError, match=r"bundle\.json: a link out"):
        open_bundle(broken_bundle)


@pytest.mark.parametrize("size", [0, 10**13, 10**19])
def test_a_size_is_compared_before_anything_is_read(broken_bundle: Path, size: int) -> None:
    content = json.loads((broken_bundle / MANIFEST_NAME).read_text())
    content["files"][VOCAB_NAME]["size_bytes"] = size
    (broken_bundle / MANIFEST_NAME).write_text(json.dumps(content))
    refuse(open_bundle(broken_bundle), BundleHashError, f"the manifest says {size};")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("name", [MANIFEST_NAME, VOCAB_NAME])
def test_a_pipe_for_a_file_is_not_waited_for(broken_bundle: Path, name: str) -> None:
    (broken_bundle / name).unlink()
    os.mkfifo(broken_bundle / name)
    with pytest.raises(BundleError, match=name):
        open_bundle(broken_bundle).verify()


@pytest.fixture
def hub_cache(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle as huggingface_hub's ``snapshot_download`` leaves it."""
    repository = tmp_path / "models--someone--tiny"
    blobs, snapshot = repository / "blobs", repository / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for file in tiny_bundle.iterdir():
        blob = blobs / sha256_of(file)
        blob.write_bytes(file.read_bytes())
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", blob.name))
    return snapshot


def test_a_snapshot_of_the_hub_loads(hub_cache: Path, tmp_path: Path) -> None:
    open_bundle(hub_cache).verify()
    load(hub_cache)
    (tmp_path / "link").symlink_to(hub_cache)
    open_bundle(tmp_path / "link").verify()
    sub = hub_cache / "bundles" / "tiny"  # a bundle in a folder of the repository
    sub.mkdir(parents=True)
    for file in hub_cache.iterdir():
        if file.is_file():
            (sub / file.name).symlink_to(Path("..", "..", file.readlink()))
    open_bundle(sub).verify()


@pytest.mark.parametrize("target", ["outside", "blobs/deeper/vocab", "snapshots/other/vocab.json"])
def test_a_snapshot_with_links_elsewhere_is_refused(hub_cache: Path, target: str) -> None:
    file = hub_cache / VOCAB_NAME
    outside = hub_cache.parents[1] / target
    outside.parent.mkdir(exist_ok=True, parents=True)
    outside.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(outside)
    refuse(open_bundle(hub_cache), BundlePathError, "link")


def test_a_link_to_blobs_that_are_no_hubs_is_refused(broken_bundle: Path) -> None:
    blobs = broken_bundle.parent / "blobs"
    blobs.mkdir()
    (broken_bundle / VOCAB_NAME).rename(blobs / "vocab")
    (broken_bundle / VOCAB_NAME).symlink_to(blobs / "vocab")
    refuse(open_bundle(broken_bundle), BundlePathError, "link")


def refuse(bundle: Bundle, error: type[BundleError], words: str) -> None:
    for use in (bundle.path_of, bundle.read_bytes, bundle.read_text):
        with pytest.raises(error, match=words) as raised:
            use(VOCAB_NAME)
        assert type(raised.value) is error
        assert VOCAB_NAME in str(raised.value)
    with pytest.raises(error):
        bundle.verify()


def test_a_bundle_may_itself_be_a_link(broken_bundle: Path) -> None:
    link = broken_bundle.parent / "link"
    link.symlink_to(broken_bundle)
    open_bundle(link).verify()


def test_verify_lists_every_failure(broken_bundle: Path) -> None:
    bundle = open_bundle(broken_bundle)
    (broken_bundle / "golden.npz").unlink()
    (broken_bundle / VOCAB_NAME).write_text("{}")
    with pytest.raises(BundleError, match="2 files are bad") as error:
        bundle.verify()
    assert "golden.npz" in str(error.value)
    assert VOCAB_NAME in str(error.value)


def test_a_name_that_the_manifest_lacks(tiny_bundle: Path) -> None:
    with pytest.raises(BundleFileMissingError, match=r"no file 'model\.fp7\.onnx'"):
        open_bundle(tiny_bundle).path_of("model.fp7.onnx")


def test_not_utf8(broken_bundle: Path) -> None:
    (broken_bundle / MANIFEST_NAME).write_bytes(b'{"name": "\xff"}')
    with pytest.raises(ManifestTypeError, match="UTF-8"):
        open_bundle(broken_bundle)


def test_a_huge_manifest(broken_bundle: Path) -> None:
    with (broken_bundle / MANIFEST_NAME).open("ab") as file:
        file.truncate(1 << 30)  # sparse: takes no room
    with pytest.raises(ManifestTypeError, match="bytes; not a manifest"):
        open_bundle(broken_bundle)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_no_bundle(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleNotFoundError, match=name):
        open_bundle(tmp_path / name)


def test_names_of_embedded_models(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "MODELS", tmp_path)
    with pytest.raises(BundleNotFoundError, match="no embedded model"):
        find_bundle(None)
    for name in ("digits", "another"):
        shutil.copytree(tiny_bundle, tmp_path / name)
    assert find_bundle(None).path == tmp_path / "digits"
    assert find_bundle("another").path == find_bundle(None, "another").path == tmp_path / "another"
    assert find_bundle(tiny_bundle) == find_bundle(str(tiny_bundle)) == open_bundle(tiny_bundle)
    with pytest.raises(BundleNotFoundError, match="another, digits"):
        find_bundle("anther")


def test_a_folder_comes_before_an_embedded_model(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert find_bundle("digits").path == Path("digits")


def test_sha256_of(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc").startswith("ba7816bf8f01cfea")

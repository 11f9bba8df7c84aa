"""Law: a bundle appears whole or not at all, and nothing else is ever removed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sewd_export import ExportError
from sewd_export.bundle import check_target, copy_configs, hash_files, staged, write_manifest
from sewd_export.checkpoint.loading import load_checkpoint
from sewd_runtime.bundle.folder import open_bundle
from sewd_runtime.errors import BundleHashError

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An old bundle, alone in its folder."""
    return Path(shutil.copytree(DATA / "tiny", tmp_path / "only" / "my.bundle"))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_new(folder: Path) -> None:
    shutil.copytree(DATA / "tiny-classifier", folder, dirs_exist_ok=True)


def test_success_replaces_the_old_bundle(target: Path) -> None:
    with staged(target) as folder:
        assert content(target) == content(DATA / "tiny")
        assert folder.parent == target.parent
        assert names(folder) == []
        write_new(folder)
    assert content(target) == content(DATA / "tiny-classifier")
    assert names(target.parent) == [target.name]


def test_success_makes_a_bundle_and_its_parents(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "new.with.dots"
    with staged(target) as folder:
        assert not target.exists()
        write_new(folder)
    assert content(target) == content(DATA / "tiny-classifier")
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_bundle_and_nothing_else(target: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), staged(target) as folder:
        write_new(folder)
        raise error
    assert content(target) == content(DATA / "tiny")
    assert names(target.parent) == [target.name]


def test_an_error_leaves_no_parents_that_were_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), staged(tmp_path / "a" / "b" / "bundle"):
        raise ValueError("x")
    assert names(tmp_path) == []


def test_a_rename_that_fails_brings_the_old_bundle_back(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fail_for_the_new(self: Path, goal: Path) -> Path:
        if goal == target and not self.name.endswith(".old"):
            raise PermissionError("the disk refuses")
        return rename(self, goal)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(PermissionError, match="the disk refuses"), staged(target) as folder:
        write_new(folder)
    assert content(target) == content(DATA / "tiny")
    assert names(target.parent) == [target.name]


def test_a_link_is_followed_and_stays(target: Path) -> None:
    link = target.with_name("link")
    link.symlink_to(target.name)
    with staged(link) as folder:
        write_new(folder)
    assert link.is_symlink()
    assert content(target) == content(DATA / "tiny-classifier")
    assert names(target.parent) == ["link", target.name]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_a_bundle_is_as_open_as_the_user_wants_files_to_be(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with staged(tmp_path / "bundle"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o777 & ~mask


# What may be replaced.


def test_an_empty_folder_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    with staged(tmp_path / "bundle") as folder:
        write_new(folder)
    assert content(tmp_path / "bundle") == content(DATA / "tiny-classifier")


def test_a_damaged_or_older_bundle_may_be_replaced(target: Path) -> None:
    (target / "golden.npz").unlink()
    check_target(target)
    (target / "bundle.json").write_text('{"format_version": 0, "files": {}, "later": 1}')
    for name in set(names(target)) - {"bundle.json"}:
        (target / name).unlink()
    check_target(target)


@pytest.mark.parametrize(
    "manifest",
    [
        None,
        "",
        "{",
        "[]",
        "3",
        '{"files": {"notes.txt": 1}}',
        '{"format_version": 1, "files": 3}',
        "[" * 99999,
    ],
    ids=["none", "empty", "broken", "list", "number", "of another program", "bad files", "deep"],
)
def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path, manifest: str | None) -> None:
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "notes.txt").write_text("a year's work")
    if manifest is not None:
        (folder / "bundle.json").write_text(manifest)
    before = content(folder)
    with pytest.raises(ExportError, match="precious: exists and is not a bundle"), staged(folder):
        pytest.fail("the block must not run")
    assert content(folder) == before
    assert names(tmp_path) == ["precious"]


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "folder"])
def test_a_bundle_that_holds_something_else_is_refused(target: Path, name: str) -> None:
    if name == "folder":
        (target / name).mkdir()
    else:
        (target / name).write_text("a year's work")
    with pytest.raises(ExportError, match=rf"holds {name}, which is not part of the bundle there"):
        check_target(target)


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ExportError, match="file: exists and is not a bundle"), staged(tmp_path / "file"):
        pytest.fail("the block must not run")
    assert (tmp_path / "file").read_text() == "mine"
    with (
        pytest.raises(ExportError, match="file/bundle: cannot be written: Not a"),
        staged(tmp_path / "file" / "bundle"),
    ):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["file"]


# A kill.

_KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from sewd_export.bundle import staged

old, new, folder = map(Path, sys.argv[1:4])
system = {"mkdir", "rename", "remove", "rmdir", "scandir", "listdir", "chmod"}
calls = {"open", "shutil.rmtree", *(f"os.{name}" for name in system)}

def write(target, survive):
    left = survive
    def die(event, arguments):
        nonlocal left
        if event in calls:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    with staged(target) as stage:
        for path in sorted(new.iterdir()):
            shutil.copyfile(path, stage / path.name)
    os._exit(0)

survive, status = 0, -1
while status != 0:
    here = folder / f"{survive:03}"
    shutil.copytree(old, here / "bundle")
    child = os.fork()
    if not child:
        write(here / "bundle", survive)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, status
    survive += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_leaves_the_old_bundle_the_new_one_or_none(tmp_path: Path) -> None:
    """Killed before its first, second, third, ... call of the file system, until it survives."""
    old, new = DATA / "tiny", DATA / "tiny-classifier"
    folder = tmp_path / "runs"
    subprocess.run([sys.executable, "-c", _KILLED, old, new, folder], check=True)
    whole = {"old": content(old), "new": content(new), "none": None}
    found = []
    for run in sorted(folder.iterdir()):
        target = run / "bundle"
        state = content(target) if target.exists() else None
        assert state in whole.values(), run
        found.append(next(name for name, files in whole.items() if files == state))
        with staged(target) as stage:  # what the killed one left does not stand in the way
            write_new(stage)
        assert content(target) == whole["new"]
    assert found == sorted(found, key=["old", "none", "new"].index)
    assert set(found) == set(whole)
    assert names(folder.joinpath(f"{len(found) - 1:03}")) == ["bundle"]


# What is in it.


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


_KILLED_EXPORT = """
import os, signal, sys
from sewd_export import export
from sewd_export.parity import reference, signals

def die(stage):
    if stage == "trace the model":
        os.kill(os.getpid(), signal.SIGKILL)

grid = signals.signals
reference.signals = lambda *a, **k: [s for s in grid(*a, **k) if len(s.samples) < 4 * 16000]
export(sys.argv[1], sys.argv[2], progress=die)
"""


def test_a_killed_export_leaves_the_old_bundle(tiny: Path, target: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED_EXPORT, tiny, target], check=False)
    assert done.returncode == -signal.SIGKILL
    assert content(target) == content(DATA / "tiny")
    open_bundle(target).verify()

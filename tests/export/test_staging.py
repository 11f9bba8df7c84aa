"""Law: a bundle appears whole or not at all, and nothing else is ever removed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sewd_export import Exported, ExportError, staging
from sewd_export.errors import ExportWarning
from sewd_export.staging import check_target, staged

DATA = Path(__file__).parents[1] / "data"
KILLS = int(os.environ.get("SEWD_TEST_KILLS", "4"))


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
        assert folder.parent.parent == target.parent
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
    monkeypatch.setattr(staging, "_exchange", lambda one, other: False)

    def fail_for_the_new(self: Path, goal: Path) -> Path:
        if goal == target and self.name == "new":
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


def test_an_incomplete_or_older_bundle_may_be_replaced(target: Path) -> None:
    (target / "golden.npz").unlink()
    check_target(target)
    manifest = json.loads((target / "bundle.json").read_text())
    older = {"format_version": 0, "files": manifest["files"], "later": 1}
    (target / "bundle.json").write_text(json.dumps(older))
    check_target(target)
    for name in set(names(target)) - {"bundle.json"}:
        (target / name).unlink()
    with pytest.raises(ExportError, match="exists and is not a bundle"):  # nothing shows that it is ours
        check_target(target)


def claim(folder: Path, **files: object) -> None:
    (folder / "bundle.json").write_text(json.dumps({"format_version": 2, "files": files}))


def test_a_manifest_that_names_the_users_files_does_not_make_them_ours(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    (folder / "photos").mkdir(parents=True)
    (folder / "thesis").write_text("precious")
    digest = hashlib.sha256(b"precious").hexdigest()
    for entry in (
        {},
        None,
        {"size_bytes": 8},
        {"size_bytes": 9, "sha256": digest},
        {"size_bytes": 8, "sha256": "0"},
    ):
        claim(folder, thesis=entry, photos={})
        with pytest.raises(ExportError, match="holds photos, thesis, which is not as it was written"):
            check_target(folder)


@pytest.mark.parametrize("name", ["vocab.json", "golden.npz", "model.fp32.onnx"])
@pytest.mark.parametrize("change", ["content", "size", "link", "folder"])
def test_a_file_that_was_changed_since_is_refused(target: Path, name: str, change: str) -> None:
    path = target / name
    data = path.read_bytes()
    path.unlink()
    if change == "content":
        path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    elif change == "size":
        path.write_bytes(data + b" ")
    elif change == "link":
        target.with_name("elsewhere").write_bytes(data)
        path.symlink_to(target.with_name("elsewhere"))
    else:
        path.mkdir()
    with pytest.raises(ExportError, match=rf"holds {name}, which is not as it was written"), staged(target):
        pytest.fail("the block must not run")


def test_what_appears_meanwhile_stays(target: Path) -> None:
    with pytest.raises(ExportError, match=r"holds notes\.txt"), staged(target) as folder:
        write_new(folder)
        (target / "notes.txt").write_text("a year's work")
    assert names(target) == sorted([*names(DATA / "tiny"), "notes.txt"])
    assert names(target.parent) == [target.name]


def test_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bundle").symlink_to(tmp_path / "absent")
    with pytest.raises(ExportError, match="a link to nothing"), staged(tmp_path / "bundle"):
        pytest.fail("the block must not run")
    assert not (tmp_path / "absent").exists()


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
    with pytest.raises(ExportError, match=rf"holds {name}, which is not as it was written there"):
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
from sewd_export import staging

old, new, folder = map(Path, sys.argv[1:4])
if sys.argv[4] == "rename":
    staging._exchange = lambda one, other: False
system = {"mkdir", "rename", "remove", "rmdir", "scandir", "listdir", "chmod"}
calls = {"open", "shutil.rmtree", "ctypes.dlopen", "ctypes.dlsym", *(f"os.{name}" for name in system)}

def write(target, survive):
    left = survive
    def die(event, arguments):
        nonlocal left
        if event in calls:
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(die)
    with staging.staged(target) as stage:
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
@pytest.mark.parametrize("way", ["exchange", "rename"])
def test_a_kill_at_any_moment_loses_nothing(tmp_path: Path, way: str) -> None:
    """Killed before its first, second, third, ... call of the file system, until it survives.

    Where folders can be exchanged there is always a bundle; elsewhere the next run puts the old one back,
    also if it fails. In both, the next run leaves nothing but the bundle.
    """
    old, new = DATA / "tiny", DATA / "tiny-classifier"
    folder = tmp_path / "runs"
    subprocess.run([sys.executable, "-c", _KILLED, old, new, folder, way], check=True)
    whole = {"old": content(old), "new": content(new), "none": None}
    found = []
    for run in sorted(folder.iterdir()):
        target = run / "bundle"
        state = content(target) if target.exists() else None
        assert state in whole.values(), run
        found.append(next(name for name, files in whole.items() if files == state))
        with pytest.raises(KeyError), staged(target):
            raise KeyError("this run fails")
        assert content(target) == whole["old" if found[-1] == "none" else found[-1]]
        assert names(run) == ["bundle"]
    assert found == sorted(found, key=["old", "none", "new"].index)
    assert set(found) == ({"old", "new"} if way == "exchange" else set(whole))


def test_another_run_that_is_still_writing_is_left_alone(target: Path) -> None:
    with staged(target) as first:
        write_new(first)
        with staged(target) as second:
            assert first != second
            write_new(second)
        assert content(first) == content(DATA / "tiny-classifier")
    assert content(target) == content(DATA / "tiny-classifier")
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize("name", [".my.bundle.0123abcd.sewd-export", ".my.bundle.0123abcd", "my.bundle.old"])
def test_what_only_looks_like_ours_stays(target: Path, name: str) -> None:
    precious = target.with_name(name)
    precious.mkdir()
    (precious / "new").write_text("a year's work")
    (precious / "sewd-export.json").write_text('{"target": "other"}')
    with staged(target) as folder:
        write_new(folder)
    assert names(target.parent) == sorted([target.name, name])
    assert names(precious) == ["new", "sewd-export.json"]


def test_what_cannot_be_removed_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = target.with_name(".my.bundle.0123abcd.sewd-export")
    work.mkdir()
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows: no locks tell who still writes
    with pytest.warns(ExportWarning, match=r"0123abcd.*could not be removed"), staged(target) as folder:
        write_new(folder)
    assert work.exists()
    assert content(target) == content(DATA / "tiny-classifier")


_EXPORTS = """
import os, random, shutil, sys, time
from pathlib import Path
from sewd_export import conversion
from sewd_export.cli import main
from sewd_export.parity import reference, signals
from sewd_runtime.bundle.folder import open_bundle

tiny, traced, target, kills = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
grid, entries = signals.signals, open_bundle(traced).manifest.precisions
reference.signals = lambda *a, **k: [s for s in grid(*a, **k) if len(s.samples) < 8000]

def copy_models(make_graph, folder, attempts, **options):
    for name in attempts.good:
        shutil.copy(traced / entries[name].file, folder)
    return {name: {"": entries[name].opset} for name in attempts.good}, None

conversion.write_models = copy_models  # an export takes a second, not twenty

def start():
    child = os.fork()
    if not child:
        os._exit(main(["-q", tiny, "-o", str(target)]))
    return child

def finish():
    begin = time.monotonic()
    assert os.waitpid(start(), 0)[1] == 0
    return time.monotonic() - begin

longest, delays, killed = finish(), random.Random(0), 0
for _ in range(kills):
    child = start()
    time.sleep(delays.uniform(0, longest))
    os.kill(child, 9)
    killed += os.waitpid(child, 0)[1] != 0
    open_bundle(target).verify()
finish()
open_bundle(target).verify()
assert killed > kills // 3
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_exports_killed_at_random_lose_nothing(exported: Exported, tiny: Path, bundle: Path) -> None:
    """Killed after up to as long as a whole export takes, many times for the same target."""
    command = [sys.executable, "-c", _EXPORTS, tiny, exported.path, bundle, str(KILLS)]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert names(bundle.parent) == [bundle.name]


@pytest.mark.slow
def test_sigterm_ends_like_ctrl_c(tiny: Path, target: Path) -> None:
    command = [sys.executable, "-m", "sewd_export.cli", "-q", tiny, "-o", target]
    command += ["--fp16", "--int8", "--int8-static"]  # those of the bundle there
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(names(target.parent)) == 1:
        time.sleep(0.02)
    process.terminate()
    assert process.communicate(timeout=60)[1] == "sewd-export: interrupted\n"
    assert process.returncode == 130
    assert names(target.parent) == [target.name]
    assert content(target) == content(DATA / "tiny")

"""Laws of `sewd-export --web`; tests/page opens the page in a browser."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from sewd_export.cli import main
from sewd_export.errors import ExportError
from sewd_export.layouts.site import write_site

DATA = Path(__file__).parents[2] / "data"
WASM = b"\0asm" + bytes(1000)


@pytest.fixture
def ort_web(tmp_path: Path) -> Path:
    """A package with the two files that the page takes."""
    dist = tmp_path / "node_modules/onnxruntime-web/dist"
    dist.mkdir(parents=True)
    (dist / "ort.wasm.bundle.min.mjs").write_text("export {};")
    (dist / "ort-wasm-simd-threaded.wasm").write_bytes(WASM)
    return dist.parent


def declared(site: Path) -> dict[str, object]:
    """What the service worker keeps."""
    line = (site / "service-worker.js").read_text("utf-8").partition("\n")[0]
    content: dict[str, object] = json.loads(line.removeprefix("const SITE = ").removesuffix(";"))
    return content


def test_the_service_worker_knows_every_file(ort_web: Path, tmp_path: Path) -> None:
    site = write_site(DATA / "tiny", tmp_path / "site", ort_web=ort_web)
    others = {"service-worker.js", "sewd-layout.json"}
    paths = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    assert declared(site)["files"] == {
        name: {"size_bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for name, path in paths.items()
        if name not in others
    }
    assert gzip.decompress(paths["ort/ort.wasm.gz"].read_bytes()) == WASM
    assert (site / "model/model.int8.onnx").read_bytes() == (DATA / "tiny/model.int8.onnx").read_bytes()
    assert "Content-Security-Policy" in (site / "index.html").read_text("utf-8")


def test_the_same_files_are_the_same_version(
    ort_web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # node_modules is found here
    command = ["--bundle", str(DATA / "tiny"), "--web", "site", "--quiet"]
    assert main(command) == 0
    before = declared(tmp_path / "site")
    assert main(command) == 0  # replaces what it wrote
    assert declared(tmp_path / "site") == before
    (ort_web / "dist/ort.wasm.bundle.min.mjs").write_text("export const changed = 1;")
    assert main(command) == 0
    assert declared(tmp_path / "site")["version"] != before["version"]


@pytest.mark.parametrize("change", ["edited", "added", "linked", "empty"])
def test_a_page_that_someone_changed_is_not_replaced(change: str, ort_web: Path, tmp_path: Path) -> None:
    site = write_site(DATA / "tiny", tmp_path / "site", ort_web=ort_web)
    page = site / "page"
    if change == "edited":
        (page / "page.css").write_text("body { color: red; }")
    elif change == "added":
        (page / "logo.svg").write_text("<svg/>")
    elif change == "empty":
        (page / "pictures").mkdir()
    else:
        page.rename(tmp_path / "elsewhere")
        page.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ExportError, match="not as it was written there"):
        write_site(DATA / "tiny", site, ort_web=ort_web)


def test_what_it_needs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--bundle", str(DATA / "tiny"), "--web", "site"]) == 1
    assert "run npm install onnxruntime-web@" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
    with pytest.raises(ExportError, match="its task is classification; the page needs ctc"):
        write_site(DATA / "tiny-classifier", tmp_path / "site")
    with pytest.raises(SystemExit):
        main(["--bundle", str(DATA / "tiny"), "--ort", "--ort-web", "somewhere"])

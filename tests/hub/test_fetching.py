"""Bundles are fetched from a hub by the real client, a file when it is used (the hub is a local one)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from sewd_export.arguments import parse_arguments
from sewd_export.checkpoint.sources import find_source
from sewd_export.errors import CheckpointNotFoundError
from sewd_runtime import BundleError, BundleNotFoundError, HubError, MissingPackageError, Recognizer, load
from sewd_runtime.bundle.folder import MODELS, find_bundle
from sewd_runtime.cli import main
from sewd_runtime.errors import BundleFileMissingError
from tests.hub.server import Hub
from tests.language_models import list_language_model
from tests.serve.running import running

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/data/tiny"
CLIP = ROOT / "export/sewd_export/speech/awb_1.flac"
ID = "owner/name"


def test_only_what_is_used_is_fetched_and_once(hub: Hub) -> None:
    hub.add(ID, TINY)
    recognizer = Recognizer.load(ID, precision="int8")
    assert sorted(hub.fetched()) == ["bundle.json", "model.int8.onnx", "vocab.json"]
    assert recognizer.transcribe(CLIP) == Recognizer.load(TINY, precision="int8").transcribe(CLIP)
    load(ID, precision="int8")
    assert hub.fetched() == []
    load(ID)
    assert hub.fetched() == ["model.fp32.onnx"]
    find_bundle(ID).verify()
    assert {"golden.npz", "model.fp16.onnx", "model.int8-static.onnx"} < set(hub.fetched())


def test_a_language_model_is_fetched_when_it_is_decoded_with(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("kenlm", reason="needs sewd[lm]")
    bundle = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    (tmp_path / "text.txt").write_text("one two three\n")
    assert main(["lm", "build", str(tmp_path / "text.txt"), "-o", str(bundle / "lm.arpa")]) == 0
    lm = list_language_model(bundle)
    hub.add(ID, bundle)
    recognizer = Recognizer.load(ID, precision="int8")
    recognizer.transcribe(CLIP)
    assert sorted(hub.fetched()) == ["bundle.json", "model.int8.onnx", "vocab.json"]
    found = recognizer.transcribe(CLIP, decoder=recognizer.decoders.beam_search())
    assert hub.fetched() == [lm.name]
    local = Recognizer.load(bundle, precision="int8")
    assert found == local.transcribe(CLIP, decoder=local.decoders.beam_search())


def test_the_command_line_fetches(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add(ID, TINY)
    commit = hub.repos[ID].refs["main"]
    assert main(["transcribe", "--model", f"{ID}@{commit}", str(CLIP)]) == 0
    output = capsys.readouterr()
    assert f"sewd: fetching model.fp32.onnx of {ID}@{commit}\n" in output.err
    assert main(["transcribe", "--model", str(TINY), str(CLIP)]) == 0
    assert capsys.readouterr().out == output.out


def test_a_revision_is_pinned_and_files_are_of_one_commit(hub: Hub) -> None:
    repo = hub.add(ID, TINY)
    first = repo.refs["main"]
    repo.refs["v1"] = first
    opened = find_bundle(ID)
    manifest = repo.files["bundle.json"].replace(b'"stride": 80', b'"stride": 81')
    repo.commit({"bundle.json": manifest, "vocab.json": b"{}"})
    assert opened.read_bytes("vocab.json") == (TINY / "vocab.json").read_bytes()
    assert find_bundle(ID).manifest.stride == 81
    for revision in ("v1", first):
        assert find_bundle(f"{ID}@{revision}").manifest.stride == 80


def test_without_a_network_the_cache_is_used(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(ID, TINY)
    text = Recognizer.load(ID).transcribe(CLIP).text
    hub.asked.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert Recognizer.load(ID).transcribe(CLIP).text == text
    with pytest.raises(
        BundleFileMissingError, match=r"model\.int8\.onnx of owner/name: HF_HUB_OFFLINE is set"
    ):
        load(ID, precision="int8")
    with pytest.raises(
        BundleNotFoundError, match="owner/other: no such folder, and on the Hub: HF_HUB_OFFLINE"
    ):
        load("owner/other")
    assert hub.asked == []


def test_a_hub_that_cannot_be_reached(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    url = constants.HUGGINGFACE_CO_URL_TEMPLATE.replace(hub.url, "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url)
    monkeypatch.setattr("time.sleep", lambda _: None)  # the client tries five times
    with pytest.raises(BundleNotFoundError, match=r"cannot be reached, .* fetch it once with a network"):
        load(ID)


def test_what_is_not_there_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add(ID, TINY)
    hub.add("owner/checkpoint", ROOT / "tests/data/checkpoint-tiny")
    hub.add("owner/private", TINY, private=True)
    hub.add("owner/gated", TINY, gated=True)
    del hub.add("owner/partial", TINY).files["vocab.json"]
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    for name, kind, words in (
        ("owner/none", BundleNotFoundError, "no such repository; if it is private, log in: hf auth login"),
        ("owner/private", BundleNotFoundError, "no such repository; if it is private"),
        ("owner/gated", HubError, f"ask for it at {hub.url}/owner/gated, then log in: hf auth login"),
        ("owner/name@v9", BundleNotFoundError, "the repository has no revision 'v9'"),
        ("owner/checkpoint", BundleNotFoundError, "sewd-export owner/checkpoint -o BUNDLE"),
        (
            "owner/partial",
            BundleFileMissingError,
            "vocab.json of owner/partial: the repository has no such file",
        ),
        ("owner/a--b", BundleError, "on the Hub: "),
    ):
        with pytest.raises(kind) as raised:
            load(name)
        assert str(raised.value).startswith((f"{name}: ", "vocab.json of")) and words in str(raised.value)


def test_a_checkpoint_of_a_revision_is_exported(hub: Hub, tmp_path: Path) -> None:
    repo = hub.add(ID, ROOT / "tests/data/checkpoint-tiny")
    repo.refs["v1"] = repo.refs["main"]
    repo.commit({"config.json": b"{}"})
    source = find_source(parse_arguments([ID, "--revision", "v1"]).checkpoint)
    assert (source.name, source.origin) == ("name", f"{ID}@v1")
    assert (source.folder / "config.json").stat().st_size > 2
    with pytest.raises(CheckpointNotFoundError, match="no revision 'v9'"):
        find_source(f"{ID}@v9")
    for arguments in (["--revision", "v1"], [str(tmp_path), "--revision", "v1"]):
        with pytest.raises(SystemExit):
            parse_arguments(arguments)


def test_a_damaged_file_is_refused(hub: Hub) -> None:
    hub.add(ID, TINY).files["model.fp32.onnx"] += b"."
    with pytest.raises(BundleError, match="the manifest says"):
        load(ID)


def test_nothing_is_fetched_that_was_not_asked_for(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add(ID, TINY)
    hub.add("my/digits", TINY)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(TINY, ID)
    assert find_bundle(ID).repository is None  # a folder wins
    assert find_bundle("digits").path == MODELS / "digits"
    for name in ("name", "owner/name/more", "./name", "/name", "owner/", "owner/name@", "../my", "o/n.onnx"):
        with pytest.raises(BundleNotFoundError):
            find_bundle(name)
    with pytest.raises(BundleNotFoundError):
        find_bundle(Path("my/digits"))  # a path is none
    assert hub.asked == []


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"owner/name: no such folder; .*pip install 'sewd\[hub\]'"):
        load(ID)


def test_a_program_by_the_variables_of_the_client(hub: Hub, tmp_path: Path) -> None:
    hub.add(ID, TINY)
    environment = {**os.environ, **hub.environment(tmp_path / "home")}
    command = [sys.executable, "-m", "sewd_runtime", "inspect", ID]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all sizes and hashes right" in done.stdout
    [folder] = (tmp_path / "home/hub").glob("models--owner--name/snapshots/*")
    assert {path.name for path in folder.iterdir()} == {path.name for path in TINY.iterdir()}


def test_a_served_model_has_the_name_of_its_repository(hub: Hub, tmp_path: Path) -> None:
    repo = hub.add(ID, TINY)
    repo.refs["v1"] = repo.refs["main"]
    environment = hub.environment(tmp_path / "home")
    with running(f"{ID}@v1", log=tmp_path / "log", environment=environment) as server:
        assert [model["id"] for model in server.client.get("/v1/models").json()["data"]] == ["name"]
        assert server.transcribe(CLIP)["text"] == Recognizer.load(TINY).transcribe(CLIP).text

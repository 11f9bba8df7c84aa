"""A pushed bundle is there in one commit; a card that somebody wrote is kept (the hub is a local one)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from sewd_runtime import Recognizer
from sewd_runtime.cli import main
from tests.hub.server import Hub

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests/data/tiny"
CLIP = ROOT / "export/sewd_export/speech/awb_1.flac"
ID = "owner/name"
# huggingface_hub 2.4 uploads with an argument that its HTTP client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The tiny bundle as if it came from a checkpoint on the Hub and had counted words."""
    folder = Path(shutil.copytree(TINY, tmp_path / "bundle"))
    manifest = json.loads((folder / "bundle.json").read_text())
    manifest["provenance"]["checkpoint"] = "asapp/sew-d@v1"
    manifest["precisions"]["int8"]["parity"] |= {"words": 27, "wer": 0.037, "original_wer": 0.0}
    (folder / "bundle.json").write_text(json.dumps(manifest))
    return folder


def test_a_pushed_bundle_is_loaded_again(hub: Hub, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = hub.add("asapp/sew-d")
    base.refs["v1"] = base.commit({"README.md": b"---\nlicense: apache-2.0\nlanguage: en\n---\nA card."})
    assert main(["push", str(bundle), ID]) == 0
    repo = hub.repos[ID]
    assert capsys.readouterr().out == f"{hub.url}/{ID}/commit/{repo.refs['main']}\n"
    assert repo.messages == ["", "Upload checkpoint-tiny with sewd 0.1.0"] and not repo.private
    assert {name for name in repo.files if name != "README.md"} == {path.name for path in bundle.iterdir()}
    assert Recognizer.load(ID).transcribe(CLIP) == Recognizer.load(bundle).transcribe(CLIP)
    card = ModelCard(repo.files["README.md"].decode())
    about = card.data.to_dict()
    assert about.pop("model-index")[0]["results"][0]["metrics"][0]["value"] == 3.7
    assert about == {
        "base_model": "asapp/sew-d",
        "language": "en",
        "library_name": "sewd",
        "license": "apache-2.0",
        "metrics": ["wer"],
        "pipeline_tag": "automatic-speech-recognition",
        "tags": ["sewd", "onnx", "sew-d"],
    }
    assert f"sewd transcribe --model {ID}" in card.text
    for name in json.loads((bundle / "bundle.json").read_text())["precisions"]:
        assert f"\n| {name} | " in card.text


def test_what_is_not_known_is_not_in_the_card(hub: Hub) -> None:
    assert main(["push", str(TINY), ID, "--private"]) == 0
    assert hub.repos[ID].private
    about = ModelCard(hub.repos[ID].files["README.md"].decode()).data.to_dict()
    assert about.keys() == {"library_name", "pipeline_tag", "tags"}


def test_a_card_that_somebody_wrote_is_kept(
    hub: Hub, bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(TINY), ID]) == 0
    repo = hub.repos[ID]
    written = repo.files["README.md"]
    assert main(["push", str(bundle), ID]) == 0
    replaced = repo.files["README.md"]
    assert replaced != written  # nobody had edited it
    for card in (replaced.replace(b"# checkpoint-tiny", b"# My model"), b"My model.", b""):
        repo.commit({"README.md": card})
        capsys.readouterr()
        assert main(["push", str(TINY), ID]) == 0
        assert repo.files["README.md"] == card
        assert "its README.md was kept" in capsys.readouterr().err
    assert main(["push", str(TINY), ID, "--replace-card"]) == 0
    assert repo.files["README.md"] == written


def test_a_bad_bundle_is_not_uploaded(hub: Hub, bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle / "model.int8.onnx").write_bytes(b"")
    assert main(["push", str(bundle), ID]) == 1
    assert "not uploaded: " in capsys.readouterr().err
    assert hub.repos == {} and hub.asked == []


def test_what_the_hub_refuses_is_named(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.add("owner/checkpoint", ROOT / "tests/data/checkpoint-tiny")
    hub.add("owner/public", TINY)
    with pytest.raises(SystemExit):
        main(["push", str(TINY), "owner/name@v1"])
    for arguments, words in (
        (["owner/checkpoint"], "holds no bundle, but config.json, preprocessor_config.json, vocab.json"),
        (["owner/public", "--private"], "exists and is public"),
    ):
        assert main(["push", str(TINY), *arguments]) == 3
        assert words in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    for repository in ("owner/new", "owner/public"):
        assert main(["push", str(TINY), repository]) == 3
        assert "nothing was uploaded; the Hub: it answered 40" in (error := capsys.readouterr().err)
        assert "log in: hf auth login" in error
    assert [len(repo.commits) for repo in hub.repos.values()] == [1, 1]

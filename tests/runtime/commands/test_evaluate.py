"""Laws of ``sewd evaluate``: its texts are those of ``sewd transcribe``, its rates those of jiwer, and
its page needs nothing else."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sewd_runtime.cli import main
from sewd_runtime.commands import evaluate

jiwer = pytest.importorskip("jiwer", reason="needs sewd[evaluate]")

CLIPS = Path(__file__).parents[3] / "export/sewd_export/speech"
LINES = (CLIPS / "transcripts.tsv").read_text().splitlines()
SAID = {Path(name).stem: text for name, text, *_ in (line.split("\t") for line in LINES)}
WRONG = {name: f"{text.rpartition(' ')[0]} <b>" for name, text in SAID.items()}


def listed(path: Path, texts: dict[str, str], *, names: bool = False) -> Path:
    """Write a list of the clips; names: without folder and suffix."""
    rows = ((name if names else CLIPS / f"{name}.flac", text) for name, text in texts.items())
    path.write_text("".join(f"{name}\t{text}\n" for name, text in rows))
    return path


@pytest.fixture
def document(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Return a function that runs the command with --json and returns the document."""

    def run(*arguments: object, code: int = 0) -> Any:
        assert main(["evaluate", *map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


def test_its_texts_are_those_of_transcribe(
    document: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--hotword", "six=4", "--vad", "--precision", "int8"]
    clips = sorted(map(str, CLIPS.glob("*.flac")))
    assert main(["transcribe", *clips, *options, "--json"]) == 0
    transcribed = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    for manifest in (CLIPS, listed(tmp_path / "list.tsv", SAID)):
        found = document("--manifest", manifest, *options)
        [system] = found["systems"]
        assert (system["precision"], system["provider"]) == ("int8", "cpu")
        texts = {
            Path(row["name"]).name: row["systems"][system["name"]]["text"] for row in found["transcripts"]
        }
        assert texts == dict(zip((Path(clip).name for clip in clips), transcribed, strict=True))
        assert "--hotword" in found["decoder"]


def test_its_rates_are_jiwers_within_their_intervals(document: Callable[..., Any], tmp_path: Path) -> None:
    found = document("--manifest", listed(tmp_path / "list.tsv", WRONG), "--normalise", "none")
    [system] = found["systems"]
    texts = [row["systems"][system["name"]]["text"] for row in found["transcripts"]]
    references = list(WRONG.values())
    assert system["wer"]["rate"] == jiwer.wer(references, texts) > 0
    assert system["cer"]["rate"] == jiwer.cer(references, texts) > 0
    assert system["wer"]["low"] < system["wer"]["rate"] < system["wer"]["high"]
    assert found["words"] == sum(len(text.split()) for text in references)
    assert sum(system[kind] for kind in ("substitutions", "deletions", "insertions")) == len(WRONG)
    assert {pair["reference"] for pair in system["confusions"]} == {"<b>"}


def test_precisions_are_compared_with_the_first(document: Callable[..., Any]) -> None:
    found = document("--manifest", CLIPS, "--precision", "all")
    fp32, int8 = found["systems"]
    assert (fp32["precision"], int8["precision"]) == ("fp32", "int8")
    assert fp32["difference"] is None
    assert int8["difference"]["against"] == fp32["name"]


def test_all_precisions_are_compared_with_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = SimpleNamespace(precisions=dict.fromkeys(("fp16", "fp32", "int8")))
    monkeypatch.setattr(evaluate, "find_bundle", lambda _: SimpleNamespace(manifest=manifest))
    compared = []

    def run(_: object, __: object, precision: str, *___: object, against: str | None) -> SimpleNamespace:
        compared.append((precision, against))
        return SimpleNamespace(system=precision)

    monkeypatch.setattr(evaluate, "_run", run)
    options = argparse.Namespace(precisions=["all"], model=None, against=None)
    list(evaluate._run_all(options, [], None))
    assert compared == [("fp32", None), ("fp16", "fp32"), ("int8", "fp32")]


def test_equal_systems_differ_by_nothing_and_worse_ones_by_more(
    document: Callable[..., Any], tmp_path: Path
) -> None:
    nothing = {"rate": 0, "low": 0, "high": 0}
    same, other = document("--manifest", CLIPS, "--against", "digits")["systems"]
    assert same["difference"] == {"against": other["name"], "wer": nothing, "cer": nothing}
    worse = listed(tmp_path / "texts.tsv", WRONG, names=True)
    ours, theirs = document("--manifest", CLIPS, "--against", worse)["systems"]
    assert theirs["wer"]["rate"] == len(WRONG) / sum(len(text.split()) for text in SAID.values())
    assert ours["difference"]["against"] == theirs["name"] == str(worse)
    assert ours["difference"]["wer"]["rate"] == ours["wer"]["rate"] - theirs["wer"]["rate"]
    assert ours["difference"]["wer"]["high"] < 0


def test_what_transcribe_writes_can_be_compared_with(
    document: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["transcribe", "--json", *map(str, CLIPS.glob("*.flac"))]) == 0
    path = tmp_path / "texts.jsonl"
    path.write_text(capsys.readouterr().out)
    ours, theirs = document("--manifest", CLIPS, "--against", path)["systems"]
    assert ours["wer"] == theirs["wer"] and ours["difference"]["wer"]["rate"] == 0


def test_a_recording_that_cannot_be_read_is_named_and_left_out(
    document: Callable[..., Any], tmp_path: Path
) -> None:
    manifest = listed(tmp_path / "list.tsv", SAID)
    manifest.write_text(f"{manifest.read_text()}missing.wav\tone\n")
    found = document("--manifest", manifest, code=1)
    assert (found["utterances"], found["failed"]) == (len(SAID), 1)


class _Page(HTMLParser):
    """What a page would load, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="needs sewd[evaluate]")
    manifest = listed(tmp_path / "list.tsv", WRONG)
    path, figures = tmp_path / "report.html", tmp_path / "report.json"
    options = ["--normalise", "none", "--precision", "all", "-o", str(path), "-o", str(figures)]
    assert main(["evaluate", "--manifest", str(manifest), *options]) == 0
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert len(page.addresses) == 1 and page.addresses[0].startswith("data:image/svg+xml;base64,")
    assert not page.tags & {"script", "link", "iframe", "b"}
    assert "//" not in path.read_text(encoding="utf-8").replace(page.addresses[0], "").replace(
        str(manifest), ""
    )
    assert "@import" not in path.read_text(encoding="utf-8")
    document = json.loads(figures.read_text())
    for system in document["systems"]:
        assert system["name"] in page.text
        assert f"{100 * system['wer']['rate']:.2f} [" in page.text
    assert "<b>" in page.text  # escaped, so it is text


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_file_name_need_not_be_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="needs sewd[evaluate]")
    (tmp_path / "clips").mkdir()
    shutil.copy(CLIPS / "awb_4.flac", tmp_path / "clips" / "a\udcff\n.flac")
    shutil.copy(CLIPS / "awb_1.flac", tmp_path / "clips" / "b.flac")
    names = tmp_path / "names.jsonl"
    rows = [{"audio": f"clips/{name}.flac", "text": "one"} for name in ("a\udcff\n", "b")]
    names.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = tmp_path / "page.html"
    assert main(["evaluate", "--manifest", str(names), "-o", str(page)]) == 0
    assert r"a\udcff" in page.read_text(encoding="utf-8")
    assert [line for line in capsys.readouterr().out.splitlines() if r"\n.flac: " in line]


def test_the_table_has_the_worst_utterances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worst = {**SAID, "awb_4": "zero " * 30}
    manifest = listed(tmp_path / "list.tsv", worst)
    assert main(["evaluate", "--manifest", str(manifest)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^digits fp32 cpu +\d+\.\d\d \[\d+\.\d\d, \d+\.\d\d\]", out, re.MULTILINE)
    assert re.search(r"worst utterances of digits fp32 cpu\n  .*awb_4\.flac: \d+ wrong of 30 words", out)
    assert "(nothing)" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--manifest", CLIPS, "--against", "nofile.tsv"], "nofile.tsv"),
        (["--manifest", CLIPS, "--against", ""], "the name is empty"),
        (["--manifest", "nofile.tsv"], "nofile.tsv"),
        (["--manifest", CLIPS, "--precision", "fp16"], "fp16"),
        (["--manifest", "empty.tsv"], "no words after normalisation"),
    ],
)
def test_mistakes_are_named(
    arguments: list[object],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    listed(Path("empty.tsv"), {"awb_4": " "})
    assert main(["evaluate", *map(str, arguments)]) == 3
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(("package", "output"), [("jiwer", []), ("matplotlib.figure", ["-o", "report.html"])])
def test_a_missing_package_is_named_before_anything_runs(
    package: str, output: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["evaluate", "--manifest", str(CLIPS), *output]) == 3
    assert "pip install 'sewd[evaluate]'" in capsys.readouterr().err


def test_the_list_is_not_overwritten(tmp_path: Path, misuse: Callable[..., str]) -> None:
    path = tmp_path / "list.json"
    path.write_text('{"audio": "a.wav", "text": "one"}')
    assert "would replace a file that is read" in misuse("evaluate", "--manifest", path, "-o", path)
    assert "ends in neither .html nor .json" in misuse("evaluate", "--manifest", path, "-o", "report.pdf")

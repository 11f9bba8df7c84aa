"""Laws of processes: a forked child runs what its parent loaded, or is refused, and always ends; what goes
between processes can be pickled."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sewd_runtime
from sewd_runtime.errors import CopyError
from sewd_runtime.inference import providers

COPIES: list[Callable[[Any], Any]] = [lambda thing: pickle.loads(pickle.dumps(thing)), copy.deepcopy]

multithreaded = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks")


FORK = """
import os, sys
import sewd_runtime

clip, threads, how_often = sys.argv[1:]
recognizer = sewd_runtime.load(threads=int(threads))
expected = recognizer.transcribe(clip).text
child = os.fork()
if child == 0:
    for _ in range(int(how_often)):
        assert recognizer.transcribe(clip).text == expected
    sys.exit(0)
print("exit", os.waitpid(child, 0)[1])
"""


@needs_fork
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("how_often", [0, 1, 2])
def test_a_forked_child_transcribes_and_ends(threads: str, how_often: int) -> None:
    clip = next((Path(__file__).parents[3] / "export/sewd_export/speech").glob("*.flac"))
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(clip), threads, str(how_often)],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout == "exit 0\n"


@needs_fork
@multithreaded
def test_a_provider_that_does_not_survive_a_fork_is_refused_in_the_child(
    monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    cpu = replace(providers.PROVIDERS["cpu"], works_after_fork=False)
    monkeypatch.setattr(providers, "PROVIDERS", {**providers.PROVIDERS, "cpu": cpu})
    assert_refused_in_child(tiny_bundle, "this provider does not work in forked processes")


@needs_fork
@multithreaded
def test_a_file_that_was_replaced_is_refused_in_the_child(broken_bundle: Path) -> None:
    def replace_file() -> None:
        path = broken_bundle / "model.fp32.onnx"
        path.write_bytes(path.read_bytes()[::-1])

    assert_refused_in_child(broken_bundle, "the file has changed since", replace_file)


def assert_refused_in_child(bundle: Path, reason: str, before: Callable[[], None] = lambda: None) -> None:
    import numpy as np

    recognizer = sewd_runtime.Recognizer.load(bundle, threads=2)
    before()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            recognizer.transcribe(np.zeros(16_000, np.float32))
        except sewd_runtime.SewdError as error:
            os.write(writing, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        message = pipe.read()
    assert f"was loaded before this process was forked, and {reason}; load it in the process" in message


@pytest.mark.parametrize("duplicate", COPIES)
def test_what_goes_between_processes_can_be_pickled_and_copied(
    duplicate: Callable[[Any], Any], tiny_bundle: Path, recordings: list[Any]
) -> None:
    recognizer = sewd_runtime.Recognizer.load(tiny_bundle, threads=1)
    decoders = [
        sewd_runtime.Greedy(),
        sewd_runtime.BeamSearch(),
        sewd_runtime.BeamSearch(hotwords={"six": 2.0}, lexicon=["six", "two"]),
    ]
    for decoder in decoders:
        transcript = recognizer.transcribe(recordings[8], decoder=decoder)
        assert duplicate(decoder) == decoder
        assert duplicate(transcript) == transcript
        assert recognizer.transcribe(recordings[8], decoder=duplicate(decoder)) == transcript
    assert duplicate(recognizer.manifest) == recognizer.manifest
    assert duplicate(recognizer.vocabulary) == recognizer.vocabulary


@pytest.mark.parametrize("duplicate", COPIES)
def test_a_loaded_model_says_how_another_process_opens_it(
    duplicate: Callable[[Any], Any], tiny_bundle: Path
) -> None:
    recognizer = sewd_runtime.Recognizer.load(tiny_bundle, threads=1)
    for loaded in (recognizer, recognizer.network, recognizer.stream()):
        with pytest.raises(
            CopyError, match=r"cannot be pickled .* opens it with sewd_runtime\.load\('.*fp32"
        ):
            duplicate(loaded)

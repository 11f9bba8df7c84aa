"""Clients of others in environments of their own, as in tests/others: where one is absent it is skipped."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sewd_runtime import Recognizer
from tests.environments import answer_of, python_of
from tests.serve.realtime import CLIPS, heard_by_stream, silence, speech, text_of
from tests.serve.running import RunningServer, running

PROGRAMS = Path(__file__).with_name("programs")

Ask = Callable[..., Any]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """A function that runs a program in another environment and reads the JSON that it prints last."""

    def run(environment: str, program: str, *arguments: object) -> Any:
        return answer_of([python_of(environment), PROGRAMS / f"{program}.py", *arguments])

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of one model by two names; LiveKit gives keywords only to the second one."""
    arguments = ("digits=digits", "gpt-transcribe=digits", "--language", "en")
    with running(*arguments, log=tmp_path_factory.mktemp("clients") / "log") as server:
        yield server


@pytest.fixture(scope="session")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="session")
def clip() -> Path:
    return CLIPS[0]


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Callable[[int], Path]:
    """A function that returns raw samples at a rate: a clip and a second of silence."""

    def write(rate_hz: int) -> Path:
        path = tmp_path_factory.mktemp("spoken") / f"{rate_hz}.raw"
        path.write_bytes(samples_at(clip, rate_hz).tobytes())
        return path

    return write


@pytest.fixture(scope="session")
def expected(digits: Recognizer, clip: Path) -> str:
    """What a stream of the runtime hears in the clip, at either rate."""
    texts = {text_of(heard_by_stream(digits, samples_at(clip, rate), rate)[0]) for rate in (16_000, 24_000)}
    [text] = texts
    return text


def samples_at(clip: Path, rate_hz: int) -> NDArray[np.int16]:
    return np.concatenate([speech(clip, rate_hz), silence(1, rate_hz)])

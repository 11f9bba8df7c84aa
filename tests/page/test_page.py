"""Law: the page at / gives in Debian's Chromium what the commands write. page.mjs drives the browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sewd_runtime import Recognizer
from tests.page.conftest import CLIPS, ROOT, check_recordings, expected_of, run_browser
from tests.serve.running import running

TINY = ROOT / "tests/data/tiny"
KEY = "key-of-the-test"


@pytest.fixture(scope="module")
def digits() -> Recognizer:
    return Recognizer.load(threads=1)


@pytest.fixture(scope="module")
def given(
    tools: dict[str, str], digits: Recognizer, microphone: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """What page.mjs is told: servers, recordings, and what is right."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "keys").write_text(KEY)
    with (
        running(log=folder / "log") as server,
        running(
            "--api-key-file", str(folder / "keys"), f"first={TINY}", f"second={TINY}", log=folder / "locked"
        ) as locked,
    ):
        text = Recognizer.load(TINY, threads=1).transcribe(CLIPS[0]).text
        yield {
            **tools,
            **expected_of(digits, microphone, folder),
            "url": server.url,
            "picture": os.environ.get("PAGE_PICTURE", str(folder / "page.png")),
            "locked": {
                "url": locked.url,
                "key": KEY,
                "models": ["first", "second"],
                "texts": {"first": text, "second": text},
            },
        }


def test_the_page_in_chromium(given: dict[str, Any], digits: Recognizer) -> None:
    run_browser("page.mjs", given, tests=13)
    check_recordings(given, digits, 3)

from __future__ import annotations

from collections.abc import Callable

import pytest

from sewd_runtime.cli import main


@pytest.fixture
def misuse(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs ``sewd`` with wrong arguments and returns the complaint below the usage."""

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        assert exit_.value.code == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("usage: sewd")
        return captured.err.splitlines()[-1]

    return run

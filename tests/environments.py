"""Environments of other tools, which `.ci/run` makes: where one is absent, its tests are skipped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def python_of(environment: str) -> Path:
    """The interpreter of an environment, which a variable of its name may put elsewhere; skips without it."""
    python = Path(os.environ.get(environment, ROOT / f".venv-{environment.lower()}")) / "bin/python"
    if not python.exists():
        pytest.skip(f"no {python}; {environment} names another environment")
    return python


def answer_of(command: Sequence[object], **variables: str) -> Any:
    """Run a program, by default without our packages, and read the JSON that it prints last."""
    environment = {**os.environ, "PYTHONPATH": "", **variables}
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])

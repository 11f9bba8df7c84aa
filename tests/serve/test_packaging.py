"""The Dockerfile and the unit of systemd, as far as neither Docker nor a booted systemd is needed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.running import RunningServer, running

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
UNIT = ROOT / "packaging/sewd.service"
MAX_EXPOSURE = 15
"""In tenths, as `systemd-analyze security` takes it: 1.5 of 10."""


def exec_form(instruction: str) -> list[str]:
    """The command of an instruction, which is a list so that no shell stands between it and signals."""
    [line] = re.findall(rf"^.*\b{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(line)


def test_the_build_is_sent_what_it_copies_and_nothing_else() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE)
        for source in line.split()[:-1]
    }
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    assert rules[0] == "*"
    assert copied == {rule[1:] for rule in rules if rule.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_runs_a_command_that_exists() -> None:
    command, *arguments = exec_form("ENTRYPOINT")
    assert command == "sewd"
    with pytest.raises(subprocess.TimeoutExpired):  # it serves until it is stopped
        subprocess.run([sys.executable, "-m", "sewd_runtime", *arguments, "--port", "0"], timeout=5)


def test_the_health_check_sees_a_server_and_its_absence(tmp_path: Path) -> None:
    _, *arguments = exec_form("CMD")

    def is_healthy(server: RunningServer) -> bool:
        command = [text.replace(":8000/", f":{server.port}/") for text in arguments]
        return subprocess.run([sys.executable, *command], capture_output=True).returncode == 0

    with running(log=tmp_path / "log") as server:
        assert is_healthy(server)
    assert not is_healthy(server)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is installed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/sewd/bin/sewd", sys.executable))
    return path


def test_systemd_accepts_the_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_exposes_little(unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

"""Law: each shell completes commands, options and values; without argcomplete the command runs as before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent

SHELLS = {
    "bash": """
        eval "$(register-python-argcomplete sewd)"
        complete_line() {
            COMP_WORDS=($1); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_LINE=$1; COMP_POINT=${#1}
            COMP_TYPE=9
            _python_argcomplete sewd
            echo ${COMPREPLY[@]}
        }
        for line in "sewd tr" "sewd bench --prec" "sewd align --provider xn"; do complete_line "$line"; done
    """,
    "fish": """
        register-python-argcomplete --shell fish sewd | source
        for line in "sewd tr" "sewd bench --prec" "sewd align --provider xn"; complete -C $line; end
    """,
    "zsh": """
        zmodload zsh/zpty
        zpty -b shell zsh -f -i
        zpty -w shell 'autoload -U compinit; compinit -D -u; eval "$(register-python-argcomplete sewd)"'
        zpty -w shell 'print ready=$((1 + 1))'
        zpty -r shell output '*ready=2*'
        complete_line() {
            zpty -n -w shell "$1"$'\\t'
            zpty -r shell output "*$2*" && print -r -- $2
            zpty -n -w shell $'\\C-u'
        }
        complete_line "sewd tr" transcribe
        complete_line "sewd bench --prec" --precision
        complete_line "sewd align --provider xn" xnnpack
    """,
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes(shell: str) -> None:
    pytest.importorskip("argcomplete", reason="needs sewd[cli]")
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    if not (BIN / "sewd").exists():
        pytest.skip("needs the installed command")
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [shell, "-c", SHELLS[shell]], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    words = [line.split()[0] for line in done.stdout.splitlines() if line]
    assert words == ["transcribe", "--precision", "xnnpack"], done.stderr


def test_without_argcomplete_the_command_runs() -> None:
    code = (
        "import sys; sys.modules['argcomplete'] = None\n"
        "from sewd_runtime.cli import main; main(['--version'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "_ARGCOMPLETE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("sewd ")

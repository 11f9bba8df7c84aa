"""Law: sewd_export may import sewd_runtime, never the reverse; and what each of the two offers is pinned."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME = ROOT / "runtime" / "sewd_runtime"
BANNED = {"torch", "transformers", "onnx", "sewd_export"}
MODULES = sorted(RUNTIME.rglob("*.py"))
SNIPPETS = [
    "import {}\n\nprint({})\n",
    "import {}.sub\n\nprint({})\n",
    "from {} import name\n\nprint(name)\n",
    "def late() -> object:\n    import {} as other\n\n    return other\n",
]

_IMPORT_ALL = """
import importlib, json, pkgutil, sys
import sewd_runtime
found = [module.name for module in pkgutil.walk_packages(sewd_runtime.__path__, "sewd_runtime.")]
for name in found:
    importlib.import_module(name)
for name in sewd_runtime.__all__:
    getattr(sewd_runtime, name)
print(json.dumps([found, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_no_module_of_the_runtime_loads_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_ALL], capture_output=True, text=True, check=True, cwd=ROOT
    )
    imported, loaded = json.loads(done.stdout)
    files = {path.relative_to(RUNTIME).with_suffix("").as_posix().replace("/", ".") for path in MODULES}
    names = {f"sewd_runtime.{name}".removesuffix(".__init__") for name in files} - {"sewd_runtime"}
    assert set(imported) == names
    assert not BANNED & set(loaded)
    assert {"numpy", "sewd_runtime"} <= set(loaded)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(RUNTIME).as_posix())
def test_no_module_of_the_runtime_names_torch(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "relative imports hide where they lead"
            imported.add(str(node.module).partition(".")[0])
    assert not BANNED & imported


def ruff(name: str, source: str) -> subprocess.CompletedProcess[str]:
    pytest.importorskip("ruff")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--no-cache",
            "--output-format",
            "concise",
            "--stdin-filename",
            name,
            "-",
        ],
        input=f'"""Test."""\n\n{source}',
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )


@pytest.mark.parametrize("banned", sorted(BANNED))
def test_lint_refuses_it_too(banned: str) -> None:
    for snippet in SNIPPETS:
        source = snippet.replace("{}", banned)
        done = ruff("runtime/sewd_runtime/invented.py", source)
        assert done.returncode == 1, source
        assert f"TID251 `{banned}" in done.stdout, source
        assert "TID251" not in ruff("export/sewd_export/invented.py", source).stdout


def test_the_two_folders_are_no_packages() -> None:
    assert not (ROOT / "export" / "__init__.py").exists()
    assert not (ROOT / "runtime" / "__init__.py").exists()


def test_what_the_exporter_offers() -> None:
    sewd_export = pytest.importorskip("sewd_export", reason="needs sewd[export]", exc_type=ImportError)
    assert sewd_export.__all__ == [
        "ExportError",
        "Exported",
        "ParityReport",
        "add",
        "export",
        "optimize",
        "trace",
        "verify",
    ]
    assert all(callable(getattr(sewd_export, name)) for name in sewd_export.__all__)

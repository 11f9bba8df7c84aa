from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sewd_runtime
from sewd_runtime import _public, errors
from sewd_runtime.bundle import manifest

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"

HEAVY = (
    "numpy",
    "onnxruntime",
    "openvino",
    "soundfile",
    "soxr",
    "torch",
    "transformers",
    "onnx",
    "sewd_export",
)

WATCH_IMPORT = """
import sys, threading
opened = []
sys.addaudithook(lambda event, details: opened.append(str(details[0])) if event == "open" else None)
import sewd_runtime
assert threading.active_count() == 1
print(*[name for name in {heavy} if name in sys.modules])
print(*[name for name in opened if not name.endswith((".py", ".pyc")) and ".pyc." not in name])
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_one_list_of_public_names_says_what_checkers_need() -> None:
    statements = ast.parse(Path(_public.__file__).read_text(encoding="utf-8")).body[1:]
    names = [alias for one in statements if isinstance(one, ast.ImportFrom) for alias in one.names]
    assert len(statements) == len(names)
    assert all(alias.asname == alias.name for alias in names)  # the form that re-exports
    assert sorted(alias.name for alias in names) == sewd_runtime.__all__


def test_every_public_name_is_there() -> None:
    for name in sewd_runtime.__all__:
        assert getattr(sewd_runtime, name) is not None
        assert name in dir(sewd_runtime)
    with pytest.raises(AttributeError, match="Recogniser"):
        sewd_runtime.Recogniser  # noqa: B018


def named_types(hint: Any) -> Iterator[type]:
    """The classes of the runtime that a type names."""
    if isinstance(hint, type) and hint.__module__.startswith("sewd_runtime."):
        yield hint
    for part in typing.get_args(hint):
        yield from named_types(part)


def signatures(public: Any) -> Iterator[Any]:
    """The types in the fields, methods, properties and functions that a user sees."""
    if inspect.isfunction(public):
        yield from typing.get_type_hints(public).values()
    elif inspect.isclass(public) and not issubclass(public, Exception):
        yield from (hint for name, hint in typing.get_type_hints(public).items() if not name.startswith("_"))
        for name, member in inspect.getmembers(public):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if inspect.isfunction(function) and not name.startswith("_"):
                yield from typing.get_type_hints(function, localns=vars(manifest)).values()


def test_every_type_in_a_public_signature_is_public() -> None:
    public = [getattr(sewd_runtime, name) for name in sewd_runtime.__all__]
    named = {kind.__name__ for each in public for hint in signatures(each) for kind in named_types(hint)}
    entries = ("CtcEntry", "EngineEntry", "FileEntry", "LanguageModelEntry", "PrecisionEntry")
    of_the_manifest = {*entries, "Provenance"}
    made_inside = {"BundleDecoders", "Network", "FrameClock", "BeamState", "GreedyState"}
    assert named - set(sewd_runtime.__all__) == of_the_manifest | made_inside


def test_import_loads_nothing_heavy_and_opens_no_file() -> None:
    assert run(WATCH_IMPORT.format(heavy=HEAVY)).split() == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        (
            "from sewd_runtime import *",
            ("onnxruntime", "openvino", "soundfile", "soxr", "torch", "transformers", "onnx"),
        ),
        (
            "import sewd_runtime.cli",
            ("onnxruntime", "openvino", "soundfile", "soxr", "torch", "transformers", "onnx"),
        ),
        ("from sewd_runtime.bundle.manifest import Manifest", ("numpy", "onnxruntime", "openvino")),
    ],
)
def test_names_load_only_what_they_need(statement: str, absent: tuple[str, ...]) -> None:
    assert (
        run(f"{statement}\nimport sys\nprint(*[name for name in {absent} if name in sys.modules])").split()
        == []
    )


def test_transcribing_never_loads_torch_or_onnx(tiny_bundle: Path) -> None:
    code = (
        "import numpy, sewd_runtime, sys\n"
        f"sewd_runtime.load({str(tiny_bundle)!r}).transcribe(numpy.zeros(16000, 'float32'))\n"
        "print(*[name for name in ('torch', 'transformers', 'onnx') if name in sys.modules])"
    )
    assert run(code).split() == []


def test_python_dash_m_is_the_command() -> None:
    command = [sys.executable, "-m", "sewd_runtime", "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == f"sewd {sewd_runtime.__version__}\n"


def test_the_program_that_type_checkers_accept_runs() -> None:
    client, speech = (PYPROJECT.with_name(name) for name in ("tests", "export"))
    [recording, *_] = sorted((speech / "sewd_export" / "speech").glob("*.flac"))
    command = [sys.executable, str(client / "typing" / "client.py"), str(recording)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert printed.startswith("SIX SIX EIGHT FIVE SEVEN ")
    assert re.search(r"^unknown \d+\.\d+$", printed, re.MULTILINE)  # digits are no commands
    assert printed.endswith("Classifier needs classification; use sewd transcribe, or Recognizer.load\n")


def test_version_is_the_projects() -> None:
    if not PYPROJECT.is_file():
        pytest.skip("not a checkout")
    [version] = re.findall(r'^version = "(.*)"$', PYPROJECT.read_text(), flags=re.MULTILINE)
    assert sewd_runtime.__version__ == version


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+Error) +(?:(\w+Error) )?", errors.__doc__ or ""))
    real = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    for name in ("SewdError", "PrecisionWarning", "FallbackWarning", "TextWarning", "AudioWarning"):
        del real[name]
    assert drawn.keys() == real.keys()
    for name, kind in real.items():
        assert issubclass(kind, sewd_runtime.SewdError)
        assert drawn[name] in ("", *(base.__name__ for base in kind.__bases__))


def test_a_message_reads_as_written() -> None:
    assert str(errors.ManifestKeyError("bundle.json: x is missing")) == "bundle.json: x is missing"


def test_a_model_is_shown_in_one_line() -> None:
    assert repr(sewd_runtime.load(precision="int8")) == "<Recognizer digits: int8 on cpu>"
    assert repr(sewd_runtime.Classifier.load()) == "<Classifier keywords: fp32 on cpu>"

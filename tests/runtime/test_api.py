from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sewd_runtime
from sewd_runtime import errors

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


def test_public_names() -> None:
    assert sewd_runtime.__all__ == [
        "BeamSearch",
        "Classification",
        "Classifier",
        "Encoder",
        "Greedy",
        "KenlmModel",
        "Manifest",
        "Partial",
        "Recognizer",
        "Segment",
        "SewdError",
        "Stream",
        "Streaming",
        "Transcript",
        "Word",
        "__version__",
        "feed_streams",
        "finish_streams",
        "load",
        "read_audio",
    ]


def test_every_public_name_is_there() -> None:
    for name in sewd_runtime.__all__:
        assert getattr(sewd_runtime, name) is not None
        assert name in dir(sewd_runtime)
    with pytest.raises(AttributeError, match="Recogniser"):
        sewd_runtime.Recogniser  # noqa: B018


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
        ("from sewd_runtime import Manifest", ("numpy", "onnxruntime", "openvino")),
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


def test_version_is_the_projects() -> None:
    if not PYPROJECT.is_file():
        pytest.skip("not a checkout")
    [version] = re.findall(r'^version = "(.*)"$', PYPROJECT.read_text(), flags=re.MULTILINE)
    assert sewd_runtime.__version__ == version


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+Error) +(?:(\w+Error) )?", errors.__doc__ or ""))
    real = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    del real["SewdError"], real["PrecisionWarning"], real["FallbackWarning"]
    assert drawn.keys() == real.keys()
    for name, kind in real.items():
        assert issubclass(kind, sewd_runtime.SewdError)
        assert drawn[name] in ("", *(base.__name__ for base in kind.__bases__))


def test_a_message_reads_as_written() -> None:
    assert str(errors.ManifestKeyError("bundle.json: x is missing")) == "bundle.json: x is missing"

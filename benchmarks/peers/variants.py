"""The table of what is compared: how each variant is made, where it lives and what runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

ENVIRONMENTS: Mapping[str, str] = {
    "main": ".venv",
    "optimum": ".venv-optimum",
    "openvino": ".venv-openvino",
}
"""Environment → its folder; the Makefile makes them."""

OPENERS: Mapping[str, str] = {
    "torch": "benchmarks.peers.engines:open_torch",
    "torch.compile": "benchmarks.peers.engines:open_compiled",
    "onnxruntime": "benchmarks.peers.engines:open_onnxruntime",
    "openvino": "benchmarks.peers.engines:open_openvino",
    "sewd": "benchmarks.peers.engines:open_sewd",
}
"""Engine → what loads a model with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file made from a checkpoint, or from another artifact.

    maker: function of `benchmarks.peers.make`, run in `environment`.
    """

    environment: str
    maker: str
    file: str
    source: str = "checkpoint"
    options: Mapping[str, str] = field(default_factory=dict)


ARTIFACTS: Mapping[str, Artifact] = {
    "exporters": Artifact(environment="main", maker="export_with_transformers", file="model.onnx"),
    "exporters-fused": Artifact(
        environment="main",
        maker="export_with_transformers",
        file="model.onnx",
        options={"ort_fusions": "cpu"},
    ),
    "optimum": Artifact(environment="optimum", maker="export_with_optimum", file="model.onnx"),
    "ort-dynamic": Artifact(
        environment="main", maker="quantize_dynamic", file="model.onnx", source="optimum"
    ),
    "ort-static": Artifact(environment="main", maker="quantize_static", file="model.onnx", source="optimum"),
    "ort-static-matmul": Artifact(
        environment="main",
        maker="quantize_static",
        file="model.onnx",
        source="optimum",
        options={"matmul_only": "yes"},
    ),
    "nncf": Artifact(environment="openvino", maker="quantize_with_nncf", file="model.xml", source="optimum"),
    "nncf-matmul": Artifact(
        environment="openvino",
        maker="quantize_with_nncf",
        file="model.xml",
        source="optimum",
        options={"matmul_only": "yes"},
    ),
    "sewd": Artifact(environment="main", maker="export_with_sewd", file="bundle.json"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a model.

    ours: made by sewd.
    engine: a row of OPENERS, or `module:function` that opens a model.
    precision: what the weights and products are in.
    artifact: a row of ARTIFACTS, or `checkpoint`.
    file: the model, where it is another file beside the artifact's own.
    made, runs: by what, for the reader of a table; docs/benchmark.md says how.
    """

    name: str
    ours: bool = False
    engine: str
    precision: str
    environment: str = "main"
    artifact: str = "checkpoint"
    file: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    made: str
    runs: str

    @property
    def opener(self) -> str:
        """The function that opens the model, as `module:function`."""
        return OPENERS.get(self.engine, self.engine)


def _on_openvino(name: str, artifact: str, precision: str, hint: str, made: str) -> Variant:
    return Variant(
        name=name,
        engine="openvino",
        precision=precision,
        environment="openvino",
        artifact=artifact,
        options={"precision_hint": hint},
        made=made,
        runs=f"OpenVINO, {hint}",
    )


_OPTIMUM = "optimum-onnx"
_EXPORTERS = "transformers.exporters"

PEERS: Sequence[Variant] = (
    Variant(name="transformers", engine="torch", precision="fp32", made="transformers", runs="torch"),
    Variant(
        name="torch-compile",
        engine="torch.compile",
        precision="fp32",
        made="transformers",
        runs="torch.compile",
    ),
    Variant(
        name="exporters",
        engine="onnxruntime",
        precision="fp32",
        artifact="exporters",
        made=_EXPORTERS,
        runs="onnxruntime",
    ),
    Variant(
        name="exporters-fused",
        engine="onnxruntime",
        precision="fp32",
        artifact="exporters-fused",
        made=f"{_EXPORTERS}, ort_fusions",
        runs="onnxruntime",
    ),
    Variant(
        name="optimum",
        engine="onnxruntime",
        precision="fp32",
        artifact="optimum",
        made=_OPTIMUM,
        runs="onnxruntime",
    ),
    Variant(
        name="optimum-dynamic-int8",
        engine="onnxruntime",
        precision="int8",
        artifact="ort-dynamic",
        made=f"{_OPTIMUM}, quantize_dynamic",
        runs="onnxruntime",
    ),
    Variant(
        name="optimum-static-int8",
        engine="onnxruntime",
        precision="int8",
        artifact="ort-static",
        made=f"{_OPTIMUM}, quantize_static",
        runs="onnxruntime",
    ),
    Variant(
        name="optimum-static-int8-matmul",
        engine="onnxruntime",
        precision="int8",
        artifact="ort-static-matmul",
        made=f"{_OPTIMUM}, quantize_static but convolutions",
        runs="onnxruntime",
    ),
    _on_openvino("optimum-openvino-f32", "optimum", "fp32", "f32", _OPTIMUM),
    _on_openvino("optimum-openvino-bf16", "optimum", "bf16", "bf16", _OPTIMUM),
    _on_openvino("exporters-openvino-f32", "exporters", "fp32", "f32", _EXPORTERS),
    _on_openvino("exporters-openvino-bf16", "exporters", "bf16", "bf16", _EXPORTERS),
    _on_openvino("nncf-f32", "nncf", "int8", "f32", f"{_OPTIMUM}, NNCF"),
    _on_openvino("nncf-bf16", "nncf", "int8", "bf16", f"{_OPTIMUM}, NNCF"),
    _on_openvino("nncf-matmul-bf16", "nncf-matmul", "int8", "bf16", f"{_OPTIMUM}, NNCF but convolutions"),
)

_OWN_ON_OPENVINO: Mapping[str, Mapping[str, str]] = {
    "fp32": {
        "fp32-openvino-f32": "fp32",
        "fp32-openvino-bf16": "bf16",
        "int8-dynamic-openvino-f32": "int8-dynamic",
        "int8-dynamic-openvino-bf16": "int8-dynamic+bf16",
    },
    "int8-static": {
        "int8-static-openvino-f32": "int8-static",
        "int8-static-openvino-bf16": "int8-static+bf16",
    },
}
"""A bundle's precision → variants of its file → what our runtime calls that. Other files have operators that
OpenVINO lacks, or are to it what fp32 is."""


def own_variants(precisions: Sequence[str]) -> Iterator[Variant]:
    """Yield our variants: one on onnxruntime for each precision of a bundle, then those on OpenVINO."""
    for precision in precisions:
        yield Variant(
            name=f"sewd-{precision}",
            ours=True,
            engine="sewd",
            precision=precision,
            artifact="sewd",
            file=_file(precision),
            options={"precision": precision},
            made="sewd-export",
            runs="onnxruntime",
        )
    for precision in precisions:
        for name, runs_as in _OWN_ON_OPENVINO.get(precision, {}).items():
            yield Variant(
                name=f"sewd-{name}",
                ours=True,
                engine="sewd",
                precision=runs_as.removesuffix("+bf16"),
                environment="openvino",
                artifact="sewd",
                file=_file(precision),
                options={"provider": "openvino", "precision": runs_as},
                made="sewd-export",
                runs=f"OpenVINO, {name.rpartition('-')[2]}",
            )


def _file(precision: str) -> str:
    return f"model.{precision}.onnx"


def environments_of(variant: Variant) -> set[str]:
    """Return the environments that run a variant and made it."""
    found, name = {variant.environment}, variant.artifact
    while name in ARTIFACTS:
        found.add(ARTIFACTS[name].environment)
        name = ARTIFACTS[name].source
    return found

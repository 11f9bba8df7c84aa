"""The variants that are compared: how each is made, its environment, and what runs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sewd_runtime.bundle.manifest import model_file

ENVIRONMENTS: Mapping[str, str] = {
    "main": ".venv",
    "optimum": ".venv-optimum",
    "openvino": ".venv-openvino",
}
"""Environment → its folder, which the Makefile creates."""

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


def _artifact(maker: str, environment: str, file: str = "model.onnx", **options: str) -> Artifact:
    return Artifact(maker=maker, environment=environment, file=file, options=options)


def _quantized(maker: str, environment: str, file: str = "model.onnx", **options: str) -> Artifact:
    return Artifact(maker=maker, environment=environment, file=file, source="optimum", options=options)


ARTIFACTS: Mapping[str, Artifact] = {
    "exporters": _artifact("export_with_transformers", "main"),
    "exporters-fused": _artifact("export_with_transformers", "main", ort_fusions="cpu"),
    "optimum": _artifact("export_with_optimum", "optimum"),
    "ort-dynamic": _quantized("quantize_dynamic", "main"),
    "ort-static": _quantized("quantize_static", "main"),
    "ort-static-matmul": _quantized("quantize_static", "main", matmul_only="yes"),
    "nncf": _quantized("quantize_with_nncf", "openvino", "model.xml"),
    "nncf-matmul": _quantized("quantize_with_nncf", "openvino", "model.xml", matmul_only="yes"),
    "sewd": _artifact("export_with_sewd", "main", "bundle.json"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run a model.

    ours: made by sewd.
    engine: a row of OPENERS, or `module:function` that opens a model.
    precision: of weights and matmuls.
    artifact: a row of ARTIFACTS, or `checkpoint`.
    file: the model, if it is another file in the artifact's folder.
    made, runs: by what, as the tables show it; docs/peers.md says how.
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


def _on_torch(name: str, engine: str) -> Variant:
    return Variant(name=name, engine=engine, precision="fp32", made="transformers", runs=engine)


def _on_onnxruntime(name: str, artifact: str, precision: str, made: str) -> Variant:
    return Variant(
        name=name, engine="onnxruntime", precision=precision, artifact=artifact, made=made, runs="onnxruntime"
    )


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
_STATIC = f"{_OPTIMUM}, quantize_static"

PEERS: Sequence[Variant] = (
    _on_torch("transformers", "torch"),
    _on_torch("torch-compile", "torch.compile"),
    _on_onnxruntime("exporters", "exporters", "fp32", _EXPORTERS),
    _on_onnxruntime("exporters-fused", "exporters-fused", "fp32", f"{_EXPORTERS}, ort_fusions"),
    _on_onnxruntime("optimum", "optimum", "fp32", _OPTIMUM),
    _on_onnxruntime("optimum-dynamic-int8", "ort-dynamic", "int8", f"{_OPTIMUM}, quantize_dynamic"),
    _on_onnxruntime("optimum-static-int8", "ort-static", "int8", _STATIC),
    _on_onnxruntime("optimum-static-int8-matmul", "ort-static-matmul", "int8", f"{_STATIC} but convolutions"),
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
"""A bundle's precision → variants of its file → their precision in our runtime. OpenVINO lacks operators of
the other files, or runs them as it runs fp32."""


def own_variants(precisions: Sequence[str]) -> Iterator[Variant]:
    """Yield our variants: each precision of a bundle on onnxruntime, then those on OpenVINO."""
    for precision in precisions:
        yield _own(precision, precision, "onnxruntime", {"precision": precision})
    for precision in precisions:
        for name, runs_as in _OWN_ON_OPENVINO.get(precision, {}).items():
            runs = f"OpenVINO, {name.rpartition('-')[2]}"
            yield _own(name, precision, runs, {"provider": "openvino", "precision": runs_as})


def _own(name: str, precision: str, runs: str, options: Mapping[str, str]) -> Variant:
    return Variant(
        name=f"sewd-{name}",
        ours=True,
        engine="sewd",
        precision=options["precision"].removesuffix("+bf16"),
        environment="openvino" if "provider" in options else "main",
        artifact="sewd",
        file=model_file(precision),
        options=options,
        made="sewd-export",
        runs=runs,
    )


def environments_of(variant: Variant) -> set[str]:
    """Return the environments that run a variant and made it."""
    environments, name = {variant.environment}, variant.artifact
    while name in ARTIFACTS:
        environments.add(ARTIFACTS[name].environment)
        name = ARTIFACTS[name].source
    return environments

"""Law: our module and its graph give what the original gives, whatever the configuration and the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from transformers.activations import ACT2FN
from transformers.models.sew_d.modeling_sew_d import build_relative_position

from sewd_export.checkpoint.loading import Checkpoint
from sewd_export.errors import TraceError, UnsupportedConfigError
from sewd_export.families import build_module
from sewd_export.families.attention import bucket_table
from sewd_export.families.convolution import SampleNorm
from sewd_export.parity.reference import Array, Candidate, Oracle, measure_movement, session_candidate
from sewd_export.passes import PIPELINE, optimize
from sewd_export.precisions import PRECISIONS
from sewd_export.tracing import trace
from sewd_runtime.bundle.manifest import Tolerance
from sewd_runtime.inference.session import Session, pad

MakeCheckpoint = Callable[..., Checkpoint]
Rounded = Callable[[ir.Model], Candidate]
CONFIGS: dict[str, dict[str, Any]] = {
    "small": {},
    "layer norm": {"feat_extract_norm": "layer"},
    "conv bias": {"conv_bias": True},
    "layer norm, conv bias": {"feat_extract_norm": "layer", "conv_bias": True},
    "published convolutions": {
        "conv_dim": (4,) * 13,
        "conv_kernel": (10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1),
        "conv_stride": (5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1),
    },
    "odd convolutions": {"conv_kernel": (7, 5, 4, 3), "conv_stride": (3, 2, 4, 1)},
    "two convolutions": {"conv_dim": (8, 16), "conv_kernel": (16, 9), "conv_stride": (8, 5)},
    "no feature projection": {"conv_dim": (8, 12, 12, 32)},
    "squeeze 1": {"squeeze_factor": 1},
    "squeeze 3": {"squeeze_factor": 3},
    "squeeze 5, even kernel": {"squeeze_factor": 5, "num_conv_pos_embeddings": 8},
    "squeeze 1, even kernel": {"squeeze_factor": 1, "num_conv_pos_embeddings": 16},
    "even kernel": {"num_conv_pos_embeddings": 16},
    "own position projections": {"share_att_key": False},
    "c2p": {"pos_att_type": ("c2p",)},
    "p2c": {"pos_att_type": ("p2c",)},
    "no position terms": {"pos_att_type": ()},
    "c2p, own projections": {"pos_att_type": ("c2p",), "share_att_key": False},
    "p2c, own projections": {"pos_att_type": ("p2c",), "share_att_key": False},
    "no relative attention": {"relative_attention": False},
    "embeddings as they are": {"norm_rel_ebd": "none"},
    "no buckets": {"position_buckets": -1, "max_position_embeddings": 24},
    "few buckets": {"position_buckets": 6, "max_position_embeddings": 16},
    "epsilons": {"layer_norm_eps": 1e-3, "feature_layer_norm_eps": 1e-2},
    "one head": {"num_attention_heads": 1},
    "raw samples": {"do_normalize": False},
}
HEADS = {
    "classification": {"task": "classification"},
    "classification, weighted layers": {"task": "classification", "use_weighted_layer_sum": True},
    "encoding": {"task": "encoding"},
}
TOLERANCE, HALF_TOLERANCE = PRECISIONS["fp32"].tolerance, PRECISIONS["fp16"].tolerance


def utterances(checkpoint: Checkpoint, seed: int) -> list[Array]:
    """Return utterances around frame and token boundaries, and of random lengths: each `(samples,)`
    float32."""
    random = np.random.default_rng(seed)
    shape = checkpoint.geometry
    first = shape.min_samples
    lengths = [first, first + 1, first + shape.stride - 1, first + shape.stride, first + 7 * shape.stride]
    lengths += [int(n) for n in random.integers(first, 150 * shape.stride, 4)]
    return [0.3 * random.standard_normal(n).astype(np.float32) for n in lengths]


def assert_parity(
    checkpoint: Checkpoint, candidate: Candidate, seed: int = 0, *, tolerance: Tolerance = TOLERANCE
) -> None:
    """Compare a candidate's ragged batch, and its single items, with the original one at a time."""
    recordings = utterances(checkpoint, seed)
    oracle = Oracle(checkpoint)
    for recording, item in zip(recordings, candidate(recordings), strict=True):
        expected = oracle(recording)
        assert item.shape == expected.shape
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(item, expected, rtol=0, atol=tolerance.max_abs * scale)
        distance = np.linalg.norm(item - expected)
        assert distance <= tolerance.relative * max(np.linalg.norm(expected), 1e-3)
        np.testing.assert_allclose(
            item, candidate([recording])[0], rtol=0, atol=tolerance.batch_error * scale
        )


def module_candidate(module: torch.nn.Module) -> Candidate:
    def run(recordings: Any) -> list[Array]:
        values, lengths = pad(recordings)
        with torch.no_grad():
            output, frames = module(torch.from_numpy(values), torch.from_numpy(lengths))
        if output.ndim == 2:
            return list(output.numpy())
        return [item[:length].numpy() for item, length in zip(output, frames, strict=True)]

    return run


def assert_graph_parity(checkpoint: Checkpoint, folder: Path, rounded: Rounded) -> None:
    """Compare the graph, and its float16 as a GPU runs it, with the original."""
    shape = checkpoint.geometry
    model = optimize(trace(build_module(checkpoint), receptive_field=shape.receptive_field))
    half = PRECISIONS["fp16"].convert(model)
    for graph in (model, half):
        ir.save(graph, folder / "model.onnx")
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
        session = Session.open(folder / "model.onnx", task=checkpoint.task)
        if graph is model:
            assert_parity(checkpoint, session_candidate(session))
    assert_parity(checkpoint, rounded(half), tolerance=HALF_TOLERANCE)


@pytest.mark.parametrize("fields", [*CONFIGS.values(), *HEADS.values()], ids=[*CONFIGS, *HEADS])
def test_module_is_the_original(fields: dict[str, Any], make_checkpoint: MakeCheckpoint) -> None:
    for seed in range(2):
        checkpoint = make_checkpoint(seed=seed, **fields)
        assert_parity(checkpoint, module_candidate(build_module(checkpoint)), seed)


def test_the_movement_of_the_original_covers_what_it_loses_of_an_offset(
    make_checkpoint: MakeCheckpoint,
) -> None:
    """Without normalised samples the group norm cancels the offset, and float32 loses three digits."""
    checkpoint = make_checkpoint(do_normalize=False, num_hidden_layers=1)
    oracle, random = Oracle(checkpoint), np.random.default_rng(6)
    samples = (0.5 + 0.003 * random.standard_normal(24007)).astype(np.float32)
    expected = oracle(samples)
    oracle.model.double()
    with torch.no_grad():
        exact = oracle.model(torch.from_numpy(samples.astype(np.float64))[None])[0][0].numpy()
    movement = measure_movement(Oracle(checkpoint), samples, expected).relative
    [ours] = module_candidate(build_module(checkpoint))([samples])
    lost, norm = np.linalg.norm(expected - exact), np.linalg.norm(exact)
    assert TOLERANCE.relative < lost / norm <= 4 * movement
    assert np.linalg.norm(ours - exact) <= 1.5 * lost


@pytest.mark.parametrize("act", sorted(ACT2FN))
def test_every_activation_of_transformers(act: str, make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint(hidden_act=act, feat_extract_activation=act)
    assert_parity(checkpoint, module_candidate(build_module(checkpoint)))


TRACED = [
    "odd convolutions",
    "squeeze 3",
    "squeeze 1, even kernel",
    "layer norm, conv bias",
    "no buckets",
    "no relative attention",
    "raw samples",
]


@pytest.mark.parametrize(
    "fields", [CONFIGS[name] for name in TRACED] + [*HEADS.values()], ids=[*TRACED, *HEADS]
)
def test_graph_is_the_original(
    fields: dict[str, Any], make_checkpoint: MakeCheckpoint, tmp_path: Path, rounded: Rounded
) -> None:
    checkpoint = make_checkpoint(num_hidden_layers=1, **fields)
    assert_graph_parity(checkpoint, tmp_path, rounded)


@pytest.mark.parametrize(("act", "other"), [("prelu", "laplace"), ("gelu_10", "xielu"), ("relu2", "prelu")])
def test_graph_of_activations_with_their_own_arithmetic(
    act: str, other: str, make_checkpoint: MakeCheckpoint, tmp_path: Path, rounded: Rounded
) -> None:
    checkpoint = make_checkpoint(num_hidden_layers=1, hidden_act=act, feat_extract_activation=other)
    assert_graph_parity(checkpoint, tmp_path, rounded)


class NormalisedSamples(torch.nn.Module):
    """The first step alone, in the shape of a model: `(batch, samples, 1)`."""

    output_name = "hidden_states"

    def __init__(self) -> None:
        super().__init__()
        self.norm = SampleNorm()

    def forward(self, values: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.norm(values, lengths)[..., None], lengths + 0


def test_an_offset_comes_out_with_the_mean(tmp_path: Path) -> None:
    """onnxruntime adds up an axis one by one: the mean of 48,000 samples around 0.5 lost three digits."""
    model = optimize(trace(NormalisedSamples().eval(), receptive_field=40))
    ir.save(model, tmp_path / "model.onnx")
    session = Session.open(tmp_path / "model.onnx", task="encoding")
    random = np.random.default_rng(5)
    recordings = [
        (offset + 0.01 * random.standard_normal(length)).astype(np.float32)
        for offset, length in ((0.5, 48007), (-0.9, 30000), (0.0, 255), (1e-3, 256), (0.3, 1))
    ]
    output, _ = session.run(*pad(recordings))
    for recording, item in zip(recordings, output[..., 0], strict=True):
        exact = recording.astype(np.float64)
        expected = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-7)
        found, rest = item[: len(exact)], item[len(exact) :]
        distance = np.linalg.norm(found - expected)
        assert distance <= TOLERANCE.relative * max(float(np.linalg.norm(expected)), 1.0)
        assert not rest.any()


def test_graph_of_published_dimensions(make_checkpoint: MakeCheckpoint) -> None:
    """A 12-layer graph: fewer than 700 nodes, no idle ones, told apart by name, stable under the passes."""
    fields = CONFIGS["published convolutions"] | {"num_hidden_layers": 12}
    checkpoint = make_checkpoint(**fields)
    model = optimize(trace(build_module(checkpoint), receptive_field=400))
    nodes = list(model.graph)
    assert len(nodes) < 700
    assert not {node.op_type for node in nodes} & {"Identity", "Constant", "Dropout"}
    names = [node.name for node in nodes]
    assert len(set(names)) == len(names)
    assert all(f"layers.{i}.attention.scores/MatMul" in names for i in range(12))
    assert set(model.opset_imports) == {""}
    assert not any(node.metadata_props or node.doc_string for node in nodes)
    for step in PIPELINE:
        assert not step(model).modified, type(step).__name__
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True, data_prop=True)


BUCKETS = [(256, 512), (32, 64), (6, 16), (3, 8), (7, 500), (128, 4096), (-1, 24), (-1, 512)]


@pytest.mark.parametrize(("buckets", "farthest"), BUCKETS)
def test_the_bucket_table_is_the_original(
    buckets: int, farthest: int, make_checkpoint: MakeCheckpoint
) -> None:
    config = make_checkpoint(position_buckets=buckets, max_position_embeddings=farthest).config
    span = buckets if buckets > 0 else farthest
    table = bucket_table(config)
    reach = len(table) // 2
    for tokens in (1, 2, 37, 1000):
        token = torch.arange(tokens)
        rows = table[(token[:, None] - token).clamp(-reach, reach) + reach]
        original = torch.as_tensor(build_relative_position(tokens, tokens, buckets, farthest))
        assert torch.equal(rows, (original.squeeze(0) + span).clamp(0, 2 * span - 1))


@pytest.mark.parametrize(("buckets", "farthest"), BUCKETS)
def test_the_bucket_of_a_negated_distance_is_negated(
    buckets: int, farthest: int, make_checkpoint: MakeCheckpoint
) -> None:
    """Up to the clamp: there are rows for -span to span - 1."""
    config = make_checkpoint(position_buckets=buckets, max_position_embeddings=farthest).config
    span = buckets if buckets > 0 else farthest
    bucket = bucket_table(config) - span
    back, forth = bucket.flip(0)[len(bucket) // 2 :], bucket[len(bucket) // 2 :]
    assert torch.equal(forth, (-back).clamp(max=span - 1))
    assert forth[0] == 0
    assert (forth.diff() >= 0).all()


def test_training_mode_is_refused(make_checkpoint: MakeCheckpoint) -> None:
    with pytest.raises(TraceError, match="training mode"):
        trace(build_module(make_checkpoint()).train(), receptive_field=400)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("conv_kernel_size", 3),
        ("add_adapter", True),
        ("adapter_attn_dim", 8),
        ("attention_head_size", 16),
        ("hidden_act", "snake"),
        ("position_buckets", 2),
    ],
)
def test_refused_fields_are_named(field: str, value: object, make_checkpoint: MakeCheckpoint) -> None:
    checkpoint = make_checkpoint()
    setattr(checkpoint.config, field, value)
    with pytest.raises(UnsupportedConfigError, match=field):
        build_module(checkpoint)

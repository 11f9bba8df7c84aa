"""What both recipes share: a resumable training run, its losses, and its schedule."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, Dataset
from transformers import SEWDForCTC

from benchmarks.reference.checkpoint import Config, build_model
from benchmarks.reference.layout import count_frames
from sewd_export.families.sew_d import SewDForCtc

Batch = Mapping[str, Tensor]
Losses = Callable[[Tensor, nn.ModuleDict, Batch], Mapping[str, Tensor]]
"""``hidden`` (batch, frames, hidden) float32, heads, batch -> the losses other than CTC, by name."""
Encode = Callable[[SEWDForCTC, Batch], tuple[Tensor, Tensor]]
"""The model's weights and a batch -> ``hidden``, and the same from the middle layer."""

IGNORED = -100
WEIGHT_DECAY = 0.01
GRADIENT_CLIP = 1.0
EMA_DECAY = 0.999
FINAL_DROPOUT = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Learning rate and weight of the frame-wise losses as functions of the step."""

    steps: int
    peak: float
    warmup_steps: int = 300
    decay_share: float = 0.6
    frame_steps: int = 3000
    frame_floor: float = 0.05

    def learning_rate(self, step: int) -> float:
        """Return the rate: linear warm-up, a plateau, then half a cosine down to a hundredth."""
        start = self.steps * (1 - self.decay_share)
        decayed = min(max((step - start) / max(1.0, self.steps - start), 0.0), 1.0)
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.peak * warm * (0.505 + 0.495 * math.cos(math.pi * decayed))

    def frame_weight(self, step: int) -> float:
        """Return the weight: from one linearly down to the floor."""
        return max(self.frame_floor, 1.0 - (1.0 - self.frame_floor) * step / self.frame_steps)


class Training:
    """The state of a run that can be resumed: weights, averaged weights, optimiser, step.

    ``heads`` are the sizes of the linear outputs that ``losses`` uses, by name; they are discarded after
    training. ``middle_weight`` is that of CTC after half of the layers (Lee and Watanabe 2021,
    "Intermediate loss regularization for CTC-based speech recognition"). ``build`` makes the model, of random
    weights, from the configuration.
    """

    build = staticmethod(build_model)

    def __init__(
        self,
        config: Config,
        heads: Mapping[str, int],
        losses: Losses,
        *,
        seed: int,
        encode: Encode,
        middle_weight: float = 0.0,
        muon: bool = False,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(seed)
        self.model = self.build(config).to(device)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(config["hidden_size"], size) for name, size in heads.items()}
        ).to(device)
        self.average = copy.deepcopy(self.model).eval()
        self.parameters = [*self.model.parameters(), *self.heads.parameters()]
        self.optimizers = _make_optimizers(self.model, self.heads, muon=muon)
        self.losses = losses
        self.encode = encode
        self.middle_weight = middle_weight
        self.seed = seed
        self.step = 0
        self.wall_s = 0.0

    def update(self, batch: Batch, learning_rate: float, frame_weight: float) -> dict[str, float]:
        """Take one step; return what ``compute`` names."""
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        self.model.train()
        device = self.model.device
        batch = {name: value.to(device, non_blocking=True) for name, value in batch.items()}
        total, named = self.compute(batch, frame_weight)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._apply(learning_rate)
        return {name: float(value.detach()) for name, value in named.items()}

    def compute(self, batch: Batch, frame_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to lower, and each of its parts by name, CTC as ``ctc``."""
        hidden, middle = (F.dropout(one, FINAL_DROPOUT) for one in self.encode(self.model, batch))
        ctc = ctc_loss(self.model.lm_head(hidden), batch)
        others = self.losses(hidden, self.heads, batch)
        total = ctc + frame_weight * sum(others.values())
        named = {"ctc": ctc, **others}
        if self.middle_weight:
            named["middle_ctc"] = ctc_loss(self.model.lm_head(middle), batch)
            total = total + self.middle_weight * named["middle_ctc"]
        return total, named

    def _apply(self, learning_rate: float) -> None:
        """Update the weights and their moving average."""
        nn.utils.clip_grad_norm_(self.parameters, GRADIENT_CLIP)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averaged: list[Tensor] = [*self.average.parameters()]
            torch._foreach_lerp_(averaged, [*self.model.parameters()], 1 - decay)
        self.step += 1

    def save(self, path: Path) -> None:
        """Write the whole state to a temporary file, then rename it."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "heads")}
        optimizers = [one.state_dict() for one in self.optimizers]
        rest = {"optimizers": optimizers, "step": self.step, "wall_s": self.wall_s}
        temporary = path.with_suffix(".part")
        torch.save(state | rest, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continue where ``save`` stopped."""
        state = torch.load(path, weights_only=True, map_location=self.model.device)
        for name in ("model", "average", "heads"):
            getattr(self, name).load_state_dict(state[name])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)
        self.step, self.wall_s = state["step"], state["wall_s"]


def start_from(training: Training, folder: Path) -> int:
    """Take the tensors of another checkpoint that have the same names and shapes; returns their number."""
    own = training.model.state_dict()
    weights = load_file(folder / "model.safetensors")
    same = {
        name: value.float()
        for name, value in weights.items()
        if name in own and value.shape == own[name].shape
    }
    for model in (training.model, training.average):
        model.load_state_dict(own | same)
    return len(same)


def _make_optimizers(model: SEWDForCTC, heads: nn.ModuleDict, *, muon: bool) -> list[torch.optim.Optimizer]:
    """AdamW, and with muon Muon (K. Jordan et al. 2024) for the matrices of the layers, at AdamW's rate.

    Muon's steps are as large as AdamW's (J. Liu et al. 2025, "Muon is scalable for LLM training").
    """
    layers = [*model.sew_d.encoder.encoder.layer.parameters()] if muon else []
    matrices = [one for one in layers if one.ndim == 2]
    chosen = {id(one) for one in matrices}
    rest = [one for one in (*model.parameters(), *heads.parameters()) if id(one) not in chosen]
    groups = [
        {"params": [one for one in rest if one.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [one for one in rest if one.ndim <= 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-8)
    if not muon:
        return [adamw]
    return [
        adamw,
        torch.optim.Muon(matrices, lr=0.0, weight_decay=WEIGHT_DECAY, adjust_lr_fn="match_rms_adamw"),
    ]


def encode_as_original(model: SEWDForCTC, batch: Batch) -> tuple[Tensor, Tensor]:
    """Run transformers' own module in bfloat16, over all of the rows, with its dropout."""
    samples = batch["samples"]
    tokens = count_frames(samples.shape[1]) // model.config.squeeze_factor
    with torch.autocast(samples.device.type, dtype=torch.bfloat16), used_positions(model, tokens):
        found = model.sew_d(samples, output_hidden_states=True)
        hidden, states = found.last_hidden_state, found.hidden_states
        middle = F.pad(model.sew_d.encoder.upsample(states[len(states) // 2]), (0, 0, 0, 1))
    return hidden.float(), middle[:, : hidden.shape[1]].float()


def encode_as_exported(
    model: SEWDForCTC, batch: Batch, *, bfloat16: bool = False, masked_share: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Run the module that is exported: each row by itself, without dropout; 1.3 times as fast in float32.

    bfloat16: compute matmuls in it. masked_share: of the projected features, see ``mask_features``.
    """
    weights = dict(model.named_parameters()) | dict(model.named_buffers())
    module = SewDForCtc(model.config, weights, do_normalize=False)
    if masked_share:
        module.sew_d.feature_projection.register_forward_hook(
            lambda _, inputs, features: mask_features(features, masked_share)
        )
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        hidden, _, states, _ = module.sew_d(batch["samples"], batch["sample_lengths"])
        middle = module.sew_d.upsample(states[len(states) // 2])[:, : hidden.shape[1]]
    return hidden.float(), middle.float()


def mask_features(features: Tensor, share: float) -> Tensor:
    """Set about ``share`` of the frames to zero, in spans of 200 ms, and of the channels, in spans of 16.

    features: (batch, frames, channels). After SpecAugment (Park et al. 2019), in the place where wav2vec 2.0
    has it.
    """
    for axis, span in ((1, 10), (2, 16)):
        shape = [features.shape[0], 1, 1]
        shape[axis] = features.shape[axis]
        starts = torch.rand(shape) < share / span
        reached = starts.float().cumsum(axis)
        before = F.pad(reached, (0, 0, span, 0) if axis == 1 else (span, 0)).narrow(axis, 0, shape[axis])
        features = features * (reached == before)
    return features


@contextmanager
def used_positions(model: SEWDForCTC, num_tokens: int) -> Iterator[None]:
    """Restrict attention to the relative positions that occur: the same scores in 15 % less time."""
    encoder: Any = model.sew_d.encoder.encoder
    whole, span = encoder.get_rel_embedding, encoder.position_buckets
    used = min(num_tokens, span)
    encoder.get_rel_embedding = lambda: whole()[span - used : span + used]
    for layer in encoder.layer:
        layer.attention.self.pos_ebd_size = used
    try:
        yield
    finally:
        del encoder.get_rel_embedding
        for layer in encoder.layer:
            layer.attention.self.pos_ebd_size = span


def ctc_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the CTC loss per frame in float32: logits (batch, frames, vocab), ``targets`` concatenated.

    ``frame_lengths`` of the batch, where it has them, are the frames of each row; rows that ``transcribed``
    calls false have no part.
    """
    log_probs = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    lengths = batch.get("frame_lengths")
    if lengths is None:
        lengths = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.long)
    losses = F.ctc_loss(
        log_probs, batch["targets"], lengths, batch["target_lengths"], reduction="none", zero_infinity=True
    )
    if "transcribed" in batch:
        losses, lengths = losses * batch["transcribed"], lengths * batch["transcribed"]
    return losses.sum() / lengths.sum().clamp(min=1)


def frame_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy per labelled frame: logits (batch, frames or one more, classes), labels (batch,
    frames); zero where no frame is labelled."""
    logits = logits[:, : labels.shape[1]].flatten(0, 1)
    loss = F.cross_entropy(logits, labels.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss / (labels != IGNORED).sum().clamp(min=1)


def join_targets(rows: list[list[int]]) -> dict[str, Tensor]:
    """Return the token ids of all rows as ``targets``, and their counts as ``target_lengths``: int64."""
    return {
        "targets": torch.tensor([token_id for row in rows for token_id in row], dtype=torch.long),
        "target_lengths": torch.tensor([len(row) for row in rows], dtype=torch.long),
    }


def stream(batches: Dataset[Batch], first: int, steps: int, workers: int = 1) -> Iterator[Batch]:
    """Yield batches ``first`` to ``steps``, composed ahead in other processes."""
    order = list(range(first, steps))
    yield from DataLoader(batches, batch_size=None, sampler=order, num_workers=workers, prefetch_factor=8)

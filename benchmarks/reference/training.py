"""What both recipes share: a resumable training run, its losses, and its schedule."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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

Batch = Mapping[str, Tensor]
Losses = Callable[[Tensor, nn.ModuleDict, Batch], Mapping[str, Tensor]]
"""``hidden`` (batch, frames, hidden) float32, heads, batch -> the losses other than CTC, by name."""
Encode = Callable[[SEWDForCTC, Batch], Tensor]
"""The model's weights and a batch -> ``hidden``."""

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
    training. ``build`` makes the model, of random weights, from the configuration.
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
    ) -> None:
        torch.manual_seed(seed)
        self.model = self.build(config)
        self.heads = nn.ModuleDict(
            {name: nn.Linear(config["hidden_size"], size) for name, size in heads.items()}
        )
        self.average = copy.deepcopy(self.model).eval()
        self.parameters = [*self.model.parameters(), *self.heads.parameters()]
        self.optimizer = _make_optimizer(self.parameters)
        self.losses = losses
        self.encode = encode
        self.seed = seed
        self.step = 0
        self.wall_s = 0.0

    def update(self, batch: Batch, learning_rate: float, frame_weight: float) -> dict[str, float]:
        """Take one step; return what ``compute`` names."""
        torch.manual_seed(self.seed * 1_000_003 + self.step)
        self.model.train()
        total, named = self.compute(batch, frame_weight)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self._apply(learning_rate)
        return {name: float(value.detach()) for name, value in named.items()}

    def compute(self, batch: Batch, frame_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to lower, and each of its parts by name, CTC as ``ctc``."""
        hidden = F.dropout(self.encode(self.model, batch), FINAL_DROPOUT)
        ctc = ctc_loss(self.model.lm_head(hidden), batch)
        others = self.losses(hidden, self.heads, batch)
        total = ctc + frame_weight * sum(others.values())
        return total, {"ctc": ctc, **others}

    def _apply(self, learning_rate: float) -> None:
        """Update the weights and their moving average."""
        nn.utils.clip_grad_norm_(self.parameters, GRADIENT_CLIP)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.step()
        decay = min(EMA_DECAY, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            averaged: list[Tensor] = [*self.average.parameters()]
            torch._foreach_lerp_(averaged, [*self.model.parameters()], 1 - decay)
        self.step += 1

    def save(self, path: Path) -> None:
        """Write the whole state to a temporary file, then rename it."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "heads")}
        rest = {"optimizer": self.optimizer.state_dict(), "step": self.step, "wall_s": self.wall_s}
        temporary = path.with_suffix(".part")
        torch.save(state | rest, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Continue where ``save`` stopped."""
        state = torch.load(path, weights_only=True)
        for name in ("model", "average", "heads"):
            getattr(self, name).load_state_dict(state[name])
        self.optimizer.load_state_dict(state["optimizer"])
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


def _make_optimizer(parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
    groups = [
        {"params": [one for one in parameters if one.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [one for one in parameters if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), eps=1e-8)


def encode(model: SEWDForCTC, batch: Batch) -> Tensor:
    """Run the model in bfloat16 on ``samples``, rows of one length."""
    samples = batch["samples"]
    tokens = count_frames(samples.shape[1]) // model.config.squeeze_factor
    with torch.autocast("cpu", dtype=torch.bfloat16), used_positions(model, tokens):
        hidden: Tensor = model.sew_d(samples).last_hidden_state
    return hidden.float()


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

    Every row has all frames.
    """
    log_probs = F.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    lengths = torch.full((logits.shape[0],), logits.shape[1], dtype=torch.long)
    loss = F.ctc_loss(
        log_probs, batch["targets"], lengths, batch["target_lengths"], reduction="sum", zero_infinity=True
    )
    return loss / lengths.sum()


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

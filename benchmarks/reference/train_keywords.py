"""Train the embedded keyword spotter: ten commands, other words, silence and noise.

    python -m benchmarks.reference.train_keywords --speech ../shared/speech -o first
    python -m benchmarks.reference.train_keywords --speech ../shared/speech -o keywords --whole \\
        --start first --work build/keywords-whole --steps 700 --learning-rate 3e-4 --seed 2

Writes a checkpoint folder in float16. Training starts from the weights of the embedded model. At first the
convolutions stay as they are, so what they make of the training windows is computed once and kept; then all
but the first ones are trained as well, on new windows.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.reference.augmentation import SAMPLE_RATE_HZ, Surroundings
from benchmarks.reference.checkpoint import KEYWORDS, build_classifier, save_classifier
from benchmarks.reference.diary import Diary
from benchmarks.reference.keywords import (
    LABELS,
    TEST_NOISES,
    Clip,
    KeywordBatches,
    read_clips,
    read_sentences,
)
from benchmarks.reference.layout import count_frames
from benchmarks.reference.training import (
    Batch,
    Schedule,
    Training,
    mask_features,
    start_from,
    stream,
    used_positions,
)
from benchmarks.reference.utterances import keep
from benchmarks.results import ROOT

EMBEDDED = ROOT / "export/sewd_export/models/keywords"
FROZEN = 5  # of the convolutions, in the second run
LABEL_SMOOTHING = 0.05
MASKED_SHARE = 0.1
ROWS = 64


class KeywordTraining(Training):
    """A run with cross-entropy over one label for each row of ``inputs``: features, with ``whole`` samples.

    convolutions: what makes features of samples, taken out of the models; with ``whole`` they stay there.
    """

    build = staticmethod(build_classifier)

    def __init__(self, start: Path, *, seed: int, whole: bool = False) -> None:
        super().__init__(KEYWORDS, {}, lambda *_: {}, seed=seed, encode=encode_inputs)
        start_from(self, start)
        self.model.freeze_feature_encoder()
        self.convolutions: nn.Module = nn.Identity()
        if whole:
            for convolution in self.model.sew_d.feature_extractor.conv_layers[FROZEN:]:
                convolution.requires_grad_(True)
        else:
            self.convolutions = self.model.sew_d.feature_extractor.eval()
            for model in (self.model, self.average):
                model.sew_d.feature_extractor = nn.Identity()
        self.parameters = [*self.model.parameters()]
        self.model.sew_d.layer_norm.register_forward_hook(
            lambda module, _, features: mask_features(features, MASKED_SHARE) if module.training else features
        )

    def compute(self, batch: Batch, frame_weight: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, also as ``label``, and the share of rows that is ``right``."""
        hidden = self.encode(self.model, batch)
        logits = self.model.classifier(F.dropout(self.model.projector(hidden).mean(dim=1), 0.1))
        loss = F.cross_entropy(logits, batch["classes"], label_smoothing=LABEL_SMOOTHING)
        right = (logits.argmax(-1) == batch["classes"]).float().mean()
        return loss, {"label": loss, "right": right}

    @torch.inference_mode()
    def convolve(self, samples: Tensor) -> Tensor:
        """Return the inputs, float16, of samples (rows, samples) float32."""
        inputs: Tensor = self.convolutions(samples)
        return inputs.half()

    @torch.inference_mode()
    def accuracy(self, inputs: Tensor, classes: Tensor) -> float:
        """Return the share of rows whose label is right by the averaged weights."""
        guesses = torch.cat([self.average(rows.float()).logits.argmax(-1) for rows in inputs.split(ROWS)])
        return float((guesses == classes).float().mean())

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return the whole model's weights, the convolutions among them."""
        convolutions = self.convolutions.state_dict(prefix="sew_d.feature_extractor.")
        return self.average.state_dict() | convolutions


def encode_inputs(model: nn.Module, batch: Batch) -> Any:
    """Return ``hidden`` (rows, frames, hidden) float32 of ``inputs``."""
    with used_positions(model, count_frames(SAMPLE_RATE_HZ) // model.config.squeeze_factor):
        return model.sew_d(batch["inputs"].float()).last_hidden_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of a second: inputs (windows, channels, frames) float16, classes (windows,) int64."""

    inputs: Tensor
    classes: Tensor

    def draw(self, seed: int, step: int) -> Batch:
        """Return the batch of a step, drawn without order."""
        rows = np.random.default_rng((seed, step)).integers(len(self.classes), size=ROWS)
        return {"inputs": self.inputs[rows], "classes": self.classes[rows]}


def make_windows(training: KeywordTraining, batches: KeywordBatches, count: int, folder: Path) -> Windows:
    """Return the inputs of ``count`` batches, each kept in a file of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{step:04}.pt" for step in range(count)]
    first = sum(path.exists() for path in paths)
    for path, batch in zip(paths[first:], stream(batches, first, count), strict=True):
        inputs = training.convolve(batch["inputs"])
        torch.save({"inputs": inputs, "classes": batch["classes"].clone()}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
    kept = [torch.load(path, weights_only=True) for path in paths]
    return Windows(
        inputs=torch.cat([one["inputs"] for one in kept]),
        classes=torch.cat([one["classes"] for one in kept]),
    )


def dev_windows(training: KeywordTraining, clips: Sequence[Clip]) -> Windows:
    """Return the clips for validation, the few that are shorter than a second filled with zeros."""
    dev = [clip for clip in clips if clip.split == "dev"]
    samples = torch.zeros(len(dev), SAMPLE_RATE_HZ)
    for row, clip in zip(samples, dev, strict=True):
        row[: len(clip.samples)] = torch.from_numpy(clip.samples[:SAMPLE_RATE_HZ])
    return Windows(
        inputs=torch.cat([training.convolve(rows) for rows in samples.split(ROWS)]),
        classes=torch.tensor([clip.label for clip in dev]),
    )


def draw(
    arguments: argparse.Namespace, training: KeywordTraining, batches: KeywordBatches
) -> Iterator[Batch]:
    """Yield the batches of the steps that are left: of kept windows, or with ``--whole`` of new ones."""
    if arguments.whole:
        yield from stream(batches, training.step, arguments.steps)
    else:
        windows = make_windows(training, batches, arguments.batches, arguments.work / "windows")
        yield from (windows.draw(arguments.seed, step) for step in range(training.step, arguments.steps))


def train(arguments: argparse.Namespace) -> None:
    """Make the windows and run all steps; write log lines, and state and checkpoint at every validation."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    kept = arguments.work.parent / "kept"
    clips = read_clips(arguments.speech, kept)
    sentences = keep(kept / "sentences", partial(read_sentences, arguments.speech))
    surroundings = Surroundings.read(arguments.speech / "noise", without=TEST_NOISES)
    batches = KeywordBatches(clips, sentences, surroundings, seed=arguments.seed, rows=ROWS)
    training = KeywordTraining(arguments.start, seed=arguments.seed, whole=arguments.whole)
    dev = dev_windows(training, clips)
    state = arguments.work / "training.pt"
    if arguments.resume and state.exists():
        training.resume(state)
    schedule = Schedule(steps=arguments.steps, peak=arguments.learning_rate, warmup_steps=100)
    diary = Diary(arguments.work / "log.jsonl", training.wall_s)
    for batch in draw(arguments, training, batches):
        rate = schedule.learning_rate(training.step)
        diary.note(training, training.update(batch, rate, 0.0), rate)
        if training.step % arguments.validate_every == 0 or training.step == arguments.steps:
            diary.write(training, {"accuracy": round(training.accuracy(dev.inputs, dev.classes), 4)})
            training.wall_s = diary.wall_s
            training.save(state)
            save_classifier(arguments.output, KEYWORDS, training.averaged_weights(), LABELS)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--speech", type=Path, required=True, help="folder with speech_commands, noise and sentences")
    add("-o", "--output", type=Path, required=True, help="checkpoint folder to write")
    add("--work", type=Path, default=Path("build/keywords"), help="folder of windows, state and log")
    add("--start", type=Path, default=EMBEDDED, metavar="CHECKPOINT", help="whose weights come first")
    add("--whole", action="store_true", help="train the convolutions as well, on new windows at every step")
    add("--batches", type=int, default=220, help=f"of {ROWS} windows to train on")
    add("--steps", type=int, default=1200)
    add("--seed", type=int, default=1)
    add("--learning-rate", type=float, default=5e-4)
    add("--validate-every", type=int, default=100)
    add("--threads", type=int, default=2)
    add("--resume", action="store_true", help="continue from the state in --work")
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    train(arguments)


if __name__ == "__main__":
    main()

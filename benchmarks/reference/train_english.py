"""Train a recognizer of English from 14 hours of hundreds of speakers, on two CPU cores or one GPU.

    make build/english/lessons.npz
    python -m benchmarks.reference.train_english --speech ../shared/speech \\
        --spoken build/english/hibari -o english

Writes a checkpoint folder in float16. Beside CTC, also after half of the layers, two heads, thrown away
afterwards, learn what the teacher says of each frame: numbers of Whisper's encoder, and which of 200 units
they are. ``--spoken`` adds synthetic voices, as many batches as of real ones, and none in the last steps.
``--size tiny`` is SEW-D-tiny's dimensions, for a GPU; a run that is stopped, or ends after ``--minutes``,
goes on with ``--resume``, and may then have other ``--steps``. Decoded speech is kept in ``kept`` beside the
folder of the state: delete it when the recordings change.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import jiwer
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.reference.augmentation import Surroundings
from benchmarks.reference.checkpoint import ENGLISH, Config, save_checkpoint
from benchmarks.reference.corpora import keep, read_taught, read_untranscribed, read_validation
from benchmarks.reference.diary import Diary
from benchmarks.reference.english import (
    UNITS_PER_DEVIATION,
    EnglishBatches,
    Lessons,
    Mix,
    Utterance,
    read_utterances,
)
from benchmarks.reference.greedy import transcribe
from benchmarks.reference.training import (
    IGNORED,
    Batch,
    Encode,
    Losses,
    Schedule,
    Training,
    encode_as_exported,
    encode_as_original,
    frame_loss,
    start_from,
    stream,
)


def teacher_losses(weights: Tensor) -> Losses:
    """The unit of each frame, and the weighted squared error of its features, in standard deviations."""

    def losses(hidden: Tensor, heads: nn.ModuleDict, batch: Batch) -> dict[str, Tensor]:
        labels = batch["units"]
        taught = (labels != IGNORED).unsqueeze(-1)
        features = batch["features"].float() / UNITS_PER_DEVIATION
        guessed = heads["features"](hidden)[:, : labels.shape[1]]
        error = F.mse_loss(guessed, features, reduction="none") * weights.to(hidden.device)
        return {
            "units": frame_loss(heads["units"](hidden), labels),
            "features": (error * taught).sum() / taught.sum().clamp(min=1),
        }

    return losses


def error_rates(model: nn.Module, watched: Mapping[str, Sequence[Utterance]]) -> dict[str, float]:
    """Greedy word and character error rate of each set, one unpadded utterance at a time."""
    rates = {}
    for name, utterances in watched.items():
        truth = [one.text for one in utterances]
        guesses = [transcribe(model, one.floats()) for one in utterances]
        rates[f"{name}_wer"] = round(float(jiwer.wer(truth, guesses)), 4)
        rates[f"{name}_cer"] = round(float(jiwer.cer(truth, guesses)), 4)
    return rates


def open_training(arguments: argparse.Namespace, config: Config, lessons: Lessons) -> Training:
    """A fresh run, one from other weights, or the one that was stopped."""
    heads = {"units": lessons.num_units, "features": len(lessons.weights)}
    losses = teacher_losses(torch.from_numpy(lessons.weights))
    encode: Encode = encode_as_original
    if arguments.device == "cpu":
        encode = partial(encode_as_exported, bfloat16=arguments.bfloat16, masked_share=arguments.masked_share)
    training = Training(
        config,
        heads,
        losses,
        seed=arguments.seed,
        encode=encode,
        middle_weight=arguments.middle_weight,
        muon=arguments.muon,
        device=arguments.device,
    )
    state = arguments.work / "training.pt"
    if arguments.resume and state.exists():
        training.resume(state)
    elif arguments.start:
        print(f"{start_from(training, arguments.start)} tensors of {arguments.start}")
    return training


def open_batches(arguments: argparse.Namespace, lessons: Lessons) -> EnglishBatches:
    """All speech that is taught, the synthetic one until the last steps."""
    kept = arguments.work.parent / "kept"
    real = keep(kept / "taught", partial(read_taught, arguments.speech))
    for folder in arguments.untranscribed:
        found = keep(kept / folder.name, partial(read_untranscribed, folder))
        real += [one for one in found if one.name in lessons.by_name]
    synthetic = [
        one
        for folder in arguments.spoken
        for one in keep(kept / folder.name, partial(read_utterances, folder))
    ]
    return EnglishBatches(
        real,
        lessons,
        Surroundings.read(arguments.speech / "noise"),
        synthetic=synthetic,
        mix=Mix(
            synthetic_share=arguments.synthetic_share,
            real_from=(1 - arguments.real_share) * arguments.steps,
        ),
        seed=arguments.seed,
        batch_s=arguments.batch_s,
        curriculum_steps=arguments.curriculum_steps,
    )


def train(arguments: argparse.Namespace) -> None:
    """Run all steps, or as many as fit in the minutes; write state and checkpoint at every validation."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    lessons = Lessons.read(arguments.lessons) if arguments.lessons else Lessons.none()
    batches = open_batches(arguments, lessons)
    watched = read_validation(arguments.speech)
    config = ENGLISH[arguments.size]
    training = open_training(arguments, config, lessons)
    schedule = Schedule(
        steps=arguments.steps,
        peak=arguments.learning_rate,
        warmup_steps=min(300, arguments.steps // 10),
        frame_steps=round(0.6 * arguments.steps),
        frame_floor=arguments.frame_floor,
    )
    diary = Diary(arguments.work / "log.jsonl", training.wall_s)
    limit_s = diary.wall_s + 60 * arguments.minutes
    for batch in stream(batches, training.step, arguments.steps, workers=arguments.workers):
        rate = schedule.learning_rate(training.step)
        diary.note(training, training.update(batch, rate, schedule.frame_weight(training.step)), rate)
        stopping = training.step == arguments.steps or diary.wall_s > limit_s
        if training.step % arguments.validate_every == 0 or stopping:
            diary.write(training, error_rates(training.average, watched))
            training.wall_s = diary.wall_s
            training.save(arguments.work / "training.pt")
            save_checkpoint(arguments.output, config, training.average.state_dict())
        if stopping:
            break


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--speech", type=Path, required=True, help="folder of all corpora and noise")
    add("--spoken", type=Path, nargs="*", default=[], help="folders of synthetic speech")
    add("--synthetic-share", type=float, default=0.5, help="of the batches")
    add("--real-share", type=float, default=0.15, help="of the steps, the last ones, with real speech alone")
    add("--untranscribed", type=Path, nargs="*", default=[], help="folders of speech for lessons alone")
    add("--lessons", type=Path, help="what teach_english.py wrote; without, CTC alone")
    add("-o", "--output", type=Path, required=True, help="checkpoint folder to write")
    add("--work", type=Path, default=Path("build/english"), help="folder of the state and the log")
    add("--size", choices=ENGLISH, default="small")
    add("--start", type=Path, metavar="CHECKPOINT", help="take what fits from its weights")
    add("--steps", type=int, default=6000)
    add("--minutes", type=float, default=float("inf"), help="stop after so many, to be resumed")
    add("--curriculum-steps", type=int, default=500, help="over which long utterances come in")
    add("--batch-s", type=float, default=48.0, help="seconds of audio in a batch")
    add("--learning-rate", type=float, default=6e-4)
    add("--frame-floor", type=float, default=0.3, help="last weight of what the teacher says")
    add("--middle-weight", type=float, default=0.5, help="of CTC after half of the layers")
    add("--masked-share", type=float, default=0.1, help="of frames and channels; on the processor alone")
    add("--muon", action="store_true", help="train the layers' matrices by Muon, the rest by AdamW")
    add("--bfloat16", action="store_true", help="for processors with avx512_bf16: twice as fast")
    add("--seed", type=int, default=1)
    add("--validate-every", type=int, default=500)
    add("--threads", type=int, default=2)
    add("--workers", type=int, default=1, help="processes that compose batches")
    add("--device", default="cpu", help="cuda, where there is a GPU")
    add("--resume", action="store_true", help="continue from the state in --work")
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    train(arguments)


if __name__ == "__main__":
    main()

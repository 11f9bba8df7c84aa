"""Train the embedded reference model, spoken English digits, on two CPU cores.

    python -m benchmarks.reference.train_digits --speech ../shared/speech -o digits

Writes a checkpoint folder in float16. CTC alone stays on a plateau for thousands of steps, so a second head,
discarded afterwards, learns which digit is spoken in each frame. This is known because the recordings are
joined here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from benchmarks.reference.augmentation import Surroundings
from benchmarks.reference.checkpoint import DIGITS, save_checkpoint
from benchmarks.reference.diary import Diary
from benchmarks.reference.digits import SILENCE, SYNTHETIC, DigitBatches, voice_of
from benchmarks.reference.evaluate_digits import score
from benchmarks.reference.training import (
    Batch,
    Schedule,
    Training,
    encode,
    frame_loss,
    join_targets,
    start_from,
    stream,
)
from benchmarks.speech import (
    COMMANDS_FOLDER,
    SPEAKERS,
    Recording,
    Utterances,
    read_commands,
    read_fsdd,
    read_kokoro,
    singles,
    strings,
)


def frame_losses(hidden: Tensor, heads: nn.ModuleDict, batch: Batch) -> dict[str, Tensor]:
    """Return the loss for the digit spoken in each frame."""
    return {"frames": frame_loss(heads["digits"](hidden), batch["labels"])}


class _Steps(Dataset[Batch]):
    def __init__(self, batches: DigitBatches) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> Batch:
        batch = self._batches[step]
        tensors = {"samples": torch.from_numpy(batch.samples), "labels": torch.from_numpy(batch.labels)}
        return tensors | join_targets(batch.targets)


def dev_sets(recordings: list[Recording], held_out_speaker: str | None) -> dict[str, Utterances]:
    """Return small sets for validation; only the synthetic one overlaps with the final report."""
    dev = [one for one in recordings if one.split == "dev"]
    commands = [one for one in dev if voice_of(one) == COMMANDS_FOLDER]
    known = [one for one in dev if one.speaker in SPEAKERS and one.speaker != held_out_speaker]
    sets = {"known": singles(known) + strings(known, rounds=2), "commands": singles(commands)}
    if held_out_speaker:
        unheard = [one for one in dev if one.speaker == held_out_speaker]
        sets["unheard"] = singles(unheard) + strings(unheard, rounds=8)
    sets["synthetic"] = singles(
        [one for one in recordings if one.split == "test" and voice_of(one) == SYNTHETIC][:24]
    )
    return sets


def train(arguments: argparse.Namespace) -> None:
    """Run all steps; write log lines, and state and checkpoint at every validation."""
    speech: Path = arguments.speech
    recordings = read_fsdd(speech) + read_kokoro(speech) + read_commands(speech)
    training_set = [one for one in recordings if one.speaker != arguments.held_out_speaker]
    batches = DigitBatches(training_set, Surroundings.read(speech / "noise"), seed=arguments.seed)
    schedule = Schedule(steps=arguments.steps, peak=arguments.learning_rate)
    training = Training(DIGITS, {"digits": SILENCE + 1}, frame_losses, seed=arguments.seed, encode=encode)
    arguments.work.mkdir(parents=True, exist_ok=True)
    state_path = arguments.work / "training.pt"
    if arguments.resume and state_path.exists():
        training.resume(state_path)
    elif arguments.start:
        start_from(training, arguments.start)
    watched = dev_sets(recordings, arguments.held_out_speaker)
    diary = Diary(arguments.work / "log.jsonl", training.wall_s)
    for batch in stream(_Steps(batches), training.step, arguments.steps):
        rate = schedule.learning_rate(training.step)
        diary.note(training, training.update(batch, rate, schedule.frame_weight(training.step)), rate)
        if training.step % arguments.validate_every == 0 or training.step == arguments.steps:
            wer = {name: score(training.average, utterances).wer for name, utterances in watched.items()}
            diary.write(training, {"wer": wer})
            training.wall_s = diary.wall_s
            training.save(state_path)
            save_checkpoint(arguments.output, DIGITS, training.average.state_dict())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--speech", type=Path, required=True, help="folder with digits_fsdd, digits_kokoro, speech_commands"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint folder to write")
    parser.add_argument(
        "--work", type=Path, default=Path("build/digits"), help="folder of the state and the log"
    )
    parser.add_argument("--held-out-speaker", choices=SPEAKERS)
    parser.add_argument("--start", type=Path, metavar="CHECKPOINT", help="take its weights first")
    parser.add_argument("--steps", type=int, default=11_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--validate-every", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="continue from the state in --work")
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    train(arguments)


if __name__ == "__main__":
    main()

"""``sewd encode``."""

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from sewd_runtime._types import Output
from sewd_runtime.commands._command import refuse_inputs
from sewd_runtime.commands._files import (
    ERRORS,
    add_files,
    choose_workers,
    limit_whole,
    reader,
    run_files,
    walk_folders,
)
from sewd_runtime.commands._model import add_model, load_model
from sewd_runtime.commands._transcripts import beside, check_folder
from sewd_runtime.encoder import Encoder
from sewd_runtime.errors import MissingPackageError, TaskError
from sewd_runtime.system.outputs import OutputFolder
from sewd_runtime.system.writing import whole_file

HELP = "Write the hidden states of recordings, by a bundle of an encoder."
EXAMPLES = """\
  sewd encode --model my-encoder speech.wav -o states
  sewd encode --model my-encoder recordings -o states.safetensors
"""
_ONE_FILE, _ENDING = ".safetensors", ".npy"
_OUTPUT = f"""\
The states of a recording are float32 (frames, hidden).
DIR               NAME.wav is written to DIR/NAME.npy; a file is replaced only if sewd wrote it
NAME.safetensors  all recordings in one file, by their names as given; they are kept in memory until then
{ERRORS}"""


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_files(command)
    text = "a folder, or one file (needs sewd[safetensors])"
    command.add_argument_group("output", _OUTPUT).add_argument(
        "-o", "--output", type=Path, metavar="DIR|FILE", required=True, help=text
    )
    add_model(command, workers=True)


def run(options: argparse.Namespace) -> int:
    """Encode the files and return the exit code."""
    walk_folders(options)
    choose_workers(options)
    limit_whole(options)
    is_one_file = options.output.suffix == _ONE_FILE
    if is_one_file:
        refuse_inputs(options, [options.output])
        _find_safetensors()  # fails before anything runs
    else:
        check_folder(options, _ENDING)
    try:
        model = load_model(options, Encoder)
    except TaskError as error:
        raise TaskError(
            f"{error}. The graph of such a bundle has no hidden states among its outputs: save the encoder "
            "alone, as SEWDModel, and export that"
        ) from error
    read = reader(options, model.manifest.sample_rate_hz, lambda _, blocks: model.network.read(blocks, None))
    states: dict[str, Output] = {}
    if not is_one_file:
        folder = OutputFolder(options.output)
        return run_files(
            options,
            read,
            model.hidden_states,
            lambda name, each: folder.write(beside(options.output, name, _ENDING), _as_npy(each)),
            workers=model.network.workers,
        )
    code = run_files(options, read, model.hidden_states, states.__setitem__, workers=model.network.workers)
    content = _find_safetensors().save({name: np.ascontiguousarray(each) for name, each in states.items()})
    with whole_file(options.output) as file:
        file.buffer.write(content)
    return code


def _as_npy(states: Output) -> bytes:
    content = io.BytesIO()
    np.save(content, states, allow_pickle=False)
    return content.getvalue()


def _find_safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise MissingPackageError(
            f"{_ONE_FILE} needs safetensors: pip install 'sewd[safetensors]' ({error})"
        ) from error
    return safetensors.numpy

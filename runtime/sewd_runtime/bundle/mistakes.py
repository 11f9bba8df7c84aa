"""What a name that is no bundle is instead, and what to do with it."""

import os
from pathlib import Path

_SHOWN = 3


def explain(path: str | os.PathLike[str]) -> str | None:
    """Return what a path or name given as a bundle is, and what to do; None if nothing is known about it."""
    name, given = os.fspath(path), Path(path)
    if not name:
        return "the name is empty; give the folder of a bundle"
    if "://" in name:
        return f"{name}: an address, not a folder; download the bundle and give its folder"
    if given.is_file() or given.suffix == ".onnx":
        return f"{name}: a file; give the folder of its bundle: {given.parent}"
    if (given / "config.json").is_file() and not any(given.glob("*.onnx")):
        return f"{name}: a checkpoint, not a bundle; export it first: sewd-export {name} -o BUNDLE"
    if checkpoints := training_steps(given):
        shown = "..., " * (len(checkpoints) > _SHOWN) + ", ".join(checkpoints[-_SHOWN:])
        command = f"sewd-export {given / checkpoints[-1]} -o BUNDLE"
        return f"{name}: holds checkpoints ({shown}); export one first: {command}"
    return None


def training_steps(folder: Path) -> list[str]:
    """Return the names of the `checkpoint-STEP` folders that a Trainer wrote, the latest step last."""
    return sorted((each.name for each in folder.glob("checkpoint-*")), key=lambda name: (len(name), name))
